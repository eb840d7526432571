// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <catena/fabric/gates.hpp>

#include <support/catch.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::has_text;
using test::ok;

namespace {

constexpr client_id a{11}, b{22};

struct gates {
    std::unique_ptr<gate_area> area = std::make_unique<gate_area>();
    gate_table table{*area};
    [[nodiscard]] gate_pass connect(client_id id) { return ok(table.connect(id)); }
};

/// Can this channel write?
bool open(gate_pass& p) {
    bool const in = p.enter();
    if (in) p.leave();
    return in;
}

/// On a busy machine a thread may not run for longer than a fence waits.
void fence_at_last(gate_table& table, client_id id) {
    for (int tries = 0; tries < 100; ++tries) {
        auto const r = table.fence(id);
        if (r) return;
        test::expect(r.error().code == errc::timed_out, "another error");
    }
    throw test::failure("a batch that does not end");
}

/// A file that open file descriptions lock as the processes of a segment do. Closing one is how a process ends.
class lock_file {
public:
    lock_file() {
        auto const fd = ::mkstemp(path_.data());
        test::expect(fd >= 0, "mkstemp");
        ::close(fd);
    }
    lock_file(lock_file const&) = delete;
    lock_file& operator=(lock_file const&) = delete;
    ~lock_file() { ::unlink(path_.c_str()); }
    [[nodiscard]] int open() const { return ::open(path_.c_str(), O_RDWR | O_CLOEXEC); }

private:
    std::string path_ = "/tmp/catena-gates-XXXXXX";
};

/// What one process sees of shared gates.
struct process {
    process(gate_area& area, lock_file const& file)
        : fd(file.open()), slot(attachment::take(fd).value()), table(area, fd, slot) {}
    process(process const&) = delete;
    process& operator=(process const&) = delete;
    ~process() { die(); }
    void die() {
        if (fd >= 0) ::close(std::exchange(fd, -1));
    }

    int fd;
    unsigned slot;
    gate_table table;
};

/// The dead run no destructors: what they held stays as it is, for ever.
void bury(gate_pass&& p) {
    static auto* const graveyard = new std::deque<gate_pass>; // NOLINT: never destroyed, on purpose
    graveyard->push_back(std::move(p));
}

} // namespace

TEST_CASE("a fence shuts all gates of that client and no other") {
    gates g;
    auto a1 = g.connect(a), a2 = g.connect(a), b1 = g.connect(b), nobody = g.connect(anonymous_client);
    REQUIRE((open(a1) && open(a2) && open(b1) && open(nobody)));
    for (int times = 0; times < 2; ++times) {
        ok(g.table.fence(a));
        REQUIRE_FALSE(open(a1));
        REQUIRE_FALSE(open(a2));
        REQUIRE((open(b1) && open(nobody)));
    }
}

TEST_CASE("the anonymous cannot be fenced") {
    gates g;
    auto nobody = g.connect(anonymous_client);
    REQUIRE(g.table.fence(anonymous_client).error().code == errc::invalid_argument);
    REQUIRE(open(nobody));
}

TEST_CASE("what a client opens after it was fenced is fenced, had it a channel before or not") {
    gates g;
    SECTION("it has one") {
        auto const first = g.connect(a);
        ok(g.table.fence(a));
        auto second = g.connect(a);
        REQUIRE_FALSE(open(second));
    }
    SECTION("it had one") {
        (void)g.connect(a);
        ok(g.table.fence(a));
        auto second = g.connect(a);
        REQUIRE_FALSE(open(second));
    }
    SECTION("it never had one") {
        ok(g.table.fence(a));
        auto first = g.connect(a), other = g.connect(b);
        REQUIRE_FALSE(open(first));
        REQUIRE(open(other));
    }
    SECTION("and a thousand others were fenced since, but it kept a channel") {
        auto const first = g.connect(a);
        ok(g.table.fence(a));
        for (std::uint64_t i = 0; i < 3 * gate_area::remembered; ++i) ok(g.table.fence(client_id{1000 + i}));
        auto second = g.connect(a);
        REQUIRE_FALSE(open(second));
    }
    SECTION("and 1023 others were fenced since, and it kept none") {
        (void)g.connect(a);
        ok(g.table.fence(a));
        for (std::uint64_t i = 0; i + 1 < gate_area::remembered; ++i) ok(g.table.fence(client_id{1000 + i}));
        for (int again = 0; again < 2; ++again) ok(g.table.fence(client_id{1000})); // takes no room twice
        auto second = g.connect(a);
        REQUIRE_FALSE(open(second));
    }
}

TEST_CASE("gates are used again, and never by two at once") {
    gates g;
    auto const kept = g.connect(b);
    for (std::uint64_t i = 0; i < 10'000; ++i) {
        auto p = g.connect(client_id{100 + i}), q = g.connect(client_id{100 + i});
        REQUIRE((open(p) && open(q)));
        if (i % 3 == 0) ok(g.table.fence(client_id{100 + i})); // also those that were fenced
    }
    REQUIRE(g.area->high <= 3);
}

