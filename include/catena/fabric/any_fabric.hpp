// SPDX-License-Identifier: Apache-2.0
// any_fabric: a fabric chosen at run time (any_channel.hpp).
// Thread safety: as of the fabric that it holds.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/fabric/any_channel.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>

namespace catena {

class any_fabric {
public:
    using channel_type = any_channel;
    static constexpr std::string_view name = "any";

    template <fabric Fabric>
    explicit any_fabric(Fabric f) : held_(std::make_unique<held<Fabric>>(std::move(f))) {}

    [[nodiscard]] std::uint16_t node_count() const noexcept { return held_->node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return held_->node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) { return held_->connect(id); }
    [[nodiscard]] std::string_view kind() const noexcept { return held_->kind(); } ///< the name of what it holds

private:
    struct interface {
        interface() = default;
        interface(interface const&) = delete;
        interface& operator=(interface const&) = delete;
        virtual ~interface() = default;
        [[nodiscard]] virtual std::uint16_t node_count() const noexcept = 0;
        [[nodiscard]] virtual std::uint64_t node_bytes() const noexcept = 0;
        [[nodiscard]] virtual setup_result<channel_type> connect(client_id id) = 0;
        [[nodiscard]] virtual std::string_view kind() const noexcept = 0;
    };
    template <typename Fabric>
    struct held final : interface {
        explicit held(Fabric f) : fabric(std::move(f)) {}
        [[nodiscard]] std::uint16_t node_count() const noexcept override { return fabric.node_count(); }
        [[nodiscard]] std::uint64_t node_bytes() const noexcept override { return fabric.node_bytes(); }
        [[nodiscard]] std::string_view kind() const noexcept override { return Fabric::name; }
        [[nodiscard]] setup_result<channel_type> connect(client_id id) override {
            auto made = fabric.connect(id);
            if constexpr (std::is_same_v<typename Fabric::channel_type, any_channel>) {
                return made;
            } else {
                if (!made) return made.error();
                return any_channel(std::make_unique<immediate_driver<typename Fabric::channel_type>>(std::move(*made)));
            }
        }
        Fabric fabric;
    };

    std::unique_ptr<interface> held_;
};
static_assert(fabric<any_fabric>);

} // namespace catena
