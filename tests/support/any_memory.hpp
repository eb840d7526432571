// SPDX-License-Identifier: Apache-2.0
// any_memory: the memory nodes of tests that must hold on any fabric: local memory, unless the program chose another maker before its
// first test (tests/verbs/on_verbs.cpp). The tests are compiled once for all fabrics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include <catena/fabric/any_fabric.hpp>
#include <catena/fabric/local_fabric.hpp>

#include <support/world.hpp>

namespace catena::test {

class any_memory {
public:
    using channel_type = any_channel;
    static constexpr std::string_view name = "any";
    using raw_of = std::function<std::byte*(std::uint16_t)>; ///< the bytes of a memory node, where they are

    any_memory(any_fabric fabric, raw_of raw) : fabric_(std::move(fabric)), raw_(std::move(raw)) {}

    [[nodiscard]] std::uint16_t node_count() const noexcept { return fabric_.node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return fabric_.node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) { return fabric_.connect(id); }
    [[nodiscard]] std::byte* raw(std::uint16_t node) { return raw_(node); }
    [[nodiscard]] bool is_local() const noexcept { return fabric_.kind() == "local"; }

    /// Zeroed memory nodes.
    [[nodiscard]] static setup_result<any_memory> create(std::uint64_t node_bytes, std::uint16_t nodes) {
        return maker(node_bytes, nodes);
    }
    [[nodiscard]] static setup_result<any_memory> make_local(std::uint64_t node_bytes, std::uint16_t nodes) {
        auto made = local_fabric::create(node_bytes, nodes);
        if (!made) return made.error();
        std::byte* const first = made->raw(0);
        auto const stride = nodes > 1 ? made->raw(1) - first : 0;
        return any_memory(any_fabric(std::move(*made)), [=](std::uint16_t n) { return first + n * stride; });
    }
    static inline setup_result<any_memory> (*maker)(std::uint64_t, std::uint16_t) = &make_local;

private:
    any_fabric fabric_;
    raw_of raw_;
};
static_assert(fabric<any_memory>);

using any_world = basic_world<any_memory>;
using any_session = any_world::client_type::session_type;

} // namespace catena::test
