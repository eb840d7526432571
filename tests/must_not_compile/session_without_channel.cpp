// SPDX-License-Identifier: Apache-2.0
// A session needs a channel: this one cannot tell the time.
// expect: (template constraint failure|constraints not satisfied)
#include <chrono>

#include <catena/pool/session.hpp>
#include <catena/fabric/immediate_channel.hpp>

namespace {

struct timeless {
    static constexpr catena::fabric_guarantees guarantees{.atomic_words = true, .ordered_batch = true};
    [[nodiscard]] catena::completed submit(catena::batch) { return catena::completed(catena::result<void>{}); }
    [[nodiscard]] catena::completed fence(catena::client_id) { return catena::completed(catena::result<void>{}); }
    [[nodiscard]] catena::completed pause(std::chrono::nanoseconds) { return catena::completed(catena::result<void>{}); }
    void poll() noexcept {}
    [[nodiscard]] catena::fabric_stats& stats() noexcept { return stats_; }
    catena::fabric_stats stats_;
};

} // namespace

int main() { return static_cast<int>(sizeof(catena::session<timeless>)); }
