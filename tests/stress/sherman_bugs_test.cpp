// SPDX-License-Identifier: Apache-2.0
// The bugs of the original Sherman that were reproduced or read in its code, as tests that ours must pass.
// Those that a tree of any kind could have are asked of all.
// (Erased keys that stay: turnover_test.cpp. Freed pages: stale_clients_test.cpp.)
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>

#include "index/indexes.hpp"

using namespace catena;
using namespace catena::test;

namespace {

// Neighbours in key order: stable ones (every fourth) are always there, the others come and go around them.
constexpr std::uint64_t stable_keys = 64;
constexpr std::uint64_t stable(std::uint64_t i) { return 4096 * (i + 1); }
constexpr std::uint64_t passing(std::uint64_t i, std::uint64_t n) { return stable(i) + 1 + n; }

using sherman_64 = sherman_tree<std::uint64_t, blob<64>, nodes_of<512>>;
using chime_64 = chime_tree<std::uint64_t, blob<64>, leaves_of<4>>;
using learned_64 = learned_hopscotch<std::uint64_t, blob<64>, model_of<4>>;

template <typename Index>
struct shared_index {
    explicit shared_index(std::size_t cache = 1U << 20U)
        : w(32U << 20U, 2), index(ok(Index::create(w.first.s, "t", cache))), t(index, w.first.s) {}
    world w;
    Index index;
    calls<Index, local_session> t;
};

/// Splits and merges leaves around the stable keys until `stop`.
template <typename Index>
void come_and_go(Index& index, local_client& client, std::uint64_t thread, std::atomic<bool> const& stop) {
    auto s = client.session();
    calls<Index, local_session> t(index, s);
    random_source random(test_seed(5), thread);
    while (!stop) {
        auto const i = random.below(stable_keys);
        auto const base = 64 * thread;
        for (std::uint64_t n = 0; n < 24; ++n) t.insert(passing(i, base + n), n);
        for (std::uint64_t n = 0; n < 24; ++n) t.erase(passing(i, base + n));
    }
    ok(sync_wait(s, release_all(s)));
}

} // namespace

TEMPLATE_TEST_CASE("a torn entry is never taken for an absent one", "[index][sherman][S1]", sherman_8_8_small,
                   chime_8_8_small, learned_8_8_small) {
    using index_type = TestType;
    shared_index<index_type> f;
    auto const seed = test_seed(5);
    CAPTURE(seed);
    for (std::uint64_t i = 0; i < stable_keys; ++i) f.t.insert(stable(i), 0);
    std::atomic<bool> stop{false};
    constexpr std::size_t readers = 2;
    run_threads(readers + 3, [&](std::size_t thread) {
        raise_at_end const end(stop); // the first reader that is done, or anyone who failed, ends it
        auto s = f.w.first.session();
        calls<index_type, local_session> t(f.index, s);
        random_source random(seed, thread);
        if (thread < readers) {
            for (std::size_t n = 0; n < scaled(2'000'000) && !stop; ++n)
                expect(t.find(stable(random.below(stable_keys))).has_value(), "a key that is always there was missed");
        } else if (thread == readers) {
            while (!stop) t.upsert(stable(random.below(stable_keys)), random.next());
        } else {
            come_and_go(f.index, f.w.first, thread, stop);
        }
        ok(sync_wait(s, release_all(s)));
    });
    f.t.sound();
}

TEMPLATE_TEST_CASE("an entry of several words is never seen half old and half new", "[index][sherman][S2]", sherman_64,
                   chime_64, learned_64) {
    using index_type = TestType;
    shared_index<index_type> f;
    auto const value_of = [](std::uint64_t n) {
        blob<64> b;
        b.bytes.fill(static_cast<std::uint8_t>(n));
        return b;
    };
    constexpr std::uint64_t keys = 4;
    for (std::uint64_t k = 0; k < keys; ++k) f.t.insert(k, value_of(k));
    std::atomic<bool> stop{false};
    run_threads(4, [&](std::size_t thread) {
        raise_at_end const end(stop);
        auto s = f.w.first.session();
        calls<index_type, local_session> t(f.index, s);
        random_source random(test_seed(6), thread);
        for (std::size_t n = 0; n < scaled(1'000'000) && !stop; ++n) {
            auto const k = random.below(keys);
            if (thread < 2) {
                t.upsert(k, value_of(random.next()));
                continue;
            }
            auto const found = t.find(k);
            expect(found.has_value(), "a key was missed");
            auto const& b = found->bytes;
            expect(std::all_of(b.begin(), b.end(), [&](auto x) { return x == b[0]; }), "a value is a mix of two");
        }
    });
    f.t.sound();
}

