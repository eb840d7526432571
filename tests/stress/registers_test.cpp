// SPDX-License-Identifier: Apache-2.0
// Threads on one tree, as one client and as two: every key is a linearizable register, whatever happens around it.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/register_history.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>

#include "index/indexes.hpp"

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::uint64_t registers_each = 8;
constexpr std::uint64_t spacing = 64; // between registers there is room for keys that come and go

/// One tree, opened by as many clients as asked for: threads of different clients contend remotely, others locally.
template <typename Index>
struct arena {
    explicit arena(std::size_t clients) : w(32U << 20U, 2) {
        indexes.reserve(clients);
        others.reserve(clients);
        indexes.push_back(ok(Index::create(w.first.s, "t", 256U << 10U)));
        for (std::size_t i = 1; i < clients; ++i) {
            others.push_back(w.join());
            indexes.push_back(ok(Index::open(others.back().s, "t", i % 2 == 0 ? 256U << 10U : 0)));
        }
    }
    [[nodiscard]] local_client& client(std::size_t thread) {
        auto const i = thread % indexes.size();
        return i == 0 ? w.first : others[i - 1];
    }
    [[nodiscard]] Index& index(std::size_t thread) { return indexes[thread % indexes.size()]; }

    world w;
    std::vector<local_client> others;
    std::vector<Index> indexes;
};

/// A register's value inside a value type of any size: all its words say the same.
template <typename Value>
struct register_value {
    std::array<std::uint64_t, sizeof(Value) / 8> words;
    static Value of(std::uint64_t n) {
        register_value r;
        r.words.fill(n);
        Value v;
        std::memcpy(static_cast<void*>(&v), &r, sizeof v);
        return v;
    }
    static std::uint64_t in(Value const& v) {
        register_value r;
        std::memcpy(&r, &v, sizeof v);
        for (auto const w : r.words) expect(w == r.words[0], "a value is a mix of two");
        return r.words[0];
    }
};

