// SPDX-License-Identifier: Apache-2.0
// event_log: who did what to which word, one line for each client and step, for people.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <catena/fabric/sim/adversarial_network.hpp>
#include <catena/layout/lock_word.hpp>
#include <catena/layout/node.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/superblock.hpp>

#include <torture/arena.hpp>

namespace catena::torture {

/// How the blocks of a suite's heap are cut, so that words get names.
struct block_shape {
    std::uint64_t bytes = 128;
    std::uint64_t key_words = 1;
    std::uint64_t payload_words = 1;
};

class event_log {
public:
    explicit event_log(block_shape const& shape) : shape_(shape) {}

    [[nodiscard]] std::string print(std::vector<sim_event> const& events) const {
        std::string text;
        for (std::size_t i = 0; i < events.size(); ++i) {
            auto const& e = events[i];
            text +=
                number(e.step, 6) + "  client " + std::to_string(e.host) + " (actor " + std::to_string(e.actor) + ")  ";
            switch (e.what) {
            case sim_event::kind::resumed: text += "goes on"; break;
            case sim_event::kind::fence: text += "fences a client at memory node " + std::to_string(e.at.node()); break;
            case sim_event::kind::fault: text += fault(e.fault); break;
            case sim_event::kind::access:
                if (e.operation == op_kind::read) {
                    text += "READ  " + block(e.at) + ":";
                    auto const first = i;
                    for (; i < events.size() && same_read(events[first], events[i]); ++i)
                        text += " " + word_name(e.at, events[i].at) + value(events[i].at, events[i].after, true);
                    --i;
                } else {
                    text += verb(e) + block(e.at) + ": " + word_name(e.at, e.at) + " " + value(e.at, e.before, false) +
                            " -> " + value(e.at, e.after, false);
                    if (e.refused) text += "  REFUSED";
                }
            }
            text += "\n";
        }
        return text;
    }

    [[nodiscard]] static std::string fault(sim_fault const& f) {
        auto const who = std::to_string(f.who);
        switch (f.what) {
        case sim_fault::kind::die: return "*** client " + who + " dies";
        case sim_fault::kind::stall: return "*** client " + who + " stalls for " + us(f) + " with all it posted";
        case sim_fault::kind::stall_thread:
            return "*** client " + who + " stalls for " + us(f) + ", what it posted goes on";
        case sim_fault::kind::vanish: return "*** memory node " + who + " vanishes";
        case sim_fault::kind::return_empty: return "*** memory node " + who + " returns empty";
        }
        return {};
    }

private:
    [[nodiscard]] static std::string us(sim_fault const& f) {
        return std::to_string(f.how_long.count() / 1000) + " us";
    }
    [[nodiscard]] static std::string number(std::uint64_t n, std::size_t width) {
        auto text = std::to_string(n);
        return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
    }
    [[nodiscard]] static std::string hex(word w) {
        std::array<char, 20> text{};
        std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(w)); // NOLINT
        return text.data();
    }
    [[nodiscard]] static std::string verb(sim_event const& e) {
        if (e.operation == op_kind::write) return "WRITE ";
        return e.operation == op_kind::cas ? (e.before == e.after ? "CAS-- " : "CAS   ") : "FAA   ";
    }
    [[nodiscard]] bool same_read(sim_event const& a, sim_event const& b) const {
        return b.what == sim_event::kind::access && b.operation == op_kind::read && a.actor == b.actor &&
               a.step == b.step && block(a.at) == block(b.at);
    }

    [[nodiscard]] std::string block(remote_ptr at) const {
        auto const text = "n" + std::to_string(at.node()) + " ";
        if (at.offset() < members_offset) return text + "superblock";
        if (at.offset() < catalog_offset)
            return text + "member " + std::to_string((at.offset() - members_offset) / sizeof(member_record));
        if (at.offset() < heap_offset) return text + "catalog";
        if (at.offset() < heap) return text + "chunk table";
        auto const in_heap = at.offset() - heap;
        return text + "block " + std::to_string(in_heap / chunk) + "." + std::to_string(in_heap % chunk / shape_.bytes);
    }
    [[nodiscard]] std::uint64_t word_of(remote_ptr at) const noexcept {
        return (at.offset() - heap) % chunk % shape_.bytes / word_bytes;
    }
    [[nodiscard]] std::string word_name(remote_ptr, remote_ptr at) const {
        if (at.offset() >= heap_offset && at.offset() < heap)
            return std::to_string((at.offset() - heap_offset) / word_bytes);
        if (at.offset() < members_offset || (at.offset() >= catalog_offset && at.offset() < heap_offset))
            return "+" + std::to_string(at.offset() % catalog_entry_bytes);
        if (at.offset() < catalog_offset) {
            constexpr std::array<char const*, 4> names{"state", "heartbeat", "client", "reserved"};
            return names[(at.offset() - members_offset) % sizeof(member_record) / word_bytes];
        }
        auto const w = word_of(at);
        constexpr std::array<char const*, 4> header{"lock", "occupancy", "meta", "link"};
        if (w < 4) return header[w];
        if (w < 4 + shape_.key_words) return "low";
        if (w < 4 + 2 * shape_.key_words) return "high";
        auto const in_slots = w - 4 - 2 * shape_.key_words;
        auto const entry = shape_.key_words + shape_.payload_words;
        return "slot" + std::to_string(in_slots / entry) + (in_slots % entry < shape_.key_words ? ".key" : ".value");
    }
    [[nodiscard]] std::string value(remote_ptr at, word w, bool brief) const {
        std::string const eq = brief ? "=" : "";
        if (at.offset() < heap || word_of(at) > 3) return eq + hex(w);
        if (word_of(at) == 0) {
            lock_word const l(w);
            return eq + (l.locked() ? "HELD" : "free") + "(" + std::to_string(l.owner() >> 9U) + " v" +
                   std::to_string(l.version()) + " " + hex(l.seal() & 0xffffU) + ")";
        }
        if (word_of(at) == 2) {
            auto const m = node_meta::from_word(w);
            return eq + "level " + std::to_string(m.level) + (m.dead ? " DEAD" : "") + (m.unbounded ? " last" : "") +
                   " life " + std::to_string(m.incarnation);
        }
        if (word_of(at) == 3) {
            auto const r = node_ref::from_word(w);
            return eq + (r ? block(r.at()) + "/" + std::to_string(r.incarnation()) : "null");
        }
        return eq + hex(w);
    }

    static constexpr std::uint64_t chunk = arena::chunk_bytes;
    static constexpr std::uint64_t heap = heap_begin(chunk_count(arena::node_bytes, chunk));
    block_shape shape_;
};

} // namespace catena::torture
