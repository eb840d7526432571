// SPDX-License-Identifier: Apache-2.0
// bench_prefix: matching and publishing chains of block hashes, internal nodes cached.
// A new index joins with one line in main().
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/prefix_index.hpp>

#include "support/run.hpp"
#include "support/world.hpp"

namespace catena::bench {
namespace {

constexpr std::size_t longest = 1024;

/// Block `depth` of chain number `chain`: as spread as a real chain hash, and cheaper to make.
[[nodiscard]] block_hash block_of(std::uint64_t chain, std::uint64_t depth) noexcept {
    auto const i = chain * longest + depth;
    return {.high = mix64(i + 0x9e3779b97f4a7c15ULL), .low = i};
}
void fill(std::span<block_hash> blocks, std::uint64_t chain) noexcept {
    for (std::size_t depth = 0; depth < blocks.size(); ++depth) blocks[depth] = block_of(chain, depth);
}

/// An index that lists the whole of some chains.
template <typename Index>
class listed_chains : public world<Index> {
public:
    explicit listed_chains(std::uint64_t blocks)
        : listed_(std::max<std::uint64_t>(1, blocks / longest)), next_(listed_) {
        std::vector<block_hash> chain(longest);
        std::vector<location> where(longest);
        for (std::uint64_t c = 0; c < listed_; ++c) {
            fill(chain, c);
            auto& s = this->own_session();
            need(sync_wait(s, prefixes().publish(s, chain, where)));
        }
    }

    [[nodiscard]] prefix_index<Index> prefixes() noexcept { return prefix_index<Index>(this->index()); }
    [[nodiscard]] std::uint64_t a_listed_chain() noexcept { return mix64(++drawn_) % listed_; }
    [[nodiscard]] std::uint64_t a_new_chain() noexcept { return next_++; }

    /// One is kept; published chains are few against what it holds, or it is made again.
    [[nodiscard]] static listed_chains& of(std::uint64_t blocks) {
        static std::unique_ptr<listed_chains> kept;
        if (!kept || kept->next_ > kept->listed_ + std::max<std::uint64_t>(16, kept->listed_ / 8)) {
            kept.reset();
            kept = std::make_unique<listed_chains>(blocks);
        }
        return *kept;
    }

private:
    std::uint64_t listed_;
    std::uint64_t next_;
    std::uint64_t drawn_ = 0;
};

/// `cached` of `length` blocks are listed; the answer must be exactly that.
template <typename Index>
void match(benchmark::State& state, std::uint64_t keys, match_strategy how, std::size_t length, std::size_t cached) {
    auto& w = listed_chains<Index>::of(keys);
    auto s = w.session();
    auto prefixes = w.prefixes();
    std::array<block_hash, longest> blocks;
    std::array<location, longest> where;
    auto const chain = std::span(blocks).first(length);
    auto const before = s.stats();
    for (auto _ : state) {
        fill(chain.first(cached), w.a_listed_chain());
        for (auto depth = cached; depth < length; ++depth) blocks[depth] = {.high = mix64(~depth), .low = ~depth};
        if (need(sync_wait(s, prefixes.match(s, chain, where, how))) != cached) fail("a match has the wrong length");
    }
    count(state, s.stats() - before);
}

template <typename Index>
void publish(benchmark::State& state, std::uint64_t keys, std::size_t length) {
    auto& w = listed_chains<Index>::of(keys);
    auto s = w.session();
    auto prefixes = w.prefixes();
    std::array<block_hash, longest> blocks;
    std::array<location, longest> where;
    auto const chain = std::span(blocks).first(length);
    auto const before = s.stats();
    for (auto _ : state) {
        fill(chain, w.a_new_chain());
        auto const done = need(sync_wait(s, prefixes.publish(s, chain, std::span(where).first(length))));
        if (done.inserted != length) fail("a new chain was there already");
    }
    count(state, s.stats() - before);
    need(sync_wait(s, release_all(s)));
}

template <typename Index>
void add_all(std::string const& index, std::uint64_t keys) {
    constexpr std::array<std::size_t, 4> lengths{1, 16, 128, longest};
    auto const add = [&](std::string const& what, auto run_it) {
        benchmark::RegisterBenchmark((index + "/" + what).c_str(), run_it)->UseRealTime();
    };
    for (std::size_t i = 0; i < match_strategy_names.size(); ++i) {
        auto const how = static_cast<match_strategy>(i);
        if (how == match_strategy::extents) continue; // another layout
        for (auto const n : lengths)
            for (auto const cached : {n, n / 2})
                add("match_" + std::string(name(how)) + "/blocks:" + std::to_string(n) +
                        "/cached:" + std::to_string(cached),
                    [=](benchmark::State& state) { match<Index>(state, keys, how, n, cached); });
    }
    for (auto const n : lengths)
        add("publish/blocks:" + std::to_string(n), [=](benchmark::State& state) { publish<Index>(state, keys, n); });
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    using namespace catena;
    return bench::run(argc, argv, [](std::uint64_t keys) {
        bench::add_all<sherman_tree<block_hash, location>>("sherman", keys);
        bench::add_all<chime_tree<block_hash, location>>("chime", keys);
        bench::add_all<learned_hopscotch<block_hash, location>>("learned", keys);
    });
}
