// SPDX-License-Identifier: Apache-2.0
// Interleavings of trainings with everything else: clients are stopped before each of their batches, and others act there.
// (As index/chime_between_the_steps_test.cpp, but systematic: every step of a training, every step of the other call.)
#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/model_cache.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

/// As tests/torture/suites.cpp: three quads a leaf, at most six leaves an extent, six pieces a page. Trained by hand.
struct six_leaves : learned_options {
    static constexpr hopscotch_shape shape{.quads = 3};
    static constexpr std::size_t page_bytes = 256;
    static constexpr std::size_t directory_bytes = 4096;
    static constexpr std::size_t extent_bytes = 2048;
    static constexpr std::size_t batch_nodes = 4;
    static constexpr std::size_t trained_together = 2;
    static constexpr bool writers_train = false;
};
using tree_type = learned_hopscotch<std::uint64_t, std::uint64_t, six_leaves>;
struct trained_by_writers : six_leaves {
    static constexpr bool writers_train = true;
};
using eager_tree = learned_hopscotch<std::uint64_t, std::uint64_t, trained_by_writers>;
using leaf = tree_type::leaf;
using view = hopscotch_view<leaf>;
using piece = model_piece<std::uint64_t>;
using part = model_part<std::uint64_t>;
using session_type = clock_client::session_type;
using calls_type = calls<tree_type, session_type>;
using content_type = std::map<std::uint64_t, std::uint64_t>;
constexpr pool_options options{.lease = 1h, .patience = 100ms};

/// A thread that runs only while it is told to, and stops before every batch and at every pause.
class actor {
public:
    enum class stop : std::uint8_t { unborn, batch, pause, end };
    static inline thread_local actor* current = nullptr;

    explicit actor(std::function<void()> work)
        : thread_([this, work = std::move(work)] {
              await(true);
              current = this;
              work();
              yield(stop::end);
          }) {}
    actor(actor const&) = delete;
    actor& operator=(actor const&) = delete;
    ~actor() {
        while (!ended()) (void)resume();
        thread_.join();
    }

    /// Of whoever schedules: until the next stop.
    stop resume() {
        give(true);
        await(false);
        return where_;
    }
    /// Of the actor.
    void yield(stop where) {
        where_ = where;
        give(false);
        if (where != stop::end) await(true);
    }
    [[nodiscard]] bool ended() const noexcept { return where_ == stop::end; }

private:
    void give(bool to_actor) {
        std::lock_guard const guard(mutex_);
        turn_ = to_actor;
        changed_.notify_all();
    }
    void await(bool of_actor) {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [&] { return turn_ == of_actor; });
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool turn_ = false;
    stop where_ = stop::unborn;
    std::thread thread_; ///< last
};

/// Clients a, b and c with the same index, whose model all know: some pieces on some pages, and leaves that overflowed
/// twice around `crowded`.
struct scene {
    static constexpr std::uint64_t crowded = 510'000;

    clock_fabric fabric;
    clock_client a = clock_client::create(fabric, options);
    clock_client b = clock_client::join(fabric, options);
    clock_client c = clock_client::join(fabric, options);
    tree_type as_tree = ok(tree_type::create(a.s, "t", 0));
    tree_type bs_tree = ok(tree_type::open(b.s, "t", 0));
    tree_type cs_tree = ok(tree_type::open(c.s, "t", 0));
    calls_type as{as_tree, a.s}, bs{bs_tree, b.s}, cs{cs_tree, c.s};
    content_type content;
    std::vector<std::string> complaints;

    explicit scene(std::uint64_t keys = 70, std::uint64_t node_bytes = 1U << 20U) : fabric(node_bytes) {
        std::vector<entry<std::uint64_t, std::uint64_t>> sorted;
        for (std::uint64_t i = 1; i <= keys; ++i) put(mix64(i) % 1'000'000 + 1, i);
        for (auto const& [k, v] : content) sorted.push_back({.key = k, .value = v});
        as.bulk_load(sorted);
        for (std::uint64_t i = 0; i < 40; ++i) {
            auto const key = crowded - 200 + 10 * i;
            put(key, i);
            as.upsert(key, i);
        }
        for (auto* const client : {&as, &bs, &cs}) (void)client->find(crowded);
        arm();
    }
    void put(std::uint64_t key, std::uint64_t value) { content[key] = value; }

