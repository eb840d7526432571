// SPDX-License-Identifier: Apache-2.0
// What a learned index is by itself: it grows by trainings, takes any distribution of keys, shrinks again, and a client
// whose model is old gets right answers. (What all indexes promise: contract_learned_test.cpp.)
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/costs.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>

#include "index/indexes.hpp"

using namespace catena;
using namespace catena::test;

namespace {

/// The i-th of keys that are spread evenly.
[[nodiscard]] constexpr std::uint64_t uniform(std::uint64_t i) noexcept { return mix64(i + 1); }

template <typename Index>
struct fixture {
    using key_type = typename Index::key_type;
    using value_type = typename Index::value_type;
    using entry_type = entry<key_type, value_type>;
    using change = mutation<key_type, value_type>;

    explicit fixture(std::uint64_t node_bytes = 64U << 20U) : w(node_bytes) {}

    /// Inserted one by one, in this order.
    void insert(std::span<key_type const> keys) {
        for (auto const& k : keys) {
            auto const value = make_value<value_type>(model.size());
            REQUIRE(t.insert(k, value) == model.try_emplace(k, value).second);
        }
    }
    /// Bulk load.
    void load(std::vector<key_type> keys) {
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        std::vector<entry_type> entries;
        for (auto const& k : keys) {
            entries.push_back({.key = k, .value = make_value<value_type>(model.size())});
            model.try_emplace(k, entries.back().value);
        }
        t.bulk_load(entries);
    }
    void erase(key_type const& k) {
        REQUIRE(t.erase(k));
        model.erase(k);
    }
    /// The index is sound, loses no memory, and find, find_many and scan agree about what it holds.
    index_check require_right() {
        auto const check = t.sound();
        REQUIRE(check.entries == model.size());
        REQUIRE(bytes_in_use(w.fabric, w.first.pool.geometry(), {&w.first.s}) == check.remote_bytes);
        require_found(t);
        return check;
    }
    /// As this client sees it.
    template <typename Calls>
    void require_found(Calls& c) {
        auto const all = c.all(lowest<key_type>(), [](key_type const& k) { return successor(k); });
        REQUIRE(std::equal(all.begin(), all.end(), model.begin(), model.end(),
                           [](auto const& e, auto const& m) { return e.key == m.first && e.value == m.second; }));
        std::vector<key_type> keys;
        for (auto const& [k, v] : model) keys.push_back(k);
        auto const found = c.find_many(keys);
        for (std::size_t i = 0; i < keys.size(); ++i) REQUIRE(found[i] == model.at(keys[i]));
        for (auto const& [k, v] : model) REQUIRE(c.find(k) == v);
    }
    [[nodiscard]] std::uint64_t trainings() const { return index.cost_of_training().trainings; }

    world w;
    Index index = ok(Index::create(w.first.s, "t", 0));
    calls<Index, local_session> t{index, w.first.s};
    std::map<key_type, value_type> model;
};

struct untrained : model_of<4> {
    static constexpr bool writers_train = false;
};
struct other_pages : learned_options {
    static constexpr std::size_t page_bytes = 2048;
};
struct other_ring : learned_options {
    static constexpr hopscotch_shape shape{.quads = 16, .last_home = 10};
};
struct others_may_differ : learned_options {
    static constexpr std::size_t extent_bytes = 16384;
    static constexpr std::size_t overflow_percent = 50;
    static constexpr bool writers_train = false;
};
struct small_extents : learned_options {
    static constexpr std::size_t extent_bytes = 16384;
};
struct one_kilobyte : small_model {
    static constexpr std::size_t directory_bytes = 1024;
};

template <typename KeyOf>
[[nodiscard]] auto keys_of(std::uint64_t n, KeyOf key_of) {
    std::vector<decltype(key_of(n))> keys;
    for (std::uint64_t i = 0; i < n; ++i) keys.push_back(key_of(i));
    return keys;
}

template <typename Fixture>
void report(std::string const& what, Fixture const& f, index_check const& check) {
    std::cout << what << ": " << f.model.size() << " keys, " << f.trainings() << " trainings, remote bytes a key "
              << each(check.remote_bytes, std::max<std::size_t>(1, f.model.size())) << ", " << check.nodes
              << " leaves, cache " << f.index.cache_bytes() << " bytes\n";
}

} // namespace

