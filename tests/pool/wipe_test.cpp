// SPDX-License-Identifier: Apache-2.0
// Removing a pool: what is left, who is shut out, who gets in between, and who finishes it when the wiper died.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catena/pool/catalog.hpp>
#include <catena/pool/wipe.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/every_death.hpp>
#include <support/mortal_fabric.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::clock_client;
using test::clock_fabric;
using test::has_text;
using test::local_client;
using test::mortal_fabric;
using test::ok;

namespace {

constexpr std::uint64_t node_bytes = (3U << 20U) + 4096 + 5; // no multiple of anything that is written
constexpr std::uint16_t nodes = 3;
constexpr pool_options options{.lease = 1000ms, .chunk_bytes = 0, .patience = 2ms};

bool all_zero(local_fabric& f) {
    for (std::uint16_t node = 0; node < f.node_count(); ++node) {
        auto const* const bytes = f.raw(node);
        if (std::any_of(bytes, bytes + f.node_bytes(), [](std::byte b) { return b != std::byte{}; })) return false;
    }
    return true;
}
/// Something in every page, so that nothing is zero by chance.
void fill(local_fabric& f) {
    for (std::uint16_t node = 0; node < f.node_count(); ++node)
        for (auto at = heap_offset; at < f.node_bytes(); at += 4096)
            f.raw(node)[std::min(at + 4095, f.node_bytes() - 1)] = std::byte{7};
}
superblock& block_of(local_fabric& f, std::uint16_t node) { return *reinterpret_cast<superblock*>(f.raw(node)); }

template <typename Client>
result<void> write(Client& c) {
    word const value = 1;
    op one = op::write({nodes - 1, heap_offset}, &value, sizeof value);
    return c.s.submit(one).await_resume();
}
template <typename Client>
bool fenced(Client& c) {
    auto const r = write(c);
    test::expect(r || r.error().code == errc::fenced, "another error");
    return !r;
}
template <typename T>
setup_error refusal(setup_result<T> const& r) {
    test::expect(!r, "should have been refused");
    return r.error();
}
template <typename Fabric>
setup_error refused_open(Fabric& f) {
    return refusal(memory_pool<Fabric>::open(f, options));
}
template <typename Fabric>
setup_error refused_create(Fabric& f) {
    return refusal(memory_pool<Fabric>::create(f, options));
}
/// An index without nodes: what the catalog says of it is enough here.
template <typename Session>
void enter_index(Session& s, std::string_view name) {
    index_spec spec;
    spec.set_name(name);
    spec.set_type("some");
    (void)ok(sync_wait(s, create_index(s, spec, [](catalog_handle) -> task<result<word>> { co_return word{1}; })));
}

struct mortal_scene {
    local_fabric memory = ok(local_fabric::create(node_bytes, nodes));
    mortal_fabric mortal{memory};
    std::optional<local_client> member;

    void begin() {
        member.emplace(local_client::create(memory, options));
        enter_index(member->s, "left");
        fill(memory);
    }
};

} // namespace

TEST_CASE("a wiped pool leaves zero memory, on which another pool can be made") {
    clock_fabric f(node_bytes, nodes);
    auto a = clock_client::create(f, options);
    auto b = clock_client::join(f, options);
    auto second = b.session();
    enter_index(a.s, "of the old pool");
    fill(f.memory());
    std::vector<std::uint64_t> steps;
    std::uint64_t all = 0;
    auto const report = ok(wipe_pool(f, [&](std::uint64_t done, std::uint64_t of) {
        steps.push_back(done);
        all = of;
    }));
    REQUIRE(all_zero(f.memory()));
    REQUIRE(report.members_fenced == 2);
    REQUIRE(report.bytes == nodes * node_bytes);
    REQUIRE(all == report.bytes);
    REQUIRE(std::is_sorted(steps.begin(), steps.end()));
    REQUIRE(steps.back() >= report.bytes - nodes * word_bytes);
    REQUIRE(f.clock.pauses == 0);

    auto next = clock_client::create(f, options);
    REQUIRE(ok(sync_wait(next.s, list_indexes(next.s))).empty());
    REQUIRE(fenced(a));
    REQUIRE(fenced(b));
    word const value = 1;
    op one = op::write({0, heap_offset}, &value, sizeof value);
    REQUIRE(second.submit(one).await_resume().error().code == errc::fenced);
    REQUIRE_FALSE(fenced(next));
}