TEST_CASE("whoever has the gate of a client that was fenced is not fenced") {
    gates g;
    for (int i = 0; i < 3; ++i) {
        auto pa = g.connect(a);
        ok(g.table.fence(a));
        { auto const gone = std::move(pa); }
        auto pb = g.connect(b);
        REQUIRE(g.area->high == 1); // the same one
        REQUIRE(open(pb));
        ok(g.table.fence(a));
        REQUIRE(open(pb));
    }
}

TEST_CASE("more channels than gates is full, in words, until one ends") {
    gates g;
    std::vector<gate_pass> all;
    for (std::size_t i = 0; i < gate_area::gates_max; ++i) all.push_back(g.connect(client_id{1 + i}));
    auto const refused = g.table.connect(a);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().code == errc::full);
    REQUIRE_THAT(refused.error().message, has_text("4096 channels"));
    (void)g.connect(anonymous_client); // needs none
    all.erase(all.begin() + 77);
    auto again = g.connect(a);
    REQUIRE(open(again));
    ok(g.table.fence(client_id{1})); // and a full table does not keep anybody from being fenced
    ok(g.table.fence(b));
    REQUIRE_FALSE(open(all.front()));
}

TEST_CASE("a pass that is moved keeps its gate, and gives back the one it had") {
    gates g;
    auto first = g.connect(a);
    auto second = std::move(first);
    REQUIRE(open(second));
    auto other = g.connect(b);
    other = std::move(second); // b's gate is free now
    auto& same = other;
    other = std::move(same);
    auto third = g.connect(b);
    REQUIRE(g.area->high == 2);
    ok(g.table.fence(a));
    REQUIRE_FALSE(open(other));
    REQUIRE(open(third));
}

TEST_CASE("a fence waits for a batch that is under way, and says so if it does not end") {
    gates g;
    auto p = g.connect(a), later = g.connect(a);
    REQUIRE(p.enter());
    auto const begin = std::chrono::steady_clock::now();
    REQUIRE(g.table.fence(a).error().code == errc::timed_out);
    REQUIRE(std::chrono::steady_clock::now() - begin >= gate_table::patience);
    REQUIRE_FALSE(open(later)); // nothing new begins meanwhile
    p.leave();
    ok(g.table.fence(a));
    REQUIRE_FALSE(open(p));
    SECTION("another client's batch is none of its business") {
        auto other = g.connect(b);
        REQUIRE(other.enter());
        ok(g.table.fence(a));
        other.leave();
        REQUIRE(open(other));
    }
}

TEST_CASE("no channel is open after a fence, whenever it was connected") {
    gates g;
    auto const rounds = test::scaled(5000);
    std::atomic<std::uint64_t> going{0}, fenced{0}, done{0};
    test::run_threads(3, [&](std::size_t who) {
        for (std::uint64_t i = 1; i <= rounds; ++i) {
            client_id const id{i};
            if (who == 0) {
                while (done.load() + 200 < 2 * i) std::this_thread::yield(); // a fence is not remembered for ever
                going = i;
                for (unsigned spin = 0; spin < i % 60; ++spin) (void)fenced.load();
                fence_at_last(g.table, id);
                fenced = i;
                continue;
            }
            while (going.load() < i) std::this_thread::yield();
            for (bool over = false; !over;) { // until one connected after the fence: it must be shut as well
                over = fenced.load() >= i;
                auto p = ok(g.table.connect(id));
                for (int batch = 0; batch < 3; ++batch) {
                    bool const late = fenced.load() >= i;
                    bool const in = p.enter();
                    if (in) p.leave();
                    test::expect(!(late && in), "a fenced client came in");
                }
            }
            ++done;
        }
    });
    REQUIRE(g.area->high <= 4);
}

TEST_CASE("every claim of a gate has a control word of its own") {
    word control = 0;
    for (int i = 0; i < 1000; ++i) {
        auto const before = control;
        control = gate::next_claim(control, 1023);
        REQUIRE(control > before);
        REQUIRE(gate::attachment_of(control) == 1023);
        for (auto const s : {gate_state::free, gate_state::claiming, gate_state::open, gate_state::fenced}) {
            REQUIRE(gate::state_of(gate::with(control, s)) == s);
            REQUIRE(gate::next_claim(gate::with(control, s), 0) > control);
        }
        control = gate::with(control, i % 2 == 0 ? gate_state::fenced : gate_state::free);
    }
}