TEST_CASE("an index that grows key by key from nothing trains itself and stays small", "[index][learned]") {
    fixture<learned_8_8> f;
    auto const n = scaled(200'000);
    f.insert(keys_of(n, uniform));
    auto const check = f.require_right();
    report("uniform keys one by one", f, check);
    REQUIRE(f.trainings() > 0);
    REQUIRE(f.trainings() <= n / 500);
    auto const cost = f.index.cost_of_training();
    REQUIRE(cost.round_trips > cost.trainings);
    REQUIRE(cost.round_trips < n);
    REQUIRE(cost.verbs > cost.round_trips);
    REQUIRE(cost.bytes_written > check.remote_bytes / 2); // every leaf was written once
    if (sanitized) return;                                // too few keys to spread the bytes of directory and page over
    REQUIRE(each(check.remote_bytes, n) <= 44);
    REQUIRE(f.index.cache_bytes() <= 16'384); // of any number of leaves: two slots of a page, and the list of them
}

TEMPLATE_TEST_CASE("keys of any distribution may be inserted in any order", "[index][learned]", learned_8_8,
                   learned_8_8_small) {
    fixture<TestType> f;
    auto const n = scaled(20'000);
    std::string what;
    SECTION("ids in sequence, ascending") {
        what = "ascending ids";
        f.insert(keys_of(n, [](std::uint64_t i) { return 1'000'000 + i; }));
    }
    SECTION("ids in sequence, descending") {
        what = "descending ids";
        f.insert(keys_of(n, [](std::uint64_t i) { return 1'000'000 - i; }));
    }
    SECTION("a thousand dense clusters, filled one after the other") {
        what = "clusters, one after the other";
        f.insert(keys_of(n, [n](std::uint64_t i) { return (mix64(i / (n / 1000) + 1) & ~std::uint64_t{0xffff}) + i; }));
    }
    SECTION("a thousand dense clusters, filled together") {
        what = "clusters, together";
        f.insert(keys_of(n, [](std::uint64_t i) { return (mix64(i % 1000 + 1) & ~std::uint64_t{0xffff}) + i / 1000; }));
    }
    SECTION("every key twice as far away as the one before") {
        what = "powers of two and their neighbours";
        f.insert(keys_of(
            n, [](std::uint64_t i) { return (std::uint64_t{1} << i % 64) + i / 64 * (i % 64 < 16 ? 65536U : 1U); }));
    }
    auto const check = f.require_right();
    report(what, f, check);
    REQUIRE(f.trainings() > 0);
}

TEST_CASE("keys of 16 bytes whose high halves are all equal are told apart", "[index][learned]") {
    fixture<learned_blocks> f;
    auto const n = scaled(20'000);
    SECTION("low halves spread evenly") {
        f.insert(keys_of(n, [](std::uint64_t i) { return block_hash{.high = 7, .low = uniform(i)}; }));
    }
    SECTION("low halves in sequence") {
        f.insert(keys_of(n, [](std::uint64_t i) { return block_hash{.high = 7, .low = i}; }));
    }
    SECTION("high halves in sequence, low halves equal") {
        f.insert(keys_of(n, [](std::uint64_t i) { return block_hash{.high = i, .low = 7}; }));
    }
    auto const check = f.require_right();
    report("equal halves", f, check);
    REQUIRE(each(check.remote_bytes, n) <= 90); // entries of 24 bytes
}

TEST_CASE("whoever inserts into one gap between two keys gets leaves there", "[index][learned]") {
    fixture<learned_8_8> f;
    f.load(keys_of(scaled(100'000), uniform));
    auto const before = f.require_right();
    auto const at = std::next(f.model.begin(), static_cast<std::ptrdiff_t>(f.model.size() / 2));
    auto const low = at->first, high = std::next(at)->first;
    std::uint64_t trips = 0;
    auto const n = scaled(20'000);
    SECTION("by halves") { // 1/2, 1/4, 3/4, 1/8, ...: as even as can be, in a space that was next to nothing
        auto const begin = f.w.first.s.stats().round_trips;
        for (std::uint64_t i = 1; i <= n; ++i) {
            std::uint64_t fraction = 0; // the bits of i from the other end
            for (unsigned b = 0; b < 15; ++b) fraction |= (i >> b & 1U) << (14 - b);
            f.insert(std::array{low + 1 + ((high - low - 2) >> 15U) * fraction});
        }
        trips = f.w.first.s.stats().round_trips - begin;
    }
    SECTION("always next to the key below") { // each halves the gap that the one before left
        for (auto gap = high - low; gap > 2; gap /= 2) f.insert(std::array{low + gap / 2});
    }
    SECTION("one after the other") {
        auto const begin = f.w.first.s.stats().round_trips;
        for (std::uint64_t i = 1; i <= n; ++i) f.insert(std::array{low + i});
        trips = f.w.first.s.stats().round_trips - begin;
    }
    auto const check = f.require_right();
    report("one gap", f, check);
    std::cout << "... " << each(trips, n) << " round trips an insert\n";
    REQUIRE(each(trips, n) <= 20);
    REQUIRE(check.remote_bytes <= before.remote_bytes + 100 * n);
}

TEMPLATE_TEST_CASE("keys that all have the same home in their leaves get more leaves", "[index][learned]", learned_8_8,
                   learned_8_8_small) {
    using leaf = typename TestType::leaf;
    fixture<TestType> f; // a leaf has room for eight of them, whatever the model thinks it should get
    std::uint64_t made = 0;
    auto const next = [&](auto key_of) {
        while (leaf::home_of(key_of(++made)) != 1) {}
        return key_of(made);
    };
    auto const n = scaled(3000);
    SECTION("spread evenly") {
        for (std::uint64_t i = 0; i < n; ++i) f.insert(std::array{next(uniform)});
    }
    SECTION("in sequence") {
        for (std::uint64_t i = 0; i < n; ++i) f.insert(std::array{next([](std::uint64_t k) { return k; })});
    }
    SECTION("loaded") {
        f.load(keys_of(n, [&](std::uint64_t) { return next(uniform); }));
        for (std::uint64_t i = 0; i < n; ++i) f.insert(std::array{next(uniform)});
    }
    auto const check = f.require_right();
    report("one home", f, check);
    REQUIRE(check.nodes * 8 >= f.model.size());
    REQUIRE(check.nodes * 2 <= f.model.size());
}

TEMPLATE_TEST_CASE("a key that comes several times in a batch is inserted once", "[index][learned]", learned_8_8,
                   learned_8_8_small) {
    using change = typename fixture<TestType>::change;
    fixture<TestType> f;
    for (std::uint64_t from = 0; from < scaled(20'000); from += 250) {
        std::vector<change> changes;
        for (std::uint64_t i = 0; i < 1000; ++i) changes.push_back({.key = uniform(from + i % 250), .value = i});
        f.t.apply(changes);
        for (std::uint64_t i = 0; i < 250; ++i) {
            std::size_t inserted = 0;
            for (auto c = i; c < 1000; c += 250) {
                REQUIRE((changes[c].outcome == mutation_outcome::inserted ||
                         changes[c].outcome == mutation_outcome::present));
                REQUIRE(changes[c].value == changes[i].value); // all were told the one in force
                inserted += changes[c].outcome == mutation_outcome::inserted ? 1 : 0;
            }
            REQUIRE(inserted == 1);
            f.model[changes[i].key] = changes[i].value;
        }
    }
    f.require_right();
}

TEMPLATE_TEST_CASE("a bulk load of any distribution is found again", "[index][learned]", learned_8_8,
                   learned_8_8_small) {
    fixture<TestType> f;
    auto const n = scaled(40'000);
    std::string what;
    SECTION("uniform") {
        what = "load, uniform";
        f.load(keys_of(n, uniform));
    }
    SECTION("clustered") {
        what = "load, clustered";
        f.load(keys_of(n, [](std::uint64_t i) { return (mix64(i % 200 + 1) & ~std::uint64_t{0xffff}) + i / 200; }));
    }
    SECTION("in sequence") {
        what = "load, in sequence";
        f.load(keys_of(n, [](std::uint64_t i) { return 1'000'000 + i; }));
    }
    auto const check = f.require_right();
    report(what, f, check);
    REQUIRE(f.trainings() == 1);
    REQUIRE(each(check.remote_bytes, n) <= 90);
    f.insert(
        keys_of(1000, [](std::uint64_t i) { return uniform(1'000'000 + i); })); // and it is an index like any other
    f.require_right();
}

TEST_CASE("a bulk load is refused once there was more than one leaf, or by entries in disorder", "[index][learned]") {
    fixture<learned_8_8> f;
    auto& s = f.w.first.s;
    using entry_type = fixture<learned_8_8>::entry_type;
    auto const refused = [&](std::vector<entry_type> const& entries) {
        auto const r = sync_wait(s, f.index.bulk_load(s, entries));
        return !r && r.error().code == errc::invalid_argument;
    };
    REQUIRE(refused({{2, 0}, {1, 0}}));
    REQUIRE(refused({{1, 0}, {1, 0}}));
    REQUIRE(f.require_right().nodes == 1);
    f.insert(std::array{std::uint64_t{5}});
    REQUIRE(refused({{1, 0}, {2, 0}}));
    f.erase(5);
    REQUIRE(f.require_right().nodes == 1);
    f.load({1, 2}); // one leaf, and empty again
    REQUIRE(refused({{3, 0}}));
    f.require_right();
}

TEMPLATE_TEST_CASE("what is erased gives its memory back", "[index][learned]", learned_8_8, learned_8_8_small) {
    fixture<TestType> f;
    auto const n = scaled(40'000);
    f.insert(keys_of(n, uniform));
    auto const full = f.require_right();
    for (std::uint64_t i = 0; i < n; ++i)
        if (i % 20 != 0) f.erase(uniform(i));
    auto const sparse = f.require_right();
    report("a twentieth left", f, sparse);
    for (std::uint64_t i = 0; i < n; i += 40) f.erase(uniform(i));
    auto const sparser = f.require_right();
    report("a fortieth left", f, sparser);
    if (!sanitized) REQUIRE(sparser.remote_bytes * 4 < full.remote_bytes);
    for (auto const& [k, v] : std::map(f.model)) f.erase(k);
    auto const empty = f.require_right();
    report("nothing left", f, empty);
    REQUIRE(empty.remote_bytes * 4 < full.remote_bytes);
    f.insert(keys_of(n, uniform)); // and it is as large as before
    REQUIRE(f.require_right().remote_bytes <= full.remote_bytes * 5 / 4);
}

TEST_CASE("an index that became empty is filled by a bulk load again once its owner trained it", "[index][learned]") {
    fixture<learned_8_8> f;
    auto& s = f.w.first.s;
    auto const keys = keys_of(scaled(40'000), uniform);
    f.load(keys);
    for (auto const k : keys) f.erase(k);
    std::vector<fixture<learned_8_8>::entry_type> const one{{1, 1}};
    auto const leaves = f.require_right().nodes;
    auto const loaded = sync_wait(s, f.index.bulk_load(s, one));
    REQUIRE(loaded.has_value() == (leaves == 1)); // nobody trains a piece only because its last key goes
    if (!loaded) {
        REQUIRE(loaded.error().code == errc::invalid_argument);
        ok(sync_wait(s, f.index.train(s, 0)));
        REQUIRE(f.require_right().nodes == 1); // all of it was one group
        f.load(keys);
        f.require_right();
    }
}

TEMPLATE_TEST_CASE("a training by hand changes nothing but the model", "[index][learned]", learned_8_8,
                   learned_8_8_small) {
    fixture<TestType> f;
    auto& s = f.w.first.s;
    auto const seed = test_seed(31);
    CAPTURE(seed);
    random_source random(seed);
    ok(sync_wait(s, f.index.train(s, 7))); // of nothing
    REQUIRE(f.require_right().nodes == 1);
    for (std::uint64_t round = 0; round < 10; ++round) {
        f.insert(keys_of(scaled(3000), [&](std::uint64_t) { return random.next(); }));
        for (auto const at : {std::uint64_t{0}, random.next(), ~std::uint64_t{0}})
            ok(sync_wait(s, f.index.train(s, at)));
        f.require_right();
    }
}

TEST_CASE("an index that nobody trains is right, and is trained by whoever calls for it", "[index][learned]") {
    fixture<learned_hopscotch<std::uint64_t, std::uint64_t, untrained>> f;
    auto& s = f.w.first.s;
    f.insert(keys_of(scaled(4000), uniform)); // one leaf of the model, and a chain behind it
    REQUIRE(f.trainings() == 0);
    auto const chain = f.require_right();
    REQUIRE(chain.nodes > scaled(4000) / 16);
    ok(sync_wait(s, f.index.train(s, 7)));
    REQUIRE(f.trainings() == 1);
    auto const trained = f.require_right();
    auto const before = s.stats().round_trips;
    for (auto const& [k, v] : f.model) REQUIRE(f.t.find(k) == v);
    REQUIRE(each(s.stats().round_trips - before, f.model.size()) < 1.5); // it was half the chain
    report("trained by hand", f, trained);
}

namespace {

/// Two clients; the second knows the model of then, and everything was trained anew since.
template <typename Index>
struct stale_view : fixture<Index> {
    stale_view() {
        this->insert(keys_of(before, uniform));
        for (std::uint64_t i = 0; i < before; ++i) REQUIRE(second.find(uniform(i)) == i);
        for (std::uint64_t i = before; i < after; ++i) this->insert(std::array{uniform(i)});
        for (std::uint64_t at = 0; at < 64; ++at) // also what happens to have room still
            ok(sync_wait(this->w.first.s, this->index.train(this->w.first.s, at << 58U)));
    }
    /// What `call` of the second client costs in round trips.
    template <typename Call>
    [[nodiscard]] std::uint64_t trips(Call call) {
        auto const begin = other.s.stats().round_trips;
        call();
        return other.s.stats().round_trips - begin;
    }

    std::uint64_t const before = scaled(10'000);
    std::uint64_t const after = 2 * before;
    local_client other{this->w.join()};
    Index seen = ok(Index::open(other.s, "t", 0));
    calls<Index, local_session> second{seen, other.s};
};

} // namespace

TEMPLATE_TEST_CASE("a client whose model is old gets right answers from whatever it asks first", "[index][learned]",
                   learned_8_8, learned_8_8_small, learned_8_8_plain) {
    stale_view<TestType> v;
    using change = typename fixture<TestType>::change;
    SECTION("a lookup of one key, then of each") { REQUIRE(v.second.find(uniform(7)) == 7U); }
    SECTION("a lookup of a key that is not there") { REQUIRE_FALSE(v.second.find(uniform(v.after))); }
    SECTION("a lookup of many keys") {
        auto const keys = keys_of(v.after + 100, uniform);
        auto const found = v.second.find_many(keys);
        for (std::uint64_t i = 0; i < keys.size(); ++i) REQUIRE(found[i].has_value() == (i < v.after));
    }
    SECTION("an insert") {
        REQUIRE_FALSE(v.second.insert(uniform(7), 0));
        REQUIRE(v.second.insert(uniform(v.after), v.after));
        v.model[uniform(v.after)] = v.after;
    }
    SECTION("an upsert") {
        REQUIRE_FALSE(v.second.upsert(uniform(9), 5));
        v.model[uniform(9)] = 5;
    }
    SECTION("an erase") {
        REQUIRE(v.second.erase(uniform(9)));
        v.model.erase(uniform(9));
        REQUIRE_FALSE(v.second.erase(uniform(9)));
    }
    SECTION("many changes at once") {
        std::vector<change> changes;
        for (std::uint64_t i = 0; i < v.after; i += 3)
            changes.push_back({.key = uniform(i), .value = 0, .kind = mutation_kind::erase});
        v.second.apply(changes);
        for (auto const& c : changes) {
            REQUIRE(c.outcome == mutation_outcome::erased);
            v.model.erase(c.key);
        }
    }
    SECTION("a scan of everything") {
        auto const all = v.second.scan({.from = 0, .to = {}}, v.after + 1);
        REQUIRE(all.size() == v.after);
        for (std::size_t i = 1; i < all.size(); ++i) REQUIRE(all[i - 1].key < all[i].key);
    }
    SECTION("a training") { ok(sync_wait(v.other.s, v.seen.train(v.other.s, 7))); }
    v.require_found(v.second);
    v.require_found(v.t);
    REQUIRE(v.t.sound().entries == v.model.size());
    REQUIRE(bytes_in_use(v.w.fabric, v.w.first.pool.geometry(), {&v.w.first.s, &v.other.s}) ==
            v.t.check().remote_bytes);
}

TEST_CASE("a client whose model is old pays once for the new one", "[index][learned]") {
    stale_view<learned_8_8> v;
    // The leaf that was says that it is dead: that is looked at again with its header, which says in whose life. Then root
    // word, directory, and the page that changed, and the leaf that is.
    constexpr std::uint64_t dead = 2, model = 3, leaf = 1;
    auto const spent = v.trips([&] { REQUIRE(v.second.find(uniform(7)) == 7U); });
    std::cout << "find with an old model: " << spent << " round trips\n";
    REQUIRE(spent == dead + model + leaf);
    for (std::uint64_t i = 0; i < v.after; i += 17)
        REQUIRE(v.trips([&] { REQUIRE(v.second.find(uniform(i)) == i); }) <= 3); // in an overflow leaf, at most
    auto fresh = ok(learned_8_8::open(v.other.s, "t", 0));
    calls<learned_8_8, local_session> third(fresh, v.other.s);
    REQUIRE(v.trips([&] { REQUIRE(third.find(uniform(7)) == 7U); }) == model + leaf);
}

TEST_CASE("a learned index is opened with its layout only", "[index][learned][open]") {
    fixture<learned_8_8> f;
    auto& s = f.w.first.s;
    auto const refusal = [&]<typename Index>(Index const*) {
        auto const opened = Index::open(s, "t", 0);
        REQUIRE_FALSE(opened);
        REQUIRE(opened.error().code == errc::bad_format);
        return opened.error().message;
    };
    using paged = learned_hopscotch<std::uint64_t, std::uint64_t, other_pages>;
    using ringed = learned_hopscotch<std::uint64_t, std::uint64_t, other_ring>;
    REQUIRE_THAT(refusal(static_cast<paged const*>(nullptr)), has_text("layout_version is "));
    REQUIRE_THAT(refusal(static_cast<ringed const*>(nullptr)), has_text("layout_version is "));
    REQUIRE_THAT(refusal(static_cast<learned_8_8_small const*>(nullptr)), has_text(" is "));
    REQUIRE_THAT(refusal(static_cast<learned_blocks const*>(nullptr)), has_text("key_bytes is 8, expected 16"));
    REQUIRE_THAT(refusal(static_cast<chime_8_8 const*>(nullptr)), has_text("type is learned, expected chime"));
    REQUIRE(learned_hopscotch<std::uint64_t, std::uint64_t, others_may_differ>::open(s, "t", 0));
}

TEST_CASE("two clients may have extents of different sizes", "[index][learned]") {
    using small = learned_hopscotch<std::uint64_t, std::uint64_t, small_extents>;
    fixture<learned_8_8> f;
    auto other = f.w.join();
    auto index = ok(small::open(other.s, "t", 0));
    calls<small, local_session> o(index, other.s);
    for (std::uint64_t i = 0; i < scaled(20'000); ++i) {
        auto const k = uniform(i);
        REQUIRE((i % 2 == 0 ? f.t.insert(k, i) : o.insert(k, i)));
        f.model[k] = i;
    }
    REQUIRE(f.trainings() > 0);
    REQUIRE(index.cost_of_training().trainings > 0);
    f.require_found(o);
    f.require_found(f.t);
    REQUIRE(bytes_in_use(f.w.fabric, f.w.first.pool.geometry(), {&f.w.first.s, &other.s}) == f.t.sound().remote_bytes);
}

TEST_CASE("a pool of small chunks bounds extents and directory", "[index][learned]") {
    auto const node_bytes = GENERATE(std::uint64_t{1} << 20U, std::uint64_t{512} << 10U);
    fixture<learned_8_8> f(node_bytes);
    REQUIRE(f.w.first.pool.geometry().chunk_bytes < learned_options::directory_bytes);
    f.insert(keys_of(node_bytes / 128, uniform));
    auto const check = f.require_right();
    report("small chunks", f, check);
    REQUIRE(f.trainings() > 0);
}

TEST_CASE("an index whose directory has no room for more pages goes on without", "[index][learned]") {
    fixture<learned_hopscotch<std::uint64_t, std::uint64_t, one_kilobyte>> f;
    // About fifty pages of 360 keys.
    f.insert(keys_of(scaled(30'000), uniform)); // what took effect is reported as such
    auto const check = f.require_right();
    report("full directory", f, check);
    for (std::uint64_t i = 0; i < f.model.size(); i += 2) REQUIRE(f.t.find(uniform(i)));
}

TEST_CASE("a full pool refuses inserts, loses nothing, and can be emptied again", "[index][learned]") {
    auto const node_bytes = GENERATE(std::uint64_t{1} << 20U, std::uint64_t{4} << 20U);
    fixture<learned_8_8> f(node_bytes);
    auto& s = f.w.first.s;
    std::uint64_t next = 0;
    auto const fill = [&] {
        for (std::size_t refused = 0; refused < 100; ++next) { // some leaves still have room when others have not
            auto const r = sync_wait(s, f.index.insert(s, uniform(next), next));
            if (r) {
                REQUIRE(*r);
                f.model[uniform(next)] = next;
                continue;
            }
            REQUIRE(r.error().code == errc::out_of_memory);
            REQUIRE_FALSE(f.t.find(uniform(next)));
            ++refused;
        }
    };
    fill();
    auto const full = f.require_right();
    report("full pool of " + std::to_string(node_bytes >> 10U) + " KiB", f, full);
    for (auto const& [k, v] : f.model) REQUIRE_FALSE(f.t.insert(k, 0));
    auto const most = f.model.size();
    for (std::uint64_t i = 0; f.model.size() > most / 10; ++i)
        if (f.model.contains(uniform(i))) f.erase(uniform(i));
    f.require_right();
    fill();
    report("... and filled again", f, f.require_right());
    REQUIRE(f.model.size() >= most * 8 / 10);
    f.t.drop();
    REQUIRE(bytes_in_use(f.w.fabric, f.w.first.pool.geometry(), {&s}) == 0);
}

TEMPLATE_TEST_CASE("a drop gives all memory back, whatever the index went through", "[index][learned]", learned_8_8,
                   learned_8_8_small) {
    world w(8U << 20U, 2);
    auto& s = w.first.s;
    for (std::uint64_t round = 0; round < 5; ++round) {
        auto index = ok(TestType::create(s, "t", 0));
        calls<TestType, local_session> t(index, s);
        auto const n = scaled(8'000);
        for (std::uint64_t i = 0; i < n; ++i) t.insert(round % 2 == 0 ? uniform(i) : i, i);
        for (std::uint64_t i = 0; i < n; i += 1 + round) t.erase(round % 2 == 0 ? uniform(i) : i);
        t.drop();
        REQUIRE(bytes_in_use(w.fabric, w.first.pool.geometry(), {&s}) == 0);
        for (auto const& complaint : take_census(w.fabric, w.first.pool.geometry()).complaints) FAIL(complaint);
    }
}