TEST_CASE("members are shut out before anything is zero, and nobody opens or makes a pool while it is wiped") {
    clock_fabric f(node_bytes, nodes);
    auto member = clock_client::create(f, options);
    fill(f.memory());
    struct seen {
        bool fenced;
        setup_error open;
        setup_error create;
        std::byte data;
    };
    std::optional<seen> before; // the first zeros
    f.clock.on_submit = [&](batch ops) {
        if (before || ops[0].kind != op_kind::write || ops[0].length == word_bytes) return;
        before = seen{fenced(member), refused_open(f), refused_create(f), f.memory().raw(0)[heap_offset + 4095]};
    };
    (void)ok(wipe_pool(f));
    f.clock.on_submit = nullptr;
    REQUIRE(before.has_value());
    REQUIRE(before->fenced);
    REQUIRE_THAT(before->open.message, has_text("its pool is being wiped"));
    REQUIRE_THAT(before->create.message, has_text("catena-pool drop URI --all"));
    REQUIRE(before->data == std::byte{7});
    REQUIRE(all_zero(f.memory()));
}

TEST_CASE("a pool of one memory node is wiped as well, of the smallest size") {
    clock_fabric f(min_node_bytes, 1);
    { auto const gone = clock_client::create(f, options); }
    REQUIRE(ok(wipe_pool(f)).members_fenced == 0);
    REQUIRE(all_zero(f.memory()));
    auto const next = clock_client::create(f, options);
}

TEST_CASE("what is no pool is left as it is") {
    clock_fabric f(node_bytes, nodes);
    SECTION("nothing at all") {
        auto const e = refusal(wipe_pool(f));
        REQUIRE(e.code == errc::not_found);
        REQUIRE_THAT(e.message, has_text("there is no pool"));
        REQUIRE(all_zero(f.memory()));
    }
    SECTION("memory of somebody else") {
        { auto const gone = clock_client::create(f, options); }
        fill(f.memory());
        block_of(f.memory(), 1).magic = 42;
        auto const e = refusal(wipe_pool(f));
        REQUIRE(e.code == errc::bad_format);
        REQUIRE_THAT(e.message, has_text("memory node 1") && has_text("not a catena pool"));
        REQUIRE(block_of(f.memory(), 0).magic == pool_magic);
        REQUIRE(block_of(f.memory(), 2).magic == pool_magic);
    }
    SECTION("memory nodes of two pools, or in another order, or of another version") {
        { auto const gone = clock_client::create(f, options); }
        auto& block = block_of(f.memory(), 1);
        std::string said = "different pools";
        if (GENERATE(true, false)) {
            ++block.uuid.low;
        } else {
            block.node_count = 4;
            said = "node_count is 4, expected 3";
        }
        block.seal = seal_of(block);
        auto const e = refusal(wipe_pool(f));
        REQUIRE(e.code == errc::bad_format);
        REQUIRE_THAT(e.message, has_text(said));
        REQUIRE(block_of(f.memory(), 2).magic == pool_magic);
    }
}

TEST_CASE("a pool with damaged superblocks can be wiped") {
    clock_fabric f(node_bytes, nodes);
    auto member = clock_client::create(f, options);
    fill(f.memory());
    block_of(f.memory(), 0).seal ^= 1;
    block_of(f.memory(), 1).node_count ^= 8;
    REQUIRE(refused_open(f).code == errc::bad_format);
    REQUIRE(ok(wipe_pool(f)).members_fenced == 1);
    REQUIRE(all_zero(f.memory()));
    REQUIRE(fenced(member));
}

TEST_CASE("a member that cannot be shut out stops the wipe before anything is zero; the next one finishes it") {
    clock_fabric f(node_bytes, nodes);
    auto member = clock_client::create(f, options);
    enter_index(member.s, "still there");
    f.clock.fences_time_out = true;
    auto const e = refusal(wipe_pool(f));
    REQUIRE(e.code == errc::timed_out);
    REQUIRE_THAT(e.message,
                 has_text("slot " + std::to_string(member.pool.self().slot)) && has_text("wipe the pool again"));
    REQUIRE(ok(sync_wait(member.s, list_indexes(member.s))).size() == 1);
    REQUIRE_THAT(refused_open(f).message, has_text("is being wiped"));
    REQUIRE(refusal(wipe_pool(f)).code == errc::timed_out); // the wipe before counts as well
    f.clock.fences_time_out = false;
    REQUIRE(ok(wipe_pool(f)).members_fenced == 1);
    REQUIRE(all_zero(f.memory()));
    REQUIRE(fenced(member));
}

