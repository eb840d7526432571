// SPDX-License-Identifier: Apache-2.0
// A client dies at every single operation of a training, a load, a drop, a write that trains, its last WRITE torn at random;
// then whoever ends what it left dies at every operation of that. And a memory node fails to answer once, anywhere.
// (As index/chime_dying_owner_test.cpp.)
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/mortal_scene.hpp>
#include <support/random.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/learned_hopscotch.hpp>

namespace catena::test {

/// Another client's view of a clock_fabric, to whom the memory nodes do not answer once: of that batch a part took effect.
struct disturbance {
    static constexpr std::uint64_t none = ~std::uint64_t{0};
    std::uint64_t batches_before = none;
    std::uint64_t took_effect = 0; ///< of two: nothing, half of it, all of it
    bool of_the_switch = false;    ///< it was a CAS of the word at `root`
    remote_ptr root;
    std::uint64_t batches = 0; ///< so far
};

class disturbed_channel {
public:
    static constexpr fabric_guarantees guarantees = clock_channel::guarantees;
    disturbed_channel(clock_channel channel, disturbance& d) noexcept : channel_(std::move(channel)), plan_(&d) {}

    [[nodiscard]] completed submit(batch ops) {
        ++plan_->batches;
        if (plan_->batches_before == disturbance::none || plan_->batches_before-- > 0) return channel_.submit(ops);
        plan_->batches_before = disturbance::none;
        plan_->of_the_switch = ops[0].kind == op_kind::cas && ops[0].target == plan_->root;
        auto const n = (ops.size() * plan_->took_effect + 1) / 2;
        if (n > 0) (void)channel_.submit(ops.first(n)).await_resume();
        return completed(make_error(errc::unreachable));
    }
    [[nodiscard]] completed fence(client_id id) noexcept { return channel_.fence(id); }
    [[nodiscard]] completed pause(std::chrono::nanoseconds d) { return channel_.pause(d); }
    void poll() const noexcept { channel_.poll(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return channel_.now(); }
    [[nodiscard]] fabric_stats& stats() noexcept { return channel_.stats(); }

private:
    clock_channel channel_;
    disturbance* plan_;
};

class disturbed_fabric {
public:
    using channel_type = disturbed_channel;
    static constexpr std::string_view name = "disturbed";
    explicit disturbed_fabric(clock_fabric& memory) : memory_(&memory) {}
    [[nodiscard]] std::uint16_t node_count() const noexcept { return memory_->node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return memory_->node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) {
        auto channel = memory_->connect(id);
        if (!channel) return channel.error();
        return channel_type(std::move(*channel), *plan_);
    }
    [[nodiscard]] disturbance& plan() noexcept { return *plan_; }

private:
    clock_fabric* memory_;
    std::unique_ptr<disturbance> plan_ = std::make_unique<disturbance>();
};

} // namespace catena::test

using namespace catena;
using namespace catena::test;

namespace {

/// Three quads a leaf, at most six leaves an extent, six pieces a page.
template <bool WritersTrain>
struct small_model : learned_options {
    static constexpr hopscotch_shape shape{.quads = 3};
    static constexpr std::size_t page_bytes = 256;
    static constexpr std::size_t directory_bytes = 1024;
    static constexpr std::size_t extent_bytes = 2048;
    static constexpr std::size_t batch_nodes = 4;
    static constexpr std::size_t trained_together = 2;
    static constexpr bool writers_train = WritersTrain;
};
template <bool WritersTrain>
using index_type = learned_hopscotch<std::uint64_t, std::uint64_t, small_model<WritersTrain>>;
using tree_type = index_type<false>;
using eager_type = index_type<true>; ///< the same index, opened by somebody who trains
using content_type = std::map<std::uint64_t, std::uint64_t>;
using list_type = std::vector<entry<std::uint64_t, std::uint64_t>>;
constexpr std::uint64_t crowded = 510'000;

[[nodiscard]] list_type sorted(content_type const& content) {
    list_type list;
    for (auto const& [k, v] : content) list.push_back({.key = k, .value = v});
    return list;
}

/// Pieces on some pages; leaves that overflowed twice around `crowded`. Several clients' copies of the model, all of them old
/// once somebody trains.
struct scene : mortal_scene<tree_type> {
    content_type content;
    std::vector<tree_type> old_models;
    eager_type victims_eager = ok(eager_type::open(victim.s, "t", 0));

