// SPDX-License-Identifier: Apache-2.0
// The right way to write what the files about keys, values, indexes and channels write wrongly.
// expect: nothing
#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <utility>

#include <catena/core/task.hpp>
#include <catena/fabric/immediate_channel.hpp>
#include <catena/fabric/local_fabric.hpp>
#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/pool/session.hpp>
#include <catena/prefix/location.hpp>
#include <catena/prefix/prefix_index.hpp>

namespace {

struct whole {
    std::uint64_t high;
    std::uint64_t low;
    friend auto operator<=>(whole const&, whole const&) = default;
};
} // namespace
template <>
struct catena::number_of_key<whole> {
    [[nodiscard]] static constexpr key_number of(whole const& k) noexcept { return key_number{k.high} << 64U | k.low; }
    [[nodiscard]] static constexpr whole at(key_number n) noexcept {
        return {static_cast<std::uint64_t>(n >> 64U), static_cast<std::uint64_t>(n)};
    }
};
namespace {

struct timed {
    static constexpr catena::fabric_guarantees guarantees{.atomic_words = true, .ordered_batch = true};
    [[nodiscard]] catena::completed submit(catena::batch) { return catena::completed(catena::result<void>{}); }
    [[nodiscard]] catena::completed fence(catena::client_id) { return catena::completed(catena::result<void>{}); }
    [[nodiscard]] catena::completed pause(std::chrono::nanoseconds) {
        return catena::completed(catena::result<void>{});
    }
    void poll() noexcept {}
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return {}; }
    [[nodiscard]] catena::fabric_stats& stats() noexcept { return stats_; }
    catena::fabric_stats stats_;
};

catena::task<int> answer() { co_return 42; }

} // namespace

int main() {
    auto first = answer();
    auto const second = std::move(first);
    second.start();
    auto fabric = catena::local_fabric::create(4096);
    auto channel = fabric->connect();
    catena::op add = catena::op::faa({0, 0}, 1);
    if (!channel->submit(catena::batch(&add, 1)).await_resume()) return 1;
    constexpr auto sizes =
        sizeof(catena::sherman_tree<whole, std::uint64_t>) +
        sizeof(catena::sherman_tree<std::uint64_t, std::array<std::uint8_t, 64>>) +
        sizeof(catena::chime_tree<whole, std::uint64_t>) +
        sizeof(catena::chime_tree<std::uint64_t, std::array<std::uint8_t, 64>>) +
        sizeof(catena::learned_hopscotch<whole, std::uint64_t>) +
        sizeof(catena::learned_hopscotch<std::uint64_t, std::array<std::uint8_t, 64>>) +
        sizeof(catena::prefix_index<catena::sherman_tree<catena::block_hash, catena::location>>) +
        sizeof(catena::prefix_index<catena::chime_tree<catena::block_hash, catena::location>>) +
        sizeof(catena::prefix_index<catena::learned_hopscotch<catena::block_hash, catena::location>>) +
        sizeof(catena::session<timed>);
    return sizes > 0 && second.done() ? 0 : 1;
}