TEST_CASE("wherever the wiper dies nobody opens or makes a pool, until another wipe finished it") {
    std::uint64_t refused = 0;
    auto const deaths = test::die_at_every_operation<mortal_scene>(
        [](mortal_scene& t) { t.begin(); }, [](mortal_scene& t) { return wipe_pool(t.mortal); },
        [&](mortal_scene& t, std::uint64_t last) {
            bool const marked = is_wiping_mark(block_of(t.memory, nodes - 1).magic);
            if (t.mortal.life().dead() && marked) {
                ++refused;
                REQUIRE(refused_create(t.memory).code == errc::bad_format);
                bool const empty = block_of(t.memory, 0).magic == 0; // W8 was there
                REQUIRE(refused_open(t.memory).code == (empty ? errc::not_found : errc::bad_format));
                (void)ok(wipe_pool(t.memory));
            } else if (t.mortal.life().dead() && last <= nodes + 1U) { // not marked yet: it is a pool as before
                auto const other = local_client::join(t.memory, options);
                REQUIRE_FALSE(fenced(*t.member));
                return;
            }
            REQUIRE(all_zero(t.memory));
            REQUIRE(fenced(*t.member));
            auto const next = local_client::create(t.memory, options);
        });
    REQUIRE(refused > nodes);
    REQUIRE(refused + nodes + 3 >= deaths); // but for the reads, the CAS that failed to happen, and the last operation
}

TEST_CASE("who opened the pool before the wipe and joins after it is turned away") {
    clock_fabric f(node_bytes, nodes);
    auto const old = clock_client::create(f, options);
    bool const another = GENERATE(false, true);
    std::optional<clock_client> next;
    bool joining = false;
    f.clock.on_submit = [&](batch ops) { // the CAS by which it claims a slot
        if (joining || ops[0].kind != op_kind::cas) return;
        joining = true;
        (void)ok(wipe_pool(f));
        if (another) next.emplace(clock_client::create(f, options));
    };
    auto const e = refused_open(f);
    f.clock.on_submit = nullptr;
    REQUIRE(joining);
    REQUIRE(e.code == errc::bad_format);
    REQUIRE_THAT(e.message, has_text(another ? "another pool was made" : "there is no pool on it"));
    if (!another) next.emplace(clock_client::create(f, options));
    auto after = clock_client::join(f, options); // the record that it left disturbs nobody
    REQUIRE_FALSE(fenced(after));
    REQUIRE_FALSE(fenced(*next));
}

TEST_CASE("who joins while the pool is wiped is turned away, and leaves") {
    clock_fabric f(node_bytes, nodes);
    auto const old = clock_client::create(f, options);
    bool marked = false;
    std::optional<setup_error> late;
    f.clock.on_submit = [&](batch ops) { // the CAS by which it claims a slot
        if (marked || ops[0].kind != op_kind::cas) return;
        marked = true;
        f.clock.fences_time_out = true; // leaves the pool marked
        (void)refusal(wipe_pool(f));
        f.clock.fences_time_out = false;
    };
    REQUIRE_THAT(refused_open(f).message, has_text("is being wiped"));
    REQUIRE(marked);
    f.clock.on_submit = nullptr;
    REQUIRE(ok(wipe_pool(f)).members_fenced == 1); // it left: only the one of before is a member
}

TEST_CASE("of two that wipe at the same time one is shut out and harms no pool that is made afterwards") {
    clock_fabric f(node_bytes, nodes);
    auto const old = clock_client::create(f, options);
    fill(f.memory());
    std::optional<clock_client> next;
    f.clock.on_submit = [&](batch ops) { // before the first zeros of the first
        if (next || ops[0].kind != op_kind::write || ops[0].length == word_bytes) return;
        (void)ok(wipe_pool(f));
        next.emplace(clock_client::create(f, options));
    };
    auto const e = refusal(wipe_pool(f));
    f.clock.on_submit = nullptr;
    REQUIRE(e.code == errc::fenced);
    REQUIRE(next.has_value());
    auto const after = clock_client::join(f, options);
    REQUIRE(after.pool.geometry().uuid == next->pool.geometry().uuid);
}

TEST_CASE("a memory node 0 that lost its memory names no members: the wipe waits for a lease") {
    clock_fabric f(node_bytes, nodes);
    { auto const gone = clock_client::create(f, {.lease = 7000ms, .chunk_bytes = 0, .patience = 2ms}); }
    fill(f.memory());
    std::fill_n(f.memory().raw(0), node_bytes, std::byte{});
    auto const begin = f.clock.now;
    REQUIRE(ok(wipe_pool(f)).members_fenced == 0);
    REQUIRE(f.clock.now - begin >= 7000ms);
    REQUIRE(all_zero(f.memory()));
}

TEST_CASE("a last memory node that lost its memory is taken all the same") {
    clock_fabric f(node_bytes, nodes);
    auto member = clock_client::create(f, options);
    fill(f.memory());
    std::fill_n(f.memory().raw(nodes - 1), node_bytes, std::byte{});
    REQUIRE(ok(wipe_pool(f)).members_fenced == 1);
    REQUIRE(all_zero(f.memory()));
    REQUIRE(fenced(member));
}