/// Writers own registers and count them up; readers read all of them by find, find_many and scan; disturbers split and
/// merge the leaves. The logs of all must be a linearizable history.
template <typename Index>
void linearizable(std::size_t clients) {
    constexpr std::size_t writers = 2;
    constexpr std::size_t readers = 2;
    constexpr std::size_t disturbers = 2;
    constexpr std::uint64_t registers = writers * registers_each;
    using key_type = typename Index::key_type;
    using value_type = typename Index::value_type;
    using value = register_value<value_type>;
    auto const seed = test_seed(7);
    CAPTURE(seed, clients);
    arena<Index> a(clients);
    {
        calls<Index, local_session> t(a.indexes[0], a.w.first.s);
        for (std::uint64_t r = 0; r < registers; ++r) t.insert(make_key<key_type>(r * spacing), value::of(0));
    }
    register_clock clock;
    std::atomic<bool> stop{false};
    std::vector<std::vector<register_event>> logs(writers + readers);
    run_threads(writers + readers + disturbers, [&](std::size_t thread) {
        raise_at_end const end(stop);
        auto s = a.client(thread).session();
        calls<Index, local_session> t(a.index(thread), s);
        random_source random(seed, thread);
        if (thread >= writers + readers) {
            while (!stop) {
                auto const base = random.below(registers) * spacing + 1 + thread % 2;
                for (std::uint64_t i = 0; i < 24; ++i) t.upsert(make_key<key_type>(base + 2 * i), value::of(i));
                for (std::uint64_t i = 0; i < 24; ++i) t.erase(make_key<key_type>(base + 2 * i));
            }
        } else if (thread < writers) {
            std::array<std::uint64_t, registers_each> next{};
            for (std::size_t n = 0; n < scaled(240'000) && !stop; ++n) {
                auto const own = random.below(registers_each);
                register_event e{.what = register_event::kind::write,
                                 .which = thread * registers_each + own,
                                 .value = ++next[own],
                                 .begin = clock.tick(),
                                 .end = 0};
                expect(!t.upsert(make_key<key_type>(e.which * spacing), value::of(e.value)), "a register was gone");
                e.end = clock.tick();
                logs[thread].push_back(e);
            }
        } else {
            std::vector<key_type> keys;
            for (std::uint64_t r = 0; r < registers; ++r) keys.push_back(make_key<key_type>(r * spacing));
            for (std::size_t n = 0; n < scaled(80'000) && !stop; ++n) {
                auto const begin = clock.tick();
                auto const note = [&](std::uint64_t which, std::optional<value_type> const& found,
                                      std::uint64_t ended) {
                    expect(found.has_value(), "a register was missed");
                    logs[thread].push_back({.which = which, .value = value::in(*found), .begin = begin, .end = ended});
                };
                switch (random.below(8)) {
                case 0: {
                    auto const found = t.find_many(keys);
                    auto const ended = clock.tick();
                    for (std::uint64_t r = 0; r < registers; ++r) note(r, found[r], ended);
                    break;
                }
                case 1: {
                    auto const found = t.scan({.from = keys.front(), .to = {}}, 4096);
                    auto const ended = clock.tick();
                    std::uint64_t r = 0;
                    for (auto const& e : found)
                        if (r < registers && e.key == keys[r]) note(r++, e.value, ended);
                    expect(r == registers, "a scan missed a register");
                    break;
                }
                default: {
                    auto const r = random.below(registers);
                    auto const found = t.find(keys[r]);
                    note(r, found, clock.tick());
                }
                }
            }
        }
    });
    std::vector<register_event> all;
    for (auto const& log : logs) all.insert(all.end(), log.begin(), log.end());
    auto const violation = find_violation(std::move(all));
    INFO(violation.value_or(""));
    REQUIRE_FALSE(violation);
    calls<Index, local_session> t(a.indexes[0], a.w.first.s);
    t.sound();
}

} // namespace

TEMPLATE_TEST_CASE("every key is a linearizable register for the threads of one client", "[stress]", sherman_8_8_small,
                   sherman_blocks_24, chime_8_8, chime_8_8_small, chime_blocks_24, learned_8_8, learned_8_8_small,
                   learned_8_8_plain, learned_blocks_24) {
    linearizable<TestType>(1);
}

TEMPLATE_TEST_CASE("every key is a linearizable register for the threads of two clients", "[stress]", sherman_8_8_small,
                   sherman_blocks_24, chime_8_8, chime_8_8_small, chime_blocks_24, learned_8_8, learned_8_8_small,
                   learned_8_8_plain, learned_blocks_24) {
    linearizable<TestType>(2);
}

TEMPLATE_TEST_CASE("of many that insert the same absent key one wins, and all learn the winner's value", "[stress]",
                   sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    using index_type = TestType;
    constexpr std::size_t threads = 4;
    auto const clients = GENERATE(std::size_t{1}, std::size_t{2});
    CAPTURE(clients);
    arena<index_type> a(clients);
    auto const keys = scaled(8000);
    std::vector<std::vector<std::uint64_t>> told(threads, std::vector<std::uint64_t>(keys));
    run_threads(threads, [&](std::size_t thread) {
        auto s = a.client(thread).session();
        calls<index_type, local_session> t(a.index(thread), s);
        for (std::uint64_t k = 0; k < keys; ++k) told[thread][k] = t.insert_if_absent(mix64(k), thread + 1);
    });
    calls<index_type, local_session> t(a.indexes[0], a.w.first.s);
    std::array<std::size_t, threads + 1> wins{};
    for (std::uint64_t k = 0; k < keys; ++k) {
        auto const winner = t.find(mix64(k));
        REQUIRE(winner);
        for (auto const& mine : told) REQUIRE(mine[k] == *winner);
        ++wins[*winner];
    }
    REQUIRE(wins[0] == 0);
    REQUIRE(t.sound().entries == keys);
}

TEMPLATE_TEST_CASE("one key that everybody writes changes hands without a lost update", "[stress]", sherman_8_8,
                   chime_8_8) {
    using index_type = TestType;
    constexpr std::size_t threads = 4;
    auto const clients = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{4});
    CAPTURE(clients);
    arena<index_type> a(clients);
    std::array<std::uint64_t, threads> inserted{};
    std::array<std::uint64_t, threads> erased{};
    run_threads(threads, [&](std::size_t thread) {
        auto s = a.client(thread).session();
        calls<index_type, local_session> t(a.index(thread), s);
        random_source random(test_seed(8), thread);
        for (std::size_t n = 0; n < scaled(100'000); ++n) {
            if (random.one_in(2))
                inserted[thread] += t.insert(7, thread);
            else
                erased[thread] += t.erase(7);
        }
    });
    std::uint64_t balance = 0;
    for (std::size_t i = 0; i < threads; ++i) balance += inserted[i] - erased[i];
    calls<index_type, local_session> t(a.indexes[0], a.w.first.s);
    REQUIRE(balance == (t.find(7) ? 1U : 0U));
    t.sound();
}

TEMPLATE_TEST_CASE("batches over the same leaves from several threads neither block each other nor lose a change",
                   "[stress]", sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    using index_type = TestType;
    using change = mutation<std::uint64_t, std::uint64_t>;
    constexpr std::size_t threads = 4;
    constexpr std::uint64_t universe = 512;
    auto const clients = GENERATE(std::size_t{1}, std::size_t{2});
    auto const seed = test_seed(9);
    CAPTURE(clients, seed);
    arena<index_type> a(clients);
    std::vector<std::vector<std::int64_t>> balance(threads, std::vector<std::int64_t>(universe));
    run_threads(threads, [&](std::size_t thread) {
        auto s = a.client(thread).session();
        calls<index_type, local_session> t(a.index(thread), s);
        random_source random(seed, thread);
        std::vector<change> changes;
        for (std::size_t n = 0; n < scaled(10'000); ++n) {
            changes.clear();
            std::uint64_t const step = 1 + random.below(16);
            for (auto k = random.below(step); k < universe; k += step)
                changes.push_back({.key = mix64(k),
                                   .value = k,
                                   .kind = random.one_in(2) ? mutation_kind::insert : mutation_kind::erase});
            t.apply(changes);
            std::size_t i = 0;
            for (auto k = std::uint64_t{0}; k < universe && i < changes.size(); ++k) {
                if (changes[i].key != mix64(k)) continue;
                auto const outcome = changes[i++].outcome;
                expect(outcome != mutation_outcome::pending, "a change was left out");
                if (outcome == mutation_outcome::inserted) ++balance[thread][k];
                if (outcome == mutation_outcome::erased) --balance[thread][k];
            }
        }
        ok(sync_wait(s, release_all(s)));
    });
    calls<index_type, local_session> t(a.indexes[0], a.w.first.s);
    for (std::uint64_t k = 0; k < universe; ++k) {
        std::int64_t sum = 0;
        for (auto const& b : balance) sum += b[k];
        REQUIRE(sum == (t.find(mix64(k)) ? 1 : 0));
    }
    t.sound();
}