// The shortest batches there are, and as many fences as fit into a second: the window that W1 and W2 must not leave.
TEST_CASE("nothing of a batch comes after the fence, however short it is") {
    gates g;
    auto const until = std::chrono::steady_clock::now() + 1s;
    constexpr auto over_and_out = ~std::uint64_t{0};
    std::atomic<std::uint64_t> value{0}, ready{0}, over{0}, late{0};
    test::run_threads(2, [&](std::size_t who) {
        for (std::uint64_t i = 1; ready.load() != over_and_out; ++i) {
            client_id const id{i};
            if (who == 0) {
                auto p = ok(g.table.connect(id));
                auto next = value.load() + 1;
                for (ready = i; p.enter(); p.leave()) value.store(next++, std::memory_order_relaxed);
                for (over = i; ready.load() == i;) std::this_thread::yield();
                continue;
            }
            while (ready.load() != i) std::this_thread::yield();
            for (unsigned spin = 0; spin < i % 50; ++spin) (void)ready.load();
            fence_at_last(g.table, id);
            auto const then = value.load(std::memory_order_relaxed);
            while (over.load() < i) std::this_thread::yield();
            late += value.load() == then ? 0 : 1;
            ready = std::chrono::steady_clock::now() < until ? 0 : over_and_out;
        }
    });
    REQUIRE(late == 0);
}

TEST_CASE("threads that connect and end at once have gates of their own") {
    gates g;
    test::run_threads(4, [&](std::size_t who) {
        for (std::uint64_t i = 0; i < test::scaled(5000); ++i) {
            auto p = ok(g.table.connect(client_id{1 + who}));
            test::expect(p.enter(), "somebody else's fence");
            auto q = ok(g.table.connect(client_id{1 + who}));
            test::expect(q.enter(), "somebody else's gate");
            q.leave();
            p.leave();
        }
    });
    REQUIRE(g.area->high <= 8);
    for (std::size_t i = 0; i < g.area->high; ++i)
        REQUIRE(gate::state_of(g.area->gates[i].control) == gate_state::free);
}

TEST_CASE("the attachment of an open file is its own, seen by others, and ends with it") {
    lock_file const file;
    int const first = file.open(), second = file.open();
    REQUIRE(attachment::take(first) == 0U);
    REQUIRE(attachment::take(second) == 1U);
    REQUIRE(attachment::taken_by_another(second, 0));
    REQUIRE(attachment::taken_by_another(first, 1));
    REQUIRE_FALSE(attachment::taken_by_another(first, 0)); // not another
    REQUIRE_FALSE(attachment::taken_by_another(first, 2));
    int const copy = ::dup(first);
    ::close(first);
    REQUIRE(attachment::taken_by_another(second, 0)); // as after a fork: the copy holds it
    ::close(copy);
    REQUIRE_FALSE(attachment::taken_by_another(second, 0));
    ::close(second);
    REQUIRE(attachment::taken_by_another(second, 0)); // what cannot be asked counts as alive
}

TEST_CASE("a batch that a process left unfinished when it died holds up no fence") {
    auto const area = std::make_unique<gate_area>();
    lock_file const file;
    process here(*area, file), there(*area, file);
    auto p = ok(there.table.connect(a));
    REQUIRE(p.enter());
    REQUIRE(here.table.fence(a).error().code == errc::timed_out);  // it lives
    REQUIRE(there.table.fence(a).error().code == errc::timed_out); // its own attachment counts as alive, too
    there.die();
    auto const begin = std::chrono::steady_clock::now();
    ok(here.table.fence(a));
    REQUIRE(std::chrono::steady_clock::now() - begin < gate_table::patience);
    bury(std::move(p));
}

TEST_CASE(
    "the gates of a process that died are used again: by who takes its place, and by all when there is no other") {
    auto const area = std::make_unique<gate_area>();
    lock_file const file;
    process here(*area, file);
    std::vector<gate_pass> dead;
    {
        process there(*area, file);
        for (std::size_t i = 0; i < gate_area::gates_max; ++i) dead.push_back(ok(there.table.connect(a)));
        REQUIRE(dead.back().enter());
        REQUIRE(here.table.connect(b).error().code == errc::full);
    }
    SECTION("by who takes its place") {
        process const successor(*area, file);
        REQUIRE(successor.slot == 1);
        for (auto const& g : area->gates) REQUIRE(gate::state_of(g.control) == gate_state::free);
    }
    SECTION("by all") {
        std::vector<gate_pass> mine;
        for (std::size_t i = 0; i < gate_area::gates_max; ++i) {
            mine.push_back(ok(here.table.connect(b)));
            REQUIRE(open(mine.back()));
        }
        REQUIRE(here.table.connect(b).error().code == errc::full);
        ok(here.table.fence(a)); // the dead one; its gates are b's now
        REQUIRE(open(mine.back()));
        ok(here.table.fence(b));
        REQUIRE_FALSE(open(mine.back()));
    }
    for (auto& p : dead) bury(std::move(p));
}

TEST_CASE("a process that died while it claimed a gate leaves it to others, and is no client to a fence") {
    auto const area = std::make_unique<gate_area>();
    lock_file const file;
    process here(*area, file);
    {
        process const there(*area, file);
        area->high = 1;
        area->gates[0].control = gate::next_claim(0, there.slot);
        area->gates[0].client = static_cast<word>(a); // as its last holder left it
        area->gates[0].busy = 1;
        ok(here.table.fence(a));
        REQUIRE(gate::state_of(area->gates[0].control) == gate_state::claiming);
    }
    process const successor(*area, file);
    auto p = ok(here.table.connect(b));
    REQUIRE(area->high == 1);
    REQUIRE(open(p));
}
