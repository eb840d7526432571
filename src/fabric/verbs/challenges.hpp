// SPDX-License-Identifier: Apache-2.0
// challenges: what requests to a memory node are proved for, and which of them came already.
//
// A challenge is given out for a minute and holds for another one. Each request but a fence has a number of its own (request::subject)
// that counts once for each challenge: who repeats a request that he overheard learns nothing and gets nothing. A fence that is
// repeated shuts out who is shut out already.
// Bounds     Only requests whose proof is right are remembered, for two minutes: strangers take no memory.
// Thread safety: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_set>
#include <utility>

#include "fabric/verbs/handshake.hpp"
#include "fabric/verbs/secret.hpp"

namespace catena::verbs {

class challenges {
public:
    using time = std::chrono::steady_clock::time_point;
    static constexpr auto lifetime = std::chrono::minutes(1);

    explicit challenges(time now) : until_(now + lifetime) {}

    /// The one to give out. Those that are too old hold no longer, however long nobody asked.
    std::uint64_t current(time now) {
        if (now >= until_) {
            last_ = now - until_ < lifetime ? std::move(given_) : round{};
            given_ = round{};
            until_ = now + lifetime;
        }
        return given_.challenge;
    }
    [[nodiscard]] bool holds(request const& r) const noexcept {
        return r.challenge == given_.challenge || r.challenge == last_.challenge;
    }
    /// r: holds, and proved. False: it came already.
    [[nodiscard]] bool first_time(request const& r) {
        auto& used = r.challenge == given_.challenge ? given_.used : last_.used;
        return r.what == purpose::fence || used.insert(r.subject).second;
    }

private:
    struct round {
        std::uint64_t challenge = unguessable();
        std::unordered_set<std::uint64_t> used{};
    };
    round given_;
    round last_; ///< at first one that nobody was given
    time until_;
};

} // namespace catena::verbs