    explicit scene(bool filled = true) : mortal_scene<tree_type>(1U << 20U) {
        if (filled) {
            for (std::uint64_t i = 1; i <= 60; ++i) content[mix64(i) % 1'000'000 + 1] = i;
            survivor.bulk_load(sorted(content));
            for (std::uint64_t i = 0; i < 40; ++i) {
                content[crowded + 10 * i] = i;
                survivor.upsert(crowded + 10 * i, i);
            }
        }
        for (int i = 0; i < 16; ++i) {
            old_models.push_back(ok(tree_type::open(w.first.s, "t", 0)));
            (void)ok(sync_wait(w.first.s, old_models.back().find(w.first.s, crowded)));
        }
        (void)ok(sync_wait(victim.s, victims_tree.find(victim.s, crowded)));
        (void)ok(sync_wait(victim.s, victims_eager.find(victim.s, crowded)));
    }
    [[nodiscard]] word root() { return raw_read(w.fabric, tree.handle().root()); }
    [[nodiscard]] word lease() { return raw_read(w.fabric, tree.handle().lease()); }
};

/// What the victim does.
using deed = std::function<result<void>(scene&)>;

/// A key that is in an old leaf still is not read there by anybody after somebody changed it in the new one. Every key is changed,
/// in an order of chance, by a client that knows nothing, and then read by one of those that knew the old model. What a client
/// reads first decides what it learns: there are many of them.
void change_all(scene& t) {
    auto& s = t.w.first.s;
    auto fresh = ok(tree_type::open(s, "t", 0));
    std::vector<std::uint64_t> order;
    for (auto const& [k, v] : t.content) {
        expect(ok(sync_wait(s, t.tree.find(s, k))) == v, "key " + std::to_string(k) + " has a wrong answer");
        order.push_back(k);
    }
    auto const seed = t.mortal.life().tear;
    std::sort(order.begin(), order.end(), [seed](auto a, auto b) { return mix64(a ^ seed) < mix64(b ^ seed); });
    for (std::size_t i = 0; i < order.size(); ++i) {
        auto const k = order[i];
        t.content[k] += 1'000'000;
        expect(!ok(sync_wait(s, fresh.upsert(s, k, t.content[k]))), "key " + std::to_string(k) + " was lost");
        auto& old_one = t.old_models[i % t.old_models.size()];
        expect(ok(sync_wait(s, old_one.find(s, k))) == t.content[k], "key " + std::to_string(k) + " has an old value");
    }
}

/// Everything that the dead held is free again.
void audit(scene& t) {
    auto& s = t.w.first.s;
    (void)ok(sync_wait(s, t.tree.recover(s)));
    auto const all = t.survivor.scan({.from = 0, .to = {}}, 1000);
    expect(std::equal(all.begin(), all.end(), t.content.begin(), t.content.end(),
                      [](auto const& e, auto const& kv) { return e.key == kv.first && e.value == kv.second; }),
           "a scan has other entries");
    auto const check = t.survivor.sound();
    expect(check.entries == t.content.size(), "verify counts other entries");
    expect(t.lease() == 0, "somebody has the lease");
    (void)ok(sync_wait(s, t.tree.reclaim(s)));
    auto const seen = take_census(t.w.fabric, s.pool().geometry);
    expect(seen.complaints.empty(), seen.complaints.empty() ? "" : seen.complaints.front());
    auto const used = t.survivor.sound().remote_bytes + bytes_in_hand(s);
    expect(seen.astray <= 2 * 2048, "much is astray");
    expect(seen.in_use() - seen.astray == used,
           std::to_string(seen.in_use() - seen.astray) + " bytes are in use, not " + std::to_string(used));
}

[[nodiscard]] std::uint64_t operations_of(bool filled, deed const& act) {
    scene t(filled);
    auto const before = t.mortal.life().operations;
    REQUIRE(act(t));
    return t.mortal.life().operations - before;
}

/// look: what is checked after the death, before the audit. most: so many of the last operations.
void die_at_every_operation(bool filled, std::uint64_t tears, deed const& act,
                            std::function<void(scene&, word)> const& look, std::uint64_t most = ~std::uint64_t{0}) {
    auto const operations = operations_of(filled, act);
    REQUIRE(operations > 0);
    auto const first = operations > most ? operations - most : 1;
    auto const seed = test_seed(13);
    std::uint64_t deaths = 0;
    for (std::uint64_t last = first; last <= operations; ++last)
        for (std::uint64_t tear = 0; tear < tears; ++tear) {
            CAPTURE(seed, last, operations, tear);
            scene t(filled);
            auto const root = t.root();
            t.mortal.life().tear = seed + 1000 * last + tear;
            t.mortal.life().operations_left = last;
            auto const acted = act(t);
            deaths += !acted; // how often the lease is renewed depends on the clock
            if (!acted) REQUIRE(acted.error().code == errc::unreachable);
            REQUIRE_NOTHROW(look(t, root));
            REQUIRE_NOTHROW(audit(t));
        }
    REQUIRE(deaths >= (operations - first) * tears / 2);
}

/// Somebody else comes to what is left and dies over it, too.
void die_over_what_is_left(std::uint64_t rounds, deed const& act, std::function<void(scene&, word)> const& look) {
    auto const operations = operations_of(true, act);
    auto const seed = test_seed(14);
    std::uint64_t both = 0;
    for (std::uint64_t round = 0; round < rounds; ++round)
        for (std::uint64_t last = 1; last <= operations; ++last) {
            random_source random(seed + 1000 * round + last);
            scene t;
            auto const root = t.root();
            t.mortal.life().tear = random.next();
            t.mortal.life().operations_left = last;
            if (act(t)) continue;
            mortal_fabric second(t.w.fabric);
            auto heir = scene::victim_client::join(second, t.options);
            auto heirs_tree = ok(tree_type::open(heir.s, "t", 0));
            auto const left = 1 + random.below(120);
            second.life().tear = random.next();
            second.life().operations_left = left;
            CAPTURE(seed, round, last, left);
            if (random.one_in(2))
                (void)sync_wait(heir.s, heirs_tree.train(heir.s, crowded));
            else
                (void)sync_wait(heir.s, heirs_tree.recover(heir.s));
            both += second.life().dead();
            REQUIRE_NOTHROW(look(t, root));
            REQUIRE_NOTHROW(audit(t));
        }
    REQUIRE(both > operations / 4);
}

} // namespace

TEST_CASE("a trainer that dies at any operation harms nobody: before the switch all is as before, after it all is new",
          "[index][dying]") {
    auto const die = [](scene& t) { return sync_wait(t.victim.s, t.victims_tree.train(t.victim.s, crowded)); };
    std::size_t before = 0, after = 0;
    auto const look = [&](scene& t, word root) {
        ++(t.root() == root ? before : after);
        change_all(t);
    };
    SECTION("once") { die_at_every_operation(true, 6, die, look); }
    SECTION("and whoever ends it") { die_over_what_is_left(4, die, look); }
    REQUIRE(before > 20);
    REQUIRE(after > 20);
}

TEST_CASE("a writer that trains and dies at any operation has done its write or not, and nothing else",
          "[index][dying]") {
    // Inserts until a leaf splits, then the training of its piece.
    constexpr std::uint64_t first = crowded + 5, step = 10, many = 60;
    auto const act = [](scene& t) {
        for (std::uint64_t i = 0; i < many; ++i) {
            auto const r = sync_wait(t.victim.s, t.victims_eager.insert(t.victim.s, first + step * i, i));
            if (!r) return result<void>(r.error());
        }
        return result<void>{};
    };
    {
        scene t;
        REQUIRE(act(t));
        REQUIRE(t.victims_eager.cost_of_training().trainings > 0);
    }
    auto const look = [&](scene& t, word) {
        std::uint64_t there = 0;
        for (std::uint64_t i = 0; i < many; ++i) {
            auto const found = t.survivor.find(first + step * i);
            expect(!found || *found == i, "an insert has another value");
            if (!found) continue;
            expect(there == i, "an insert is lost");
            t.content[first + step * i] = i;
            ++there;
        }
        change_all(t);
    };
    die_at_every_operation(true, 1, act, look, 300);
}

TEST_CASE("a bulk load that dies at any operation has loaded all or nothing", "[index][dying]") {
    content_type all;
    for (std::uint64_t i = 1; i <= 60; ++i) all[mix64(i) % 1'000'000 + 1] = i;
    auto const act = [&](scene& t) { return sync_wait(t.victim.s, t.victims_tree.bulk_load(t.victim.s, sorted(all))); };
    std::size_t full = 0, empty = 0;
    auto const look = [&](scene& t, word) {
        bool const loaded = t.survivor.find(all.begin()->first).has_value();
        ++(loaded ? full : empty);
        for (auto const& [k, v] : all)
            expect(t.survivor.find(k) == (loaded ? std::optional(v) : std::nullopt), "a part is there");
        if (loaded) t.content = all;
        change_all(t);
        if (!loaded) t.survivor.bulk_load(sorted(all));
        t.content = all;
        for (auto const& [k, v] : all) t.survivor.upsert(k, v);
    };
    die_at_every_operation(false, 2, act, look);
    REQUIRE(full > 0);
    REQUIRE(empty > 0);
}

TEST_CASE("a drop that dies at any operation is not begun, or can be ended by anybody", "[index][dying]") {
    auto const act = [](scene& t) { return sync_wait(t.victim.s, t.victims_tree.drop(t.victim.s)); };
    std::size_t dropped = 0;
    auto const look = [&](scene& t, word) {
        auto& s = t.w.first.s;
        auto const found = sync_wait(s, find_index(s, "t"));
        if (found) return change_all(t); // not begun
        expect(found.error().code == errc::dropped || found.error().code == errc::not_found, "another error");
        for (auto& old_one : t.old_models) {
            auto const asked = sync_wait(s, old_one.find(s, crowded));
            bool const says = !asked && asked.error().code == errc::dropped;
            bool const whole = asked && *asked == t.content.at(crowded); // it met no dead leaf
            expect(says || whole, "a dropped index has a wrong answer");
        }
        if (found.error().code == errc::dropped) ok(tree_type::drop(s, "t"));
        ++dropped;
        for (auto& old_one : t.old_models) {
            auto const asked = sync_wait(s, old_one.upsert(s, crowded, 1));
            expect(!asked && asked.error().code == errc::dropped, "a dropped index was written");
        }
        t.tree = ok(tree_type::create(s, "t", 0));
        t.content.clear();
        for (std::uint64_t i = 1; i <= 30; ++i) {
            t.content[100 * i] = i;
            t.survivor.upsert(100 * i, i);
        }
    };
    die_at_every_operation(true, 1, act, look);
    REQUIRE(dropped > 20);
}

namespace {

/// A client whom the memory nodes fail to answer once, and one whom they always answer.
struct disturbed_scene {
    static constexpr pool_options options{.lease = std::chrono::hours(1), .patience = std::chrono::milliseconds(20)};
    using client_type = basic_client<disturbed_fabric>;

