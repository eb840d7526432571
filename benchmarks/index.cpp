// SPDX-License-Identifier: Apache-2.0
// bench_index: the operations of an ordered index with 8-byte keys and values, internal nodes cached.
// A new index joins with one line in main().
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <benchmark/benchmark.h>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>

#include "support/draws.hpp"
#include "support/run.hpp"
#include "support/world.hpp"

namespace catena::bench {
namespace {

constexpr std::size_t batch_keys = 64;

/// Runs `one(world, session, draws)` as the timed operation, on a session of this thread.
template <typename Index, typename One>
void measure(benchmark::State& state, loaded_world<Index>*& shared, spread how, One one) {
    auto& w = *shared;
    auto s = w.session();
    draws keys(how, w.keys(), 42 + static_cast<std::uint64_t>(state.thread_index()));
    auto const before = s.stats();
    for (auto _ : state) one(w, s, keys);
    count(state, s.stats() - before);
    note(state, "remote_B/key", w.remote_bytes_per_key());
    note(state, "cache_B/key", w.cache_bytes_per_key());
    need(sync_wait(s, release_all(s)));
}

template <typename Index>
class suite {
public:
    suite(std::string index_name, std::uint64_t keys) : name_(std::move(index_name)), keys_(keys) {}

    void add_all() const {
        auto const find = [](loaded_world<Index>& w, session_type& s, draws& d) {
            auto const found = need(sync_wait(s, w.index().find(s, key_of(d.next()))));
            if (!found) fail("a key that was inserted is absent");
            benchmark::DoNotOptimize(*found);
        };
        add("find_uniform", spread::uniform, find);
        add("find_uniform", spread::uniform, find)->Threads(2);
        add("find_zipf", spread::zipf99, find);
        add("find_zipf", spread::zipf99, find)->Threads(2);
        add("find_absent", spread::uniform, [](loaded_world<Index>& w, session_type& s, draws& d) {
            auto const found = need(sync_wait(s, w.index().find(s, key_of(~d.next()))));
            if (found) fail("a key that was never inserted is there");
        });
        add("find_many_64", spread::uniform, [](loaded_world<Index>& w, session_type& s, draws& d) {
            std::array<std::uint64_t, batch_keys> wanted;
            std::array<std::optional<std::uint64_t>, batch_keys> found;
            for (auto& k : wanted) k = key_of(d.next());
            need(sync_wait(s, w.index().find_many(s, wanted, found)));
            benchmark::DoNotOptimize(found);
        });
        add("scan_64", spread::uniform, [](loaded_world<Index>& w, session_type& s, draws& d) {
            std::array<entry<std::uint64_t, std::uint64_t>, batch_keys> found;
            scan_range<std::uint64_t> const range{.from = key_of(d.next()), .to = {}};
            benchmark::DoNotOptimize(need(sync_wait(s, w.index().scan(s, range, std::span(found)))));
        });
        add("upsert_existing", spread::uniform, [](loaded_world<Index>& w, session_type& s, draws& d) {
            auto const value = w.take_new_value();
            if (need(sync_wait(s, w.index().upsert(s, key_of(d.next()), value)))) fail("the key should exist");
        });
        add("apply_64_upserts", spread::uniform, [](loaded_world<Index>& w, session_type& s, draws& d) {
            std::array<mutation<std::uint64_t, std::uint64_t>, batch_keys> changes;
            for (auto& m : changes)
                m = {.key = key_of(d.next()),
                     .value = w.take_new_value(),
                     .kind = mutation_kind::upsert,
                     .outcome = mutation_outcome::pending};
            need(sync_wait(s, w.index().apply(s, std::span(changes))));
        });
        // Last: it makes the index larger.
        add("insert_new", spread::uniform, [](loaded_world<Index>& w, session_type& s, draws&) {
            if (!need(sync_wait(s, w.index().insert(s, w.take_new_key(), 1)))) fail("the key should be new");
        });
    }

private:
    template <typename One>
    benchmark::internal::Benchmark* add(std::string const& what, spread how, One one) const {
        return benchmark::RegisterBenchmark(
                   (name_ + "/" + what).c_str(),
                   [how, one](benchmark::State& state) { measure<Index>(state, shared_world(), how, one); })
            ->Setup([](benchmark::State const& state) {
                shared_world() = &loaded_world<Index>::of(static_cast<std::uint64_t>(state.range(0)));
            })
            ->ArgName("keys")
            ->Arg(static_cast<std::int64_t>(keys_))
            ->UseRealTime();
    }
    static loaded_world<Index>*& shared_world() {
        static loaded_world<Index>* w = nullptr;
        return w;
    }

    std::string name_;
    std::uint64_t keys_;
};

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    using namespace catena;
    return bench::run(argc, argv, [](std::uint64_t keys) {
        bench::suite<sherman_tree<std::uint64_t, std::uint64_t>>("sherman", keys).add_all();
        bench::suite<chime_tree<std::uint64_t, std::uint64_t>>("chime", keys).add_all();
        bench::suite<learned_hopscotch<std::uint64_t, std::uint64_t>>("learned", keys).add_all();
    });
}
