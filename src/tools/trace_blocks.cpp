// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_blocks.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace catena::tools {
namespace {

// Gives each id a number below the number of different ids.
class id_numbers {
public:
    explicit id_numbers(trace const& t) {
        for (auto const& r : t.requests) {
            auto const ids = t.ids_of(r);
            sorted_.insert(sorted_.end(), ids.begin(), ids.end());
        }
        std::sort(sorted_.begin(), sorted_.end());
        sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
        sorted_.shrink_to_fit();
    }
    [[nodiscard]] std::size_t count() const { return sorted_.size(); }
    [[nodiscard]] std::uint32_t operator()(std::uint64_t id) const {
        return static_cast<std::uint32_t>(std::lower_bound(sorted_.begin(), sorted_.end(), id) - sorted_.begin());
    }

private:
    std::vector<std::uint64_t> sorted_;
};

// Finds or makes the block of an id after a prefix. Nearly always that is the id's first block; the map has the others.
class block_maker {
public:
    block_maker(trace_blocks& blocks, std::size_t ids) : blocks_(blocks), first_(ids, no_block) {}

    /// `violation` is set if the id was first used after another prefix.
    std::uint32_t block(std::uint32_t id, std::uint32_t parent, bool& violation) {
        auto& first = first_[id];
        violation = false;
        if (first == no_block) return first = make(parent);
        if (blocks_.parents[first] == parent) return first;
        violation = true;
        violated_.insert(id);
        auto const [found, is_new] = others_.try_emplace(std::uint64_t{parent} << 32U | id, no_block);
        if (is_new) found->second = make(parent);
        return found->second;
    }
    [[nodiscard]] bool is_new(std::uint32_t id) const { return first_[id] == no_block; }
    [[nodiscard]] std::size_t violated() const { return violated_.size(); }

private:
    std::uint32_t make(std::uint32_t parent) {
        auto const made = static_cast<std::uint32_t>(blocks_.parents.size());
        blocks_.parents.push_back(parent);
        blocks_.depths.push_back(parent == no_block ? 1 : blocks_.depths[parent] + 1);
        return made;
    }

    trace_blocks& blocks_;
    std::vector<std::uint32_t> first_;
    std::unordered_map<std::uint64_t, std::uint32_t> others_; // by parent and id
    std::unordered_set<std::uint32_t> violated_;
};

} // namespace

trace_blocks number_blocks(trace const& t) {
    trace_blocks out;
    auto& validity = out.validity;
    id_numbers const numbers(t);
    validity.unique_ids = numbers.count();
    validity.numbered_by_first_use = true;
    block_maker maker(out, numbers.count());
    std::optional<std::uint64_t> largest;
    out.begins.push_back(0);
    for (auto const& r : t.requests) {
        auto parent = no_block;
        std::uint64_t position = 0;
        for (auto const id : t.ids_of(r)) {
            auto const number = numbers(id);
            if (maker.is_new(number)) {
                if (largest && id != *largest + 1) validity.numbered_by_first_use = false;
                largest = std::max(id, largest.value_or(id));
            }
            bool violation = false;
            parent = maker.block(number, parent, violation);
            if (violation && validity.violations++ == 0)
                validity.first = chain_validity::use{.line = r.line, .position = position, .id = id};
            out.accesses.push_back(parent);
            ++position;
        }
        out.begins.push_back(out.accesses.size());
        out.times.push_back(r.timestamp);
    }
    validity.ids_violated = maker.violated();
    return out;
}

} // namespace catena::tools
