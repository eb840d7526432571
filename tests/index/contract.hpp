// SPDX-License-Identifier: Apache-2.0
// The contract of an index: what every index type promises, checked against std::map. An index joins with one line: its
// type in the list of a TEMPLATE_TEST_CASE that calls index_contract<TestType>().
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <support/accounting.hpp>
#include <support/any_memory.hpp>
#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/index/index.hpp>

namespace catena::test {

template <typename Index>
class index_contract_suite {
public:
    using key_type = typename Index::key_type;
    using value_type = typename Index::value_type;
    using entry_type = entry<key_type, value_type>;
    using mutation_type = mutation<key_type, value_type>;
    using model_type = std::map<key_type, value_type>;
    using client_calls = calls<Index, any_session>;

    /// A pool and an empty index in it.
    struct fixture {
        explicit fixture(std::uint64_t pool_bytes = 16U << 20U, std::uint16_t nodes = 1, std::size_t cache = 1U << 20U)
            : w(pool_bytes, nodes), index(ok(Index::create(w.first.s, "t", cache))), t(index, w.first.s) {}

        /// The index holds exactly what the model holds, is sound, and no memory of the pool is lost.
        void require_equal(model_type const& model) {
            auto const check = t.sound();
            REQUIRE(check.entries == model.size());
            REQUIRE(bytes_in_use(w.fabric, w.first.pool.geometry(), {&w.first.s}) == check.remote_bytes);
            REQUIRE(same(everything(t), model));
        }

        any_world w;
        Index index;
        client_calls t;
    };

    [[nodiscard]] static key_type key(std::uint64_t n) { return make_key<key_type>(n); }
    [[nodiscard]] static value_type value(std::uint64_t n) { return make_value<value_type>(n); }
    [[nodiscard]] static std::vector<entry_type> everything(client_calls& t) {
        return t.all(lowest<key_type>(), [](key_type const& k) { return successor(k); });
    }
    template <typename Entries>
    [[nodiscard]] static bool same(Entries const& entries, model_type const& model) {
        return std::equal(entries.begin(), entries.end(), model.begin(), model.end(),
                          [](auto const& e, auto const& m) { return e.key == m.first && e.value == m.second; });
    }
    [[nodiscard]] static std::vector<entry_type> sorted_entries(model_type const& model) {
        std::vector<entry_type> entries;
        for (auto const& [k, v] : model) entries.push_back({.key = k, .value = v});
        return entries;
    }
    [[nodiscard]] static model_type some(std::uint64_t n) {
        model_type m;
        for (std::uint64_t i = 0; i < n; ++i) m[key(mix64(i + 1))] = value(i);
        return m;
    }

    // --- random mixes ---

    static void random_mix() {
        auto const seed = test_seed(1);
        CAPTURE(seed);
        fixture f;
        mixed_run(f.t, random_source(seed), 600, scaled(12000)); // a small universe: keys come and go
        fixture g;
        mixed_run(g.t, random_source(seed, 1), 20000, scaled(12000));
        auto const check = g.t.sound();
        REQUIRE(bytes_in_use(g.w.fabric, g.w.first.pool.geometry(), {&g.w.first.s}) == check.remote_bytes);
    }