    void arm() {
        fabric.clock.on_submit = [this](batch) { stop_here(actor::stop::batch); };
        fabric.clock.on_pause = [this] { stop_here(actor::stop::pause); };
    }
    void stop_here(actor::stop where) {
        if (actor::current == nullptr) return;
        arm(); // the next one who comes by is to stop, too
        actor::current->yield(where);
    }
    void check(bool holds, std::string const& otherwise) {
        if (!holds) complaints.push_back(otherwise);
    }
    /// For actors.
    [[nodiscard]] std::function<void()> guarded(std::function<void()> work) {
        return [this, work = std::move(work)] {
            try {
                work();
            } catch (std::exception const& e) {
                complaints.emplace_back(e.what());
            }
        };
    }
    [[nodiscard]] std::function<void()> train(calls_type& by, std::uint64_t key = crowded) {
        return guarded([&by, key] { ok(sync_wait(by.session(), by.index().train(by.session(), key))); });
    }
    /// The leaf of the model that a key belongs to.
    [[nodiscard]] node_ref leaf_of(std::uint64_t key) {
        auto const list = [&]<typename Entry>(node_ref ref, std::uint64_t bytes, Entry) {
            std::vector<word> words(bytes / word_bytes);
            for (std::size_t i = 0; i < words.size(); ++i)
                words[i] = raw_read(fabric.memory(), ref.at() + i * word_bytes);
            model_list<Entry> const entries(words.data());
            std::size_t at = 0;
            while (at + 1 < entries.count() && !(key < entries.entry(at + 1).first)) ++at;
            return entries.entry(at);
        };
        auto const page = list(node_ref::from_word(root()), six_leaves::directory_bytes, part{}).page;
        auto const found = list(page, six_leaves::page_bytes, piece{});
        return leaf_in<leaf>(found.extent, found.line.leaf_of(key - found.first));
    }
    [[nodiscard]] word root() { return raw_read(fabric.memory(), as_tree.handle().root()); }
    [[nodiscard]] word lease() { return raw_read(fabric.memory(), as_tree.handle().lease()); }

    /// Everything is there, for clients that know what they know and for one that knows nothing; nothing is locked, no byte lost.
    void audit(std::initializer_list<session_type*> all_sessions) {
        fabric.clock.on_submit = nullptr;
        fabric.clock.on_pause = nullptr;
        if (other_index) calls_type(*other_index, a.s).drop();
        auto fresh = ok(tree_type::open(c.s, "t", 0));
        calls_type ds(fresh, c.s);
        for (auto* const client : {&ds, &cs})
            for (auto const& [k, v] : content)
                check(client->find(k) == v, "key " + std::to_string(k) + " has a wrong answer at the end");
        auto const all = cs.scan({.from = 0, .to = {}}, 1000);
        check(all.size() == content.size() &&
                  std::equal(all.begin(), all.end(), content.begin(),
                             [](auto const& e, auto const& kv) { return e.key == kv.first && e.value == kv.second; }),
              "a scan at the end has other entries");
        auto const report = cs.sound();
        check(report.entries == content.size(), "verify counts other entries");
        check(lease() == 0, "somebody has the lease at the end");
        auto const in_use = bytes_in_use(fabric.memory(), c.s.pool().geometry, all_sessions);
        check(in_use == report.remote_bytes,
              std::to_string(in_use) + " bytes are in use, not " + std::to_string(report.remote_bytes));
        say();
    }
    void audit() { audit({&a.s, &b.s, &c.s}); }

