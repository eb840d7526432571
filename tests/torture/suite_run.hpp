// SPDX-License-Identifier: Apache-2.0
// suite_run: what every suite keeps of one run, what it makes of errors, and how the run is judged.
//
// The arena is the suite's own: it must be its last member, so that lives end before the indexes that they use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <support/accounting.hpp>
#include <torture/arena.hpp>

namespace catena::torture {

class suite_run {
protected:
    explicit suite_run(scenario const& s) : scenario_(s) {}
    ~suite_run() = default;

    /// Lets all lives run to their end. audit(): what is wrong then; it is not asked if something was wrong before.
    template <typename Audit>
    [[nodiscard]] outcome judged(arena& a, Audit audit) {
        outcome result;
        result.violation = a.run();
        if (!result.violation) result.violation = complaint_;
        if (!result.violation) result.violation = audit();
        result.steps = a.network().steps();
        result.operations = operations_;
        result.switches = a.network().switches();
        return result;
    }

    /// A client dies of this error, or it is one that nobody should have had.
    [[nodiscard]] error ended(error e, std::string const& what) {
        if (e.code == errc::fenced || e.code == errc::unreachable || e.code == errc::lease_lost) return e;
        complaint_ = what + " ended with " + std::string(name(e.code));
        return e;
    }
    /// What an error means for a call that was under way. Error again: this client is at its end.
    [[nodiscard]] result<void> failed(error e, std::string const& what) {
        // What was on that memory node is lost; everything else goes on.
        if (scenario_.may_lose_nodes() && e.code == errc::unreachable && e.node != 0) return {};
        return ended(e, what);
    }

    [[nodiscard]] static test::census census(arena& a, session_type& s) {
        return test::take_census(s.pool().geometry, [&](std::uint16_t n) { return a.network().node(n).raw(); });
    }
    /// After a reclaim every byte is in a node of an index, free, or in our hands, save blocks that were in transit when a
    /// session died. indexed: bytes of those nodes. largest: bytes of a block.
    [[nodiscard]] std::optional<std::string> unaccounted(arena& a, session_type& s, std::uint64_t indexed,
                                                         std::uint64_t largest) const {
        auto const c = census(a, s);
        if (!c.complaints.empty()) return "after the reclaim: " + c.complaints.front();
        auto const most_astray =
            scenario_.may_lose_clients() ? std::uint64_t{scenario_.clients} * scenario_.sessions : 0;
        if (c.astray > most_astray * largest)
            return "after the reclaim: " + std::to_string(c.astray) + " bytes are astray";
        auto const expected = indexed + test::bytes_in_hand(s);
        if (auto const in_use = c.in_use() - c.astray; in_use != expected)
            return "after the reclaim: " + std::to_string(in_use) + " bytes are in use, not " +
                   std::to_string(expected);
        return std::nullopt;
    }

    scenario const scenario_;
    std::optional<std::string> complaint_; ///< what a client saw that cannot be
    std::uint64_t operations_ = 0;         ///< calls that came back
};

} // namespace catena::torture