    static void mixed_run(client_calls& t, random_source random, std::uint64_t universe, std::size_t steps) {
        model_type model;
        auto const any_key = [&] { return key(mix64(random.below(universe)) & ~std::uint64_t{15}); };
        auto const any_value = [&] { return value(random.below(4)); };
        for (std::size_t step = 0; step < steps; ++step) {
            // Waves: it grows for a while, then shrinks.
            bool const growing = step / (steps / 6 + 1) % 2 == 0;
            auto const k = any_key();
            auto const v = any_value();
            auto const there = model.find(k);
            bool const present = there != model.end();
            switch (random.below(growing ? 8 : 12)) {
            case 0: REQUIRE(t.find(k) == (present ? std::optional(there->second) : std::nullopt)); break;
            case 1:
                REQUIRE(t.insert(k, v) == !present);
                model.try_emplace(k, v);
                break;
            case 2: REQUIRE(t.insert_if_absent(k, v) == model.try_emplace(k, v).first->second); break;
            case 3:
                REQUIRE(t.upsert(k, v) == !present);
                model[k] = v;
                break;
            case 4:
                if (random.one_in(4)) mixed_scan(t, random, model, any_key);
                break;
            case 5:
                if (random.one_in(4)) mixed_lookups(t, random, model, any_key);
                break;
            case 6:
                if (random.one_in(3)) mixed_batch(t, random, model, any_key, any_value);
                break;
            case 7: {
                bool const equal = present && there->second == v;
                REQUIRE(t.erase_if(k, v) == equal);
                if (equal) model.erase(k);
                break;
            }
            default: REQUIRE(t.erase(k) == present); model.erase(k);
            }
        }
        REQUIRE(t.sound().entries == model.size());
        REQUIRE(same(everything(t), model));
    }

    template <typename AnyKey>
    static void mixed_scan(client_calls& t, random_source& random, model_type const& model, AnyKey any_key) {
        scan_range<key_type> range{.from = any_key(), .to = {}};
        if (random.one_in(2)) range.to = any_key();
        auto const most = static_cast<std::size_t>(random.below(200));
        std::vector<entry_type> expected;
        for (auto at = model.lower_bound(range.from); at != model.end() && expected.size() < most; ++at) {
            if (range.to && !(at->first < *range.to)) break;
            expected.push_back({.key = at->first, .value = at->second});
        }
        auto const found = t.scan(range, most);
        REQUIRE(std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                           [](auto const& a, auto const& b) { return a.key == b.key && a.value == b.value; }));
    }