    /// What the last trainings freed becomes leaves of another index, with the same keys and other values, and of this one.
    void use_blocks_again() {
        if (!other_index) {
            other_index.emplace(ok(tree_type::create(a.s, "u", 0)));
            std::vector<entry<std::uint64_t, std::uint64_t>> sorted;
            for (auto const& [k, v] : content) sorted.push_back({.key = k, .value = v + 1'000'000});
            calls_type(*other_index, a.s).bulk_load(sorted);
        } else {
            ok(sync_wait(a.s, other_index->train(a.s, crowded)));
        }
        ok(sync_wait(a.s, as_tree.train(a.s, crowded)));
    }
    std::optional<tree_type> other_index;
    /// As audit, when only this client is left: what the others held is free after a reclaim.
    void audit_alone(calls_type& last) {
        fabric.clock.on_submit = nullptr;
        fabric.clock.on_pause = nullptr;
        auto& s = last.session();
        (void)ok(sync_wait(s, last.index().recover(s)));
        for (auto const& [k, v] : content) check(last.find(k) == v, "key " + std::to_string(k) + " is lost");
        check(last.sound().entries == content.size(), "verify counts other entries");
        check(lease() == 0, "somebody has the lease at the end");
        (void)ok(sync_wait(s, last.index().reclaim(s)));
        auto const seen = take_census(fabric.memory(), s.pool().geometry);
        for (auto const& complaint : seen.complaints) check(false, complaint);
        auto const used = last.sound().remote_bytes + bytes_in_hand(s);
        check(seen.astray <= 4096, "much is astray");
        check(seen.in_use() - seen.astray == used,
              std::to_string(seen.in_use()) + " bytes are in use, not " + std::to_string(used));
        say();
    }
    void say() {
        for (auto const& complaint : complaints) FAIL_CHECK(complaint);
        REQUIRE(complaints.empty());
    }
};

/// To the end; at some of its pauses the other one gets a step: not at each, so that somebody slow is met, too.
void finish(actor& who, actor* other = nullptr, std::size_t pauses_for_a_step = 3) {
    std::size_t pauses = 0;
    while (!who.ended())
        if (who.resume() == actor::stop::pause && ++pauses % pauses_for_a_step == 0 && other != nullptr &&
            !other->ended())
            (void)other->resume();
}
/// So many stops on. False: it ended.
bool advance(actor& who, std::size_t stops) {
    for (std::size_t i = 0; i < stops && !who.ended(); ++i) (void)who.resume();
    return !who.ended();
}

/// What a client may want from the part that is trained.
struct wish {
    char const* name;
    std::function<void(scene&, calls_type&)> act;
};