TEMPLATE_TEST_CASE("threads that insert into an empty tree all at once grow it without losing a key",
                   "[index][S3][S4][C3]", sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    using index_type = TestType;
    constexpr std::size_t threads = 4;
    constexpr std::uint64_t keys_each = 150;
    world w(32U << 20U, 2);
    auto other = w.join();
    for (std::size_t round = 0; round < scaled(120); ++round) {
        CAPTURE(round);
        auto index = ok(index_type::create(w.first.s, "t", 1U << 20U));
        auto second = ok(index_type::open(other.s, "t", 0));
        run_threads(threads, [&](std::size_t thread) {
            bool const remote = thread % 2 == 1; // half of them are another client: local locks do not help
            auto s = remote ? other.session() : w.first.session();
            calls<index_type, local_session> t(remote ? second : index, s);
            for (std::uint64_t i = 0; i < keys_each; ++i) {
                auto const k = mix64(round * 1000 + i) ^ thread;
                expect(t.insert(k, thread), "a new key was there already");
                expect(t.find(k) == thread, "a client does not see what it wrote");
            }
            ok(sync_wait(s, release_all(s)));
        });
        calls<index_type, local_session> t(index, w.first.s);
        auto const check = t.sound();
        REQUIRE(check.entries == threads * keys_each);
        REQUIRE((check.height >= 3 || has_model<index_type>));
        REQUIRE(check.nodes > keys_each * threads / 16);
        for (std::uint64_t i = 0; i < keys_each; ++i)
            for (std::uint64_t thread = 0; thread < threads; ++thread)
                REQUIRE(t.find(mix64(round * 1000 + i) ^ thread) == thread);
        t.drop();
    }
}

TEMPLATE_TEST_CASE("a scan returns every key that is always there exactly once, whatever splits and merges",
                   "[index][sherman][S7]", sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    using index_type = TestType;
    shared_index<index_type> f;
    auto other = f.w.join();
    auto second = ok(index_type::open(other.s, "t", 1U << 20U));
    for (std::uint64_t i = 0; i < stable_keys; ++i) f.t.insert(stable(i), i);
    std::atomic<bool> stop{false};
    run_threads(4, [&](std::size_t thread) {
        raise_at_end const end(stop);
        if (thread >= 2) {
            come_and_go(thread == 2 ? f.index : second, thread == 2 ? f.w.first : other, thread, stop);
            return;
        }
        auto s = (thread == 0 ? f.w.first : other).session();
        calls<index_type, local_session> t(thread == 0 ? f.index : second, s);
        for (std::size_t n = 0; n < scaled(30'000) && !stop; ++n) {
            auto const found = t.scan({.from = 0, .to = {}}, 4096);
            std::uint64_t next = 0;
            for (std::size_t i = 0; i < found.size(); ++i) {
                expect(i == 0 || found[i - 1].key < found[i].key, "a scan is not in ascending order");
                if (found[i].key % 4096 == 0)
                    expect(found[i].key == stable(next++), "a scan missed a key or saw it twice");
            }
            expect(next == stable_keys, "a scan ended too early");
        }
    });
    f.t.sound();
}

TEMPLATE_TEST_CASE("a lookup of many keys finds all that are always there, whatever splits and merges",
                   "[index][sherman][S7]", sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    using index_type = TestType;
    shared_index<index_type> f(0); // hardly any cache: every level is read
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < stable_keys; ++i) {
        f.t.insert(stable(i), i);
        keys.push_back(stable(i));
    }
    std::atomic<bool> stop{false};
    run_threads(3, [&](std::size_t thread) {
        raise_at_end const end(stop);
        if (thread > 0) {
            come_and_go(f.index, f.w.first, thread, stop);
            return;
        }
        auto s = f.w.first.session();
        calls<index_type, local_session> t(f.index, s);
        for (std::size_t n = 0; n < scaled(30'000) && !stop; ++n) {
            auto const found = t.find_many(keys);
            for (std::uint64_t i = 0; i < stable_keys; ++i)
                expect(found[i] == i, "a key that is always there was missed");
        }
    });
    f.t.sound();
}

TEST_CASE("keys and values that the original reserves are like any others", "[index][sherman]") {
    shared_index<sherman_8_8> f;
    for (std::uint64_t const k : {std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{1}}) {
        REQUIRE(f.t.insert(k, 0));
        REQUIRE(f.t.find(k) == 0U);
        REQUIRE_FALSE(f.t.upsert(k, ~std::uint64_t{0}));
        REQUIRE(f.t.find(k) == ~std::uint64_t{0});
        REQUIRE(f.t.erase(k));
        REQUIRE_FALSE(f.t.find(k));
    }
}