    template <typename AnyKey>
    static void mixed_lookups(client_calls& t, random_source& random, model_type const& model, AnyKey any_key) {
        std::vector<key_type> keys(random.below(100));
        for (auto& k : keys) k = any_key(); // the same one several times, too
        auto const found = t.find_many(keys);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            auto const there = model.find(keys[i]);
            REQUIRE(found[i] == (there == model.end() ? std::nullopt : std::optional(there->second)));
        }
    }

    template <typename AnyKey, typename AnyValue>
    static void mixed_batch(client_calls& t, random_source& random, model_type& model, AnyKey any_key,
                            AnyValue any_value) {
        constexpr std::array kinds{mutation_kind::insert, mutation_kind::upsert, mutation_kind::erase,
                                   mutation_kind::erase_if};
        std::set<key_type> keys;
        for (auto n = random.below(120); keys.size() < n;) keys.insert(any_key());
        std::vector<mutation_type> changes;
        for (auto const& k : keys) changes.push_back({.key = k, .value = any_value(), .kind = kinds[random.below(4)]});
        std::shuffle(changes.begin(), changes.end(), std::minstd_rand(static_cast<unsigned>(random.next())));
        auto const asked = changes;
        t.apply(changes);
        for (std::size_t i = 0; i < changes.size(); ++i) {
            auto const& m = asked[i];
            auto const there = model.find(m.key);
            bool const present = there != model.end();
            auto const outcome = changes[i].outcome;
            switch (m.kind) {
            case mutation_kind::insert:
                REQUIRE(outcome == (present ? mutation_outcome::present : mutation_outcome::inserted));
                REQUIRE(changes[i].value == model.try_emplace(m.key, m.value).first->second);
                break;
            case mutation_kind::upsert:
                REQUIRE(outcome == (present ? mutation_outcome::replaced : mutation_outcome::inserted));
                model[m.key] = m.value;
                break;
            case mutation_kind::erase:
                REQUIRE(outcome == (present ? mutation_outcome::erased : mutation_outcome::absent));
                model.erase(m.key);
                break;
            default:
                if (!present) {
                    REQUIRE(outcome == mutation_outcome::absent);
                } else if (there->second == m.value) {
                    REQUIRE(outcome == mutation_outcome::erased);
                    model.erase(there);
                } else {
                    REQUIRE(outcome == mutation_outcome::differs);
                }
            }
        }
    }

    // --- shapes of keys ---

    static void key_orders() {
        // Keys that all have one number are one chain of leaves, which takes as many steps as there are: squared.
        bool const one_number = std::is_same_v<key_type, wide_key> && requires { Index::options::extent_bytes; };
        auto const n = scaled(one_number ? 2000 : 6000);
        auto const run = [&](auto key_of) {
            fixture f;
            model_type model;
            for (std::uint64_t i = 0; i < n; ++i) {
                auto const k = key_of(i);
                REQUIRE(f.t.insert(k, value(i)) == model.try_emplace(k, value(i)).second);
            }
            f.require_equal(model);
            std::size_t i = 0;
            for (auto at = model.begin(); at != model.end();) { // most of them go again
                if (++i % 7 == 0) {
                    ++at;
                    continue;
                }
                REQUIRE(f.t.erase(at->first));
                at = model.erase(at);
            }
            f.require_equal(model);
        };
        SECTION("ascending") {
            run([](std::uint64_t i) { return key(1000 + i); });
        }
        SECTION("descending") {
            run([](std::uint64_t i) { return key(1'000'000 - i); });
        }
        SECTION("clustered") {
            run([](std::uint64_t i) { return key((mix64(i / 100) & ~std::uint64_t{0xffff}) + i % 100); });
        }
        SECTION("hashes") {
            run([](std::uint64_t i) { return key(mix64(i)); });
        }
    }

    static void extreme_keys() {
        fixture f;
        model_type model;
        std::vector<key_type> const extremes{lowest<key_type>(),
                                             successor(lowest<key_type>()),
                                             key(0),
                                             key(1),
                                             key(std::uint64_t{1} << 63U),
                                             key(~std::uint64_t{0}),
                                             highest<key_type>()};
        for (auto const& k : extremes) REQUIRE_FALSE(f.t.find(k));
        for (auto const& k : extremes) REQUIRE_FALSE(f.t.erase(k));
        auto const all_present = [&] {
            for (auto const& k : extremes) REQUIRE(f.t.find(k) == model.at(k));
        };
        for (auto const& k : extremes) REQUIRE(f.t.insert(k, value(7)) == model.try_emplace(k, value(7)).second);
        all_present();
        for (auto const& [k, v] : some(scaled(3000))) {
            f.t.upsert(k, v);
            model[k] = v;
        }
        all_present();
        f.require_equal(model);
        for (auto const& k : extremes) REQUIRE(f.t.erase(k) == (model.erase(k) == 1));
        for (auto const& k : extremes) REQUIRE_FALSE(f.t.find(k));
        f.require_equal(model);
        REQUIRE(f.t.scan({.from = highest<key_type>(), .to = {}}, 10).empty());
        REQUIRE(f.t.scan({.from = lowest<key_type>(), .to = lowest<key_type>()}, 10).empty());
    }

    static void empty_arguments() {
        fixture f;
        REQUIRE(f.t.find_many({}).empty());
        f.t.apply({});
        REQUIRE(f.t.scan({.from = lowest<key_type>(), .to = {}}, 0).empty());
        std::array keys{key(1), key(2)};
        std::array<std::optional<value_type>, 1> found;
        auto const r = sync_wait(f.w.first.s, f.index.find_many(f.w.first.s, keys, found));
        REQUIRE_FALSE(r);
        REQUIRE(r.error().code == errc::invalid_argument);
        f.require_equal({});
    }

    static void tiny_cache() {
        auto const seed = test_seed(2);
        CAPTURE(seed);
        fixture f(16U << 20U, 1, 0);
        mixed_run(f.t, random_source(seed), 20000, scaled(8000));
        REQUIRE(f.index.cache_bytes() <= f.index.cache_capacity_bytes());
    }

    // --- bulk load ---

    static void bulk_load() {
        constexpr auto leaf_fill = std::max<std::size_t>(2, Index::leaf::capacity * 9 / 10);
        fixture f;
        model_type model;
        SECTION("nothing") { f.t.bulk_load({}); }
        SECTION("one entry") { model = some(1); }
        SECTION("exactly one leaf") { model = some(leaf_fill); }
        SECTION("one more than a leaf") { model = some(leaf_fill + 1); }
        SECTION("many") { model = some(scaled(20000)); }
        f.t.bulk_load(sorted_entries(model));
        f.require_equal(model);
        for (auto const& [k, v] : model) REQUIRE(f.t.find(k) == v);
        for (std::uint64_t i = 0; i < 1000; ++i) { // and it is an index like any other
            auto const k = key(mix64(1'000'000 + i));
            REQUIRE(f.t.insert(k, value(i)));
            model[k] = value(i);
        }
        f.require_equal(model);
        while (model.size() > 10) {
            REQUIRE(f.t.erase(model.begin()->first));
            model.erase(model.begin());
        }
        f.require_equal(model);
    }

    static void bulk_load_refuses() {
        fixture f;
        auto& s = f.w.first.s;
        auto const refused = [&](std::vector<entry_type> const& entries) {
            auto const r = sync_wait(s, f.index.bulk_load(s, entries));
            return !r && r.error().code == errc::invalid_argument;
        };
        SECTION("entries that do not ascend") {
            auto entries = sorted_entries(some(500));
            std::swap(entries[250], entries[251]);
            REQUIRE(refused(entries));
            entries[250] = entries[251];
            REQUIRE(refused(entries));
            f.require_equal({});
        }
        SECTION("an index that has an entry") {
            f.t.insert(key(1), value(1));
            REQUIRE(refused(sorted_entries(some(500))));
            f.require_equal({{key(1), value(1)}});
        }
        SECTION("an index that has several levels") {
            auto const model = some(2000);
            f.t.bulk_load(sorted_entries(model));
            REQUIRE(refused(sorted_entries(some(500))));
            f.require_equal(model);
        }
    }

    static void bulk_load_without_room() {
        fixture f(min_node_bytes + 128U * 1024, 1);
        auto const too_many = some(20000);
        auto& s = f.w.first.s;
        auto const r = sync_wait(s, f.index.bulk_load(s, sorted_entries(too_many)));
        REQUIRE_FALSE(r);
        REQUIRE(r.error().code == errc::out_of_memory);
        f.require_equal({});
        auto const fits = some(300);
        f.t.bulk_load(sorted_entries(fits));
        f.require_equal(fits);
    }

    // --- memory ---

    static void out_of_memory() {
        fixture f(min_node_bytes + 128U * 1024, 1);
        auto& s = f.w.first.s;
        model_type model;
        std::uint64_t i = 0;
        auto const fill = [&](bool in_batches) {
            for (;;) {
                std::vector<mutation_type> changes(in_batches ? 100 : 1);
                for (auto& m : changes) {
                    m.key = key(mix64(++i));
                    m.value = value(i);
                }
                auto const r = sync_wait(s, f.index.apply(s, changes));
                for (auto const& m : changes) // what took effect says so
                    if (m.outcome == mutation_outcome::inserted) model[m.key] = m.value;
                if (r) continue;
                REQUIRE(r.error().code == errc::out_of_memory);
                return;
            }
        };
        fill(false);
        f.require_equal(model);
        // Again and again with little room: some leaves of a batch still find a block to split into, others do not.
        for (auto n = 0; n < 30; ++n) {
            auto first = model.begin();
            std::advance(first, static_cast<std::ptrdiff_t>(model.size() * static_cast<std::size_t>(n) / 40));
            for (std::size_t erased = 0; erased < model.size() / 15; ++erased) {
                REQUIRE(f.t.erase(first->first));
                first = model.erase(first);
            }
            f.require_equal(model);
            fill(true);
            f.require_equal(model);
        }
        auto const full = model.size();
        for (auto const& [k, v] : model_type(model)) { // erases make room again
            if (model.size() < full / 10) break;
            REQUIRE(f.t.erase(k));
            model.erase(k);
        }
        f.require_equal(model);
        fill(false);
        f.require_equal(model);
        // Under a model freed extents fit only pieces of their own size, and there is little room for others here.
        REQUIRE(model.size() > full * (requires(Index const& i) { i.cost_of_training(); } ? 5 : 8) / 10);
    }

    static void drop() {
        fixture f(min_node_bytes + 512U * 1024, 2);
        auto const room = (2 * 512U * 1024) / 3;
        auto other = f.w.join();
        std::uint64_t made = 0;
        auto const rounds = 4 + scaled(16); // each takes a third of the pool, so four of them need what was dropped
        for (std::uint64_t round = 0; round < rounds; ++round) {
            auto index = ok(Index::create(f.w.first.s, "again", 1U << 20U));
            client_calls t(index, f.w.first.s);
            auto seen_by_other = ok(Index::open(other.s, "again", 1U << 20U));
            client_calls o(seen_by_other, other.s);
            model_type model;
            for (std::uint64_t i = 0; i % 200 != 199 || t.check().remote_bytes < room; ++i) {
                auto const k = key(mix64(++made));
                t.insert(k, value(made));
                model[k] = value(made);
            }
            REQUIRE(same(everything(o), model));
            t.drop();
            auto const found = sync_wait(other.s, seen_by_other.find(other.s, model.begin()->first));
            REQUIRE_FALSE(found);
            REQUIRE(found.error().code == errc::dropped);
            auto const written = sync_wait(other.s, seen_by_other.insert(other.s, key(1), value(1)));
            REQUIRE_FALSE(written);
            REQUIRE(written.error().code == errc::dropped);
            std::vector<entry_type> out(10);
            REQUIRE_FALSE(sync_wait(other.s, seen_by_other.scan(other.s, {.from = lowest<key_type>(), .to = {}}, out)));
            REQUIRE_FALSE(sync_wait(f.w.first.s, index.drop(f.w.first.s)));
        }
        f.require_equal({});
        ok(sync_wait(other.s, release_all(other.s)));
    }

    static void memory_nodes() {
        constexpr std::uint16_t nodes = 2;
        fixture f(16U << 20U, nodes);
        for (auto const& [k, v] : some(scaled(20000))) f.t.insert(k, v);
        f.t.sound();
        auto const doorbells = f.w.first.s.stats().doorbells;
        auto const trips = f.w.first.s.stats().round_trips;
        std::array<std::size_t, nodes> on_node{};
        for (std::uint16_t node = 0; node < nodes; ++node) {
            std::memcpy(&on_node[node], f.w.fabric.raw(node) + cursor_offset, word_bytes);
            for (auto const& of_size : f.w.first.s.allocation().classes)
                for (auto const& chunk : of_size.chunks[node]) on_node[node] -= chunk.end - chunk.next;
        }
        REQUIRE(doorbells >= trips);
        auto const [least, most] = std::minmax_element(on_node.begin(), on_node.end());
        std::size_t apart = 64 * Index::options::node_bytes;      // freed blocks are used again by whoever has them
        if constexpr (requires { Index::options::extent_bytes; }) // and blocks of all sizes take turns together
            apart = std::max(apart, *most / 2);
        CAPTURE(*least, *most);
        REQUIRE(*most - *least <= apart);
    }

    static void run() {
        SECTION("random mixes of all calls agree with std::map") { random_mix(); }
        SECTION("keys may come in any order") { key_orders(); }
        SECTION("no key is reserved") { extreme_keys(); }
        SECTION("empty arguments are fine, unequal ones are refused") { empty_arguments(); }
        SECTION("a cache that holds next to nothing is slow and correct") { tiny_cache(); }
        SECTION("bulk load fills an empty index") { bulk_load(); }
        SECTION("bulk load refuses what it cannot do and changes nothing") { bulk_load_refuses(); }
        SECTION("bulk load without room changes nothing and gives the memory back") { bulk_load_without_room(); }
        SECTION("out of memory loses nothing, and erases make room again") { out_of_memory(); }
        SECTION("a dropped index is gone for everyone and its memory is used again") { drop(); }
        SECTION("memory nodes are filled evenly") { memory_nodes(); }
    }
};

template <typename Index>
void index_contract() {
    index_contract_suite<Index>::run();
}

} // namespace catena::test