[[nodiscard]] std::vector<wish> reads() {
    auto const right = [](scene& t, calls_type& by) {
        for (auto const k : {scene::crowded - 200, scene::crowded, scene::crowded + 190})
            t.check(by.find(k) == t.content.at(k), "find: key " + std::to_string(k));
        t.check(!by.find(scene::crowded + 1), "find: a key that is not there");
    };
    auto const many = [](scene& t, calls_type& by) {
        std::vector<std::uint64_t> keys;
        for (auto const& [k, v] : t.content) keys.push_back(k);
        auto const found = by.find_many(keys);
        for (std::size_t i = 0; i < keys.size(); ++i)
            t.check(found[i] == t.content.at(keys[i]), "find_many: key " + std::to_string(keys[i]));
    };
    auto const scan = [](scene& t, calls_type& by) {
        auto const all = by.scan({.from = 400'000, .to = 600'000}, 1000);
        auto next = t.content.lower_bound(400'000);
        for (auto const& e : all) {
            t.check(next != t.content.end() && e.key == next->first && e.value == next->second,
                    "scan: key " + std::to_string(e.key));
            if (next != t.content.end()) ++next;
        }
        t.check(next == t.content.lower_bound(600'000), "scan: it ended too early");
    };
    return {{"find", right}, {"find_many", many}, {"scan", scan}};
}

[[nodiscard]] std::vector<wish> writes() {
    auto const upsert = [](scene& t, calls_type& by) {
        t.check(!by.upsert(scene::crowded + 20, 777), "upsert: the key was new");
        t.put(scene::crowded + 20, 777);
        auto const in_model = t.content.lower_bound(430'000)->first; // not in an overflow leaf
        t.check(!by.upsert(in_model, 778), "upsert: the key was new");
        t.put(in_model, 778);
    };
    auto const insert = [](scene& t, calls_type& by) { // some of them split a leaf
        for (std::uint64_t k = scene::crowded + 1; k < scene::crowded + 5; ++k) {
            t.check(by.insert(k, k), "insert: the key was there");
            t.put(k, k);
        }
    };
    auto const erase = [](scene& t, calls_type& by) {
        t.check(by.erase(scene::crowded + 30), "erase: the key was not there");
        t.content.erase(scene::crowded + 30);
    };
    return {{"upsert", upsert}, {"insert", insert}, {"erase", erase}};
}
[[nodiscard]] std::vector<wish> all_wishes() {
    auto all = reads();
    for (auto& w : writes()) all.push_back(std::move(w));
    return all;
}
[[nodiscard]] std::string answer_of(std::optional<std::uint64_t> const& v) {
    return v ? std::to_string(*v) : "nothing";
}
/// Right after a change: what does a client say that has known the old model since before?
void ask_late_reader(scene& t) {
    for (std::uint64_t k = scene::crowded; k < scene::crowded + 40; ++k) {
        auto const found = t.cs.find(k);
        auto const expected = t.content.find(k);
        t.check(expected == t.content.end() ? !found : found == expected->second,
                "a client with an old model reads " + answer_of(found) + " for key " + std::to_string(k));
    }
}

/// A key whose comparison may be the moment at which something else happens.
struct hooked_key {
    std::uint64_t value = 0;
    static inline std::function<void()> on_compare;
    friend bool operator==(hooked_key const&, hooked_key const&) = default;
    friend auto operator<=>(hooked_key const& a, hooked_key const& b) {
        if (on_compare) std::exchange(on_compare, nullptr)();
        return a.value <=> b.value;
    }
};
/// A model of one page; the piece that begins at `border` has the second extent.
struct small_generation {
    std::array<word, 32> directory_words{}, page_words{};
    node_ref root, page;
    small_generation(std::uint32_t n, std::uint64_t border)
        : root(model_ref({0, 64}, model_level::directory, n)), page(model_ref({0, 128}, model_level::page, n)) {
        model_list<model_piece<hooked_key>> const pieces(page_words.data());
        pieces.begin(1, {.level = 2, .incarnation = n}, n);
        pieces.add({.first = {0}, .extent = model_ref({0, 192}, model_level::extent, n), .line = {}});
        pieces.add({.first = {border}, .extent = model_ref({0, 256}, model_level::extent, n), .line = {}});
        model_list<model_part<hooked_key>> const parts(directory_words.data());
        parts.begin(1, {.level = 3, .incarnation = n}, n);
        parts.add({.first = {0}, .page = page});
    }
    void install_in(model_cache<hooked_key>& cache) {
        std::array const pages{model_list<model_piece<hooked_key>>(page_words.data())};
        std::array const refs{page};
        REQUIRE(cache.install(root, model_list<model_part<hooked_key>>(directory_words.data()), pages, refs));
    }
};

} // namespace

TEST_CASE("a lookup in the copy of the model never mixes generations", "[index][steps]") {
    model_cache<hooked_key> cache(256);
    small_generation first(1, 100), second(2, 50), third(3, 40);
    first.install_in(cache);
    REQUIRE(cache.find({60})->extent == model_ref({0, 192}, model_level::extent, 1));
    hooked_key::on_compare = [&] { // the copy of the first page becomes that of the third one
        second.install_in(cache);
        third.install_in(cache);
    };
    REQUIRE(cache.find({60})->extent == model_ref({0, 256}, model_level::extent, 3));
}

TEST_CASE("a generation that comes late does not replace a newer one", "[index][steps]") {
    model_cache<hooked_key> cache(256);
    small_generation first(1, 100), second(2, 50);
    second.install_in(cache);
    first.install_in(cache);
    REQUIRE(cache.directory() == second.root);
    REQUIRE(cache.find({60})->extent == model_ref({0, 256}, model_level::extent, 2));
}

TEST_CASE("a writer counts in the extent while it holds a leaf of it, which keeps the extent in use",
          "[index][steps]") {
    scene t;
    std::size_t counted = 0;
    t.fabric.clock.on_submit = [&](batch ops) {
        bool unlocked = false;
        for (auto const& o : ops) {
            bool const lock = o.kind == op_kind::write && o.length == word_bytes &&
                              lock_word(raw_read(t.fabric.memory(), o.target)).locked() &&
                              !lock_word(*static_cast<word const*>(o.local)).locked();
            bool const counts = o.kind == op_kind::faa && o.target.offset() > heap_begin(t.a.s.pool().geometry);
            unlocked |= lock;
            counted += counts;
            t.check(!counts || !unlocked, "it counts when the leaf is free already");
        }
    };
    for (std::uint64_t k = scene::crowded; k < scene::crowded + 40; ++k) (void)t.bs.upsert(k, k); // splits
    for (std::uint64_t k = 1; k <= 1'000'000; ++k) {
        auto const next = t.content.lower_bound(k);
        if (next == t.content.end()) break;
        k = next->first;
        (void)t.bs.erase(k);
    }
    t.fabric.clock.on_submit = nullptr;
    REQUIRE(counted > 10);
    t.say();
}

TEST_CASE("between any two steps of a training others read and write what they want", "[index][steps]") {
    bool const knows = GENERATE(true, false);
    for (auto const& w : all_wishes()) {
        std::size_t stops = 0;
        for (bool ended = false; !ended; ++stops) {
            CAPTURE(knows, w.name, stops);
            scene t;
            auto fresh = ok(tree_type::open(t.b.s, "t", 0));
            calls_type newcomer(fresh, t.b.s);
            actor trainer(t.train(t.as));
            ended = !advance(trainer, stops);
            actor other(t.guarded([&] { w.act(t, knows ? t.bs : newcomer); }));
            finish(other, &trainer);
            ask_late_reader(t);
            finish(trainer);
            t.audit();
        }
        REQUIRE(stops > 15);
    }
}

TEST_CASE("between any two steps of what another client does there may be whole trainings", "[index][steps]") {
    int const trainings = GENERATE(0, 1, 2); // before it begins: how old its model is
    for (auto const& w : all_wishes()) {
        std::size_t stops = 0;
        for (bool ended = false; !ended; ++stops) {
            CAPTURE(trainings, w.name, stops);
            scene t;
            for (int i = 0; i < trainings; ++i) t.use_blocks_again();
            actor other(t.guarded([&] { w.act(t, t.bs); }));
            ended = !advance(other, stops);
            actor trainer(t.guarded([&] {
                ok(sync_wait(t.a.s, t.as_tree.train(t.a.s, scene::crowded)));
                t.use_blocks_again();
                t.use_blocks_again();
            }));
            finish(trainer, &other);
            finish(other);
            ask_late_reader(t);
            t.audit();
        }
        REQUIRE(stops > 2);
    }
}

TEST_CASE("a writer and a trainer, each stopped between any two of its steps, lose nothing", "[index][steps]") {
    for (auto const& w : writes()) {
        bool trained = false;
        for (std::size_t i = 1; !trained; ++i) {
            bool written = false;
            for (std::size_t j = 1; !written; ++j) {
                CAPTURE(w.name, i, j);
                scene t;
                actor trainer(t.train(t.as));
                trained = !advance(trainer, i);
                actor writer(t.guarded([&] { w.act(t, t.bs); }));
                for (std::size_t step = 0; step < j && !writer.ended(); ++step)
                    if (writer.resume() == actor::stop::pause) break; // it waits for the trainer
                written = writer.ended() || j > 20;
                finish(trainer, &writer);
                finish(writer);
                ask_late_reader(t);
                t.audit();
            }
        }
    }
}

TEST_CASE("a directory that is replaced and used again while it is read in two pieces is not taken", "[index][steps]") {
    struct large : scene {
        large() : scene(70, 8U << 20U) {
            std::vector<entry<std::uint64_t, std::uint64_t>> sorted;
            as_tree = ok(tree_type::create(a.s, "large", 0));
            bs_tree = ok(tree_type::open(b.s, "large", 0));
            cs_tree = ok(tree_type::open(c.s, "large", 0));
            content.clear();
            for (std::uint64_t i = 1; i <= 9000; ++i) put(mix64(i) % 1'000'000 * (i % 2 + 1) + 1, i);
            put(crowded, 5);
            for (auto const& [k, v] : content) sorted.push_back({.key = k, .value = v});
            as.bulk_load(sorted);
            (void)bs.find(crowded);
        }
        [[nodiscard]] std::size_t directory_words() {
            auto const ref = node_ref::from_word(root());
            std::vector<word> words(model_list<part>::header_words);
            for (std::size_t i = 0; i < words.size(); ++i)
                words[i] = raw_read(fabric.memory(), ref.at() + i * word_bytes);
            return model_list<part>(words.data()).used_words();
        }
    };
    int const trainings = GENERATE(1, 3); // after one the page has another life, after three the directory
    std::size_t stops = 0;
    for (bool ended = false; !ended; ++stops) {
        CAPTURE(trainings, stops);
        large t;
        REQUIRE(t.directory_words() * word_bytes > 1024);
        ok(sync_wait(t.a.s, t.as_tree.train(t.a.s, t.content.rbegin()->first))); // so b has to ask
        auto const [key, value] = *t.content.rbegin();                           // in the last page
        actor reader(t.guarded([&, k = key, v = value] { t.check(t.bs.find(k) == v, "a wrong answer"); }));
        ended = !advance(reader, stops);
        for (int i = 0; i < trainings; ++i) { // more pages, too
            for (std::uint64_t k = 1; k < 60; ++k) {
                auto const next = 100 * k + static_cast<std::uint64_t>(i);
                t.put(next, k);
                t.as.upsert(next, k);
            }
            ok(sync_wait(t.a.s, t.as_tree.train(t.a.s, key))); // blocks of pages are those of other keys' pages then
            ok(sync_wait(t.a.s, t.as_tree.train(t.a.s, 1)));
        }
        finish(reader);
        for (auto const& [k, v] : t.content) t.check(t.bs.find(k) == v, "key " + std::to_string(k));
        t.say();
    }
    REQUIRE(stops > 6);
}

TEST_CASE("of two clients that want to train one waits for the other", "[index][steps]") {
    auto const where = GENERATE(scene::crowded, std::uint64_t{1}, std::uint64_t{990'000});
    std::size_t stops = 0;
    for (bool ended = false; !ended; ++stops) {
        CAPTURE(where, stops);
        scene t;
        actor first(t.train(t.as));
        ended = !advance(first, stops);
        actor second(t.train(t.bs, where));
        finish(second, &first);
        finish(first);
        REQUIRE(t.as_tree.cost_of_training().trainings == 2); // it loaded the index, too
        REQUIRE(t.bs_tree.cost_of_training().trainings == 1);
        t.audit();
    }
}

TEST_CASE("a writer does not wait for a training that it would begin itself", "[index][steps]") {
    std::size_t stops = 1, tried = 0;
    for (bool ended = false; !ended; ++stops) {
        CAPTURE(stops);
        scene t(400);
        actor trainer(t.train(t.as));
        ended = !advance(trainer, stops);
        if (t.lease() == 0) continue;
        ++tried;
        auto eager_one = ok(eager_tree::open(t.b.s, "t", 0));
        auto const pauses = t.fabric.clock.pauses;
        for (std::uint64_t k = 990'000; k < 990'040; ++k) { // many splits
            REQUIRE(ok(sync_wait(t.b.s, eager_one.insert(t.b.s, k, k))) == !t.content.contains(k));
            t.put(k, k);
        }
        REQUIRE(t.fabric.clock.pauses == pauses);
        REQUIRE(eager_one.cost_of_training().trainings == 0);
        finish(trainer);
        for (std::uint64_t k = 990'040; k < 990'080; ++k) {
            (void)ok(sync_wait(t.b.s, eager_one.upsert(t.b.s, k, k)));
            t.put(k, k);
        }
        REQUIRE(eager_one.cost_of_training().trainings > 0);
        t.audit();
    }
    REQUIRE(tried > 15);
}

TEST_CASE("a training whose trainer stands still is ended by whoever comes by; its trainer is too late then",
          "[index][steps]") {
    for (auto const& w : writes()) {
        std::size_t stops = 1, taken_over = 0;
        for (bool ended = false; !ended; ++stops) {
            CAPTURE(w.name, stops);
            scene t;
            result<void> trained;
            actor trainer([&] { trained = sync_wait(t.a.s, t.as_tree.train(t.a.s, scene::crowded)); });
            ended = !advance(trainer, stops);
            bool const has_lease = t.lease() != 0;
            bool const waited = !sync_wait(t.b.s, t.bs_tree.recover(t.b.s));
            REQUIRE(waited == has_lease); // a lives still, as far as b knows
            t.fabric.clock.now += 2h;
            taken_over += waited;
            w.act(t, t.bs);
            ask_late_reader(t);
            (void)ok(sync_wait(t.b.s, t.bs_tree.recover(t.b.s)));
            ask_late_reader(t);
            finish(trainer);
            REQUIRE(trained.has_value() == !has_lease);
            if (has_lease) REQUIRE(trained.error().code == errc::fenced);
            ask_late_reader(t);
            t.audit_alone(t.bs);
        }
        REQUIRE(taken_over > 10);
    }
}

TEST_CASE("who ends a training may stand still as well; then a third one ends it", "[index][steps]") {
    auto const& w = writes()[0];
    bool ended = false;
    std::size_t both = 0;
    for (std::size_t i = 1; !ended; ++i) {
        bool finished = false;
        for (std::size_t j = 1; !finished; j += 2) {
            CAPTURE(i, j);
            scene t;
            auto d = clock_client::join(t.fabric, options);
            auto ds_tree = ok(tree_type::open(d.s, "t", 0));
            calls_type ds(ds_tree, d.s);
            actor trainer([&] { (void)sync_wait(t.a.s, t.as_tree.train(t.a.s, scene::crowded)); });
            ended = !advance(trainer, i);
            if (t.lease() == 0) break;
            (void)sync_wait(t.b.s, t.bs_tree.recover(t.b.s));
            (void)sync_wait(d.s, ds_tree.recover(d.s));
            t.fabric.clock.now += 2h;
            actor second([&] { (void)sync_wait(t.b.s, t.bs_tree.recover(t.b.s)); });
            finished = !advance(second, j) || j > 60;
            (void)sync_wait(d.s, ds_tree.recover(d.s)); // b lives still, as far as d knows
            both += t.lease() != 0;
            t.fabric.clock.now += 2h;
            w.act(t, ds);
            ask_late_reader(t);
            (void)ok(sync_wait(d.s, ds_tree.recover(d.s)));
            finish(second);
            finish(trainer);
            ask_late_reader(t);
            t.audit_alone(ds);
        }
    }
    REQUIRE(both > 100);
}

TEST_CASE("a drop waits for a training, and a training that comes too late says so", "[index][steps]") {
    bool const training_first = GENERATE(true, false);
    std::size_t stops = 1;
    for (bool ended = false; !ended; ++stops) {
        CAPTURE(training_first, stops);
        scene t;
        result<void> trained, dropped;
        actor trainer([&] { trained = sync_wait(t.a.s, t.as_tree.train(t.a.s, scene::crowded)); });
        actor dropper([&] { dropped = sync_wait(t.b.s, t.bs_tree.drop(t.b.s)); });
        auto& first = training_first ? trainer : dropper;
        auto& second = training_first ? dropper : trainer;
        ended = !advance(first, stops);
        finish(second, &first, 1);
        finish(first);
        REQUIRE(dropped);
        if (!trained) REQUIRE(trained.error().code == errc::dropped);
        auto const found = sync_wait(t.c.s, t.cs_tree.find(t.c.s, scene::crowded));
        REQUIRE_FALSE(found);
        REQUIRE(found.error().code == errc::dropped);
        t.fabric.clock.on_submit = nullptr;
        REQUIRE(raw_read(t.fabric.memory(), t.as_tree.handle().lease()) == 0);
        t.cs_tree = ok(tree_type::create(t.c.s, "t", 0));
        t.content.clear();
        auto const in_use = bytes_in_use(t.fabric.memory(), t.c.s.pool().geometry, {&t.a.s, &t.b.s, &t.c.s});
        REQUIRE(in_use == t.cs.sound().remote_bytes);
        t.say();
    }
}

TEST_CASE("who meets the lock of somebody gone does not mend while a training is under way", "[index][steps]") {
    // Neither in the group, whose leaves the trainer takes over himself, nor elsewhere.
    auto const key = GENERATE(scene::crowded, std::uint64_t{999'000});
    std::size_t stops = 1, waited = 0;
    for (bool ended = false; !ended; ++stops) {
        CAPTURE(key, stops);
        scene t(400);
        std::optional<clock_client> gone = clock_client::join(t.fabric, options);
        auto const tag = gone->s.pool().self.tag();
        gone.reset();
        actor trainer(t.train(t.as));
        ended = !advance(trainer, stops);
        auto const ref = t.leaf_of(key);
        if (lock_word(raw_read(t.fabric.memory(), ref.at())).locked()) continue; // the trainer has it
        auto const free = raw_read(t.fabric.memory(), ref.at());
        raw_write(t.fabric.memory(), ref.at(), lock_word(free).held_by(tag).bits());
        if (t.lease() != 0) {
            ++waited;
            auto const written = sync_wait(t.b.s, t.bs_tree.upsert(t.b.s, key, 5));
            REQUIRE_FALSE(written);
            REQUIRE(written.error().code == errc::contended);
            REQUIRE(raw_read(t.fabric.memory(), ref.at()) == lock_word(free).held_by(tag).bits());
        }
        actor writer(t.guarded([&] { (void)t.bs.upsert(key, 6); }));
        t.put(key, 6);
        finish(writer, &trainer);
        finish(trainer);
        t.audit();
    }
    REQUIRE(waited > 3);
}

TEST_CASE("who has the handle of an index that was dropped leaves alone the lease of the one that took its place",
          "[index][steps]") {
    scene t; // b and c have the old handle
    t.as.drop();
    std::optional<clock_client> gone = clock_client::join(t.fabric, options);
    t.as_tree = ok(tree_type::create(t.a.s, "t", 0));
    REQUIRE(t.as_tree.handle().slot == t.bs_tree.handle().slot);
    auto const left = lock_word(true, gone->s.pool().self.tag(), 0, 0).bits(); // the new one was being trained
    raw_write(t.fabric.memory(), t.as_tree.handle().lease(), left);
    gone.reset();
    std::vector<entry<std::uint64_t, std::uint64_t>> const some{{.key = 1, .value = 1}};
    auto& s = t.b.s;
    for (auto const& why : {sync_wait(s, t.bs_tree.train(s, 1)), sync_wait(s, t.bs_tree.bulk_load(s, some))}) {
        REQUIRE_FALSE(why);
        REQUIRE(why.error().code == errc::dropped);
        REQUIRE(t.lease() == left);
    }
    auto const recovered = sync_wait(s, t.bs_tree.recover(s));
    REQUIRE_FALSE(recovered);
    REQUIRE(recovered.error().code == errc::dropped);
    REQUIRE(t.lease() == left);
    ok(sync_wait(t.a.s, t.as_tree.train(t.a.s, 1)));
    REQUIRE(t.lease() == 0);
    REQUIRE_FALSE(sync_wait(s, t.bs_tree.train(s, 1))); // it is free: nor is it kept
    REQUIRE(t.lease() == 0);
}

TEST_CASE("keys that no line divides evenly are in overflow leaves from the beginning", "[index][steps]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        clock_fabric fabric(1U << 20U);
        auto a = clock_client::create(fabric, options);
        auto tree = ok(tree_type::create(a.s, "t", 0));
        calls_type as(tree, a.s);
        content_type content;
        for (std::uint64_t cluster = 1; cluster <= 12; ++cluster) {
            auto const begin = mix64(seed * 100 + cluster) >> (24 + cluster * 3);
            auto const n = 1 + mix64(seed + cluster) % 14;
            for (std::uint64_t i = 0; i < n; ++i) content[begin + i * (1 + seed % 3)] = i;
        }
        std::vector<entry<std::uint64_t, std::uint64_t>> sorted;
        for (auto const& [k, v] : content) sorted.push_back({.key = k, .value = v});
        as.bulk_load(sorted);
        for (auto const& [k, v] : content) REQUIRE(as.find(k) == v);
        REQUIRE(as.scan({.from = 0, .to = {}}, 1000).size() == content.size());
        auto const before = as.sound();
        REQUIRE(before.entries == content.size());
        for (auto const& [k, v] : content) as.upsert(k, v + 1);
        ok(sync_wait(a.s, tree.train(a.s, content.begin()->first)));
        for (auto const& [k, v] : content) REQUIRE(as.find(k) == v + 1);
    }
}