    clock_fabric memory{1U << 20U};
    disturbed_fabric fabric{memory};
    clock_client b = clock_client::create(memory, options);
    std::optional<client_type> a = client_type::join(fabric, options);
    tree_type bs_tree = ok(tree_type::create(b.s, "t", 0));
    calls<tree_type, clock_client::session_type> bs{bs_tree, b.s};
    std::optional<tree_type> as_tree = ok(tree_type::open(a->s, "t", 0));
    content_type content;

    word first_root = 0;
    std::vector<node_ref> chained_before;

    explicit disturbed_scene(std::uint64_t keys = 60) {
        for (std::uint64_t i = 1; i <= keys; ++i) content[mix64(i) % 1'000'000 + 1] = i;
        bs.bulk_load(sorted(content));
        for (std::uint64_t i = 0; i < 40; ++i) {
            content[crowded + 10 * i] = i;
            bs.upsert(crowded + 10 * i, i);
        }
        (void)ok(sync_wait(a->s, as_tree->find(a->s, crowded)));
        fabric.plan().root = bs_tree.handle().root();
        first_root = root();
        chained_before = overflow_leaves();
    }
    [[nodiscard]] result<void> train() { return sync_wait(a->s, as_tree->train(a->s, crowded)); }
    [[nodiscard]] word lease() { return raw_read(memory.memory(), bs_tree.handle().lease()); }
    [[nodiscard]] word root() { return raw_read(memory.memory(), bs_tree.handle().root()); }
    /// Overflow leaves of the whole index.
    [[nodiscard]] std::vector<node_ref> overflow_leaves() {
        auto const list = [&]<typename Entry>(node_ref ref, std::uint64_t bytes, Entry) {
            std::vector<word> words(bytes / word_bytes);
            for (std::size_t i = 0; i < words.size(); ++i)
                words[i] = raw_read(memory.memory(), ref.at() + i * word_bytes);
            model_list<Entry> const entries(words.data());
            std::vector<Entry> all;
            for (std::size_t i = 0; i < entries.count(); ++i) all.push_back(entries.entry(i));
            return all;
        };
        using leaf = tree_type::leaf;
        std::vector<node_ref> found;
        for (auto const& part : list(node_ref::from_word(root()), 1024, model_part<std::uint64_t>{}))
            for (auto const& piece : list(part.page, 256, model_piece<std::uint64_t>{}))
                for (std::uint32_t i = 0; i < piece.line.leaves(); ++i) {
                    auto ref = leaf_in<leaf>(piece.extent, i);
                    for (;;) {
                        std::array<word, leaf::header_words> header{};
                        for (std::size_t w = 0; w < header.size(); ++w)
                            header[w] = raw_read(memory.memory(), ref.at() + w * word_bytes);
                        ref = hopscotch_view<leaf>(header.data()).link();
                        if (!ref) break;
                        found.push_back(ref);
                    }
                }
        return found;
    }
};

/// Of blocks that a session has in hand since they were freed.
template <typename Session>
[[nodiscard]] std::uint64_t bytes_freed(Session& s) {
    std::uint64_t bytes = 0;
    for (auto const& c : s.allocation().classes) bytes += c.freed.size() * c.bytes;
    return bytes;
}

} // namespace

TEST_CASE("who is disturbed while he ends a training leaves no leaf of it alive, whatever he does with free blocks",
          "[index][dying]") {
    std::size_t disturbed = 0;
    bool ended = false;
    std::uint64_t last = 0; // batches of a
    for (std::uint64_t at = 0; !ended; ++at) {
        auto const part = at % 2 * 2;
        CAPTURE(at, part);
        std::unique_ptr<disturbed_scene> of_the_dead;
        for (;; ++last) { // a fails right after its switch, and goes
            of_the_dead = std::make_unique<disturbed_scene>(300);
            of_the_dead->fabric.plan().batches_before = last;
            if (of_the_dead->train()) FAIL("no batch is behind the switch");
            if (of_the_dead->root() != of_the_dead->first_root) break;
        }
        auto& t = *of_the_dead;
        auto const chained = t.chained_before;
        REQUIRE(chained.size() > 3);
        t.as_tree.reset();
        t.a.reset();
        disturbed_fabric second(t.memory);
        auto f = disturbed_scene::client_type::join(second, disturbed_scene::options);
        auto fs_tree = ok(tree_type::open(f.s, "t", 0));
        second.plan().batches_before = at;
        second.plan().took_effect = part;
        ended = sync_wait(f.s, fs_tree.recover(f.s)).has_value();
        second.plan().batches_before = disturbance::none;
        disturbed += !ended;
        for (std::uint64_t k = 900'000; k < 900'030; ++k) (void)sync_wait(f.s, fs_tree.upsert(f.s, k, k)); // splits
        (void)ok(sync_wait(f.s, fs_tree.recover(f.s)));
        for (auto const ref : chained) {
            auto const meta = node_meta::from_word(raw_read(t.memory.memory(), ref.at() + meta_word * word_bytes));
            bool const same = names(ref, meta, fs_tree.handle().tag());
            bool const in_group = same && lock_word(raw_read(t.memory.memory(), ref.at())).locked();
            if (in_group) REQUIRE(meta.dead); // others are no part of what was trained
        }
    }
    REQUIRE(disturbed > 10);
}

TEST_CASE("a training that a memory node does not answer is undone, or goes on the next time", "[index][dying]") {
    std::uint64_t batches = 0;
    {
        disturbed_scene t;
        auto const before = t.fabric.plan().batches;
        REQUIRE(t.train());
        batches = t.fabric.plan().batches - before;
    }
    REQUIRE(batches > 15);
    std::size_t undone = 0, unfinished = 0;
    for (std::uint64_t at = 0; at < batches; ++at)
        for (std::uint64_t const part : {0, 1, 2})
            for (bool const goes_on : {true, false}) {
                CAPTURE(at, part, batches, goes_on);
                disturbed_scene t;
                auto old_one = ok(tree_type::open(t.b.s, "t", 0));
                (void)ok(sync_wait(t.b.s, old_one.find(t.b.s, crowded)));
                auto const root = t.root();
                t.fabric.plan().batches_before = at;
                t.fabric.plan().took_effect = part;
                auto const trained = t.train();
                REQUIRE(trained.has_value() == (t.fabric.plan().of_the_switch && part > 0)); // it can tell
                if (!trained) REQUIRE(trained.error().code == errc::unreachable);
                // a lives on; everybody reads what there is
                for (auto const& [k, v] : t.content) REQUIRE(t.bs.find(k) == v);
                bool const is_done = t.lease() == 0;
                if (t.root() == root && !t.fabric.plan().of_the_switch && at > 0) REQUIRE(is_done);
                ++(is_done ? undone : unfinished);
                if (!goes_on && !is_done) { // nobody can wait for a: it is gone
                    t.as_tree.reset();
                    t.a.reset();
                } else if (!is_done) {
                    REQUIRE(t.train());
                    REQUIRE(t.lease() == 0);
                }
                for (auto& [k, v] : t.content) {
                    v += 1'000'000;
                    REQUIRE_FALSE(t.bs.upsert(k, v));
                    REQUIRE(ok(sync_wait(t.b.s, old_one.find(t.b.s, k))) == v);
                }
                (void)ok(sync_wait(t.b.s, t.bs_tree.recover(t.b.s)));
                if (t.a && is_done && !t.fabric.plan().of_the_switch) {
                    auto const seen = take_census(t.memory.memory(), t.b.s.pool().geometry);
                    // Chunks may be lost until then, but no block that was written.
                    auto const written = t.bs.sound().remote_bytes + bytes_freed(t.a->s) + bytes_freed(t.b.s);
                    REQUIRE(seen.alive + seen.held <= written);
                }
                t.as_tree.reset();
                t.a.reset();
                (void)ok(sync_wait(t.b.s, t.bs_tree.reclaim(t.b.s)));
                auto const seen = take_census(t.memory.memory(), t.b.s.pool().geometry);
                REQUIRE(seen.complaints.empty());
                REQUIRE(seen.in_use() - seen.astray == t.bs.sound().remote_bytes + bytes_in_hand(t.b.s));
            }
    REQUIRE(undone > 20);
    REQUIRE(unfinished > 10);
}
