// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <catena/pool/memory_pool.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::has_text;
using test::ok;

namespace {

using pool_type = memory_pool<local_fabric>;
constexpr std::uint64_t size = 1U << 20U;

local_fabric memory(std::uint16_t nodes = 1, std::uint64_t bytes = size) {
    return ok(local_fabric::create(bytes, nodes));
}

template <typename T>
setup_error refusal(setup_result<T> const& r) {
    test::expect(!r, "should have been refused");
    return r.error();
}
pool_options impatient() { return {.lease = 1000ms, .chunk_bytes = 0, .patience = 2ms}; }
setup_error refused_open(local_fabric& f) { return refusal(pool_type::open(f, impatient())); }

superblock& block_of(local_fabric& f, std::uint16_t node) { return *reinterpret_cast<superblock*>(f.raw(node)); }

/// A fabric that promises less than the pool needs.
struct weak_channel : immediate_channel {
    static constexpr fabric_guarantees guarantees{.atomic_words = true};
    explicit weak_channel(immediate_channel c) : immediate_channel(std::move(c)) {}
};
struct weak_fabric {
    using channel_type = weak_channel;
    static constexpr std::string_view name = "weak";
    local_fabric memory;
    [[nodiscard]] std::uint16_t node_count() const noexcept { return memory.node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return memory.node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) { return channel_type(ok(memory.connect(id))); }
};

} // namespace

TEST_CASE("a pool that was created can be opened, with the same geometry and another member") {
    auto f = memory(3);
    auto const created = ok(pool_type::create(f, {.lease = 750ms, .chunk_bytes = 8192, .patience = 1s}));
    auto const opened = ok(pool_type::open(f));
    REQUIRE(opened.geometry().uuid == created.geometry().uuid);
    REQUIRE(opened.geometry().lease_ms == 750);
    REQUIRE(opened.geometry().chunk_bytes == 8192);
    REQUIRE(opened.geometry().node_bytes == size);
    REQUIRE(opened.geometry().node_count == 3);
    REQUIRE(opened.self().slot != created.self().slot);
}

TEST_CASE("two pools have different names") {
    auto a = memory(), b = memory();
    REQUIRE_FALSE(ok(pool_type::create(a)).geometry().uuid == ok(pool_type::create(b)).geometry().uuid);
}

TEST_CASE("a pool is not created over another one") {
    auto f = memory(2);
    auto const uuid = ok(pool_type::create(f)).geometry().uuid;
    auto const e = refusal(pool_type::create(f));
    REQUIRE(e.code == errc::already_exists);
    REQUIRE_THAT(e.message, has_text("open it instead"));
    REQUIRE(ok(pool_type::open(f)).geometry().uuid == uuid);
}

TEST_CASE("memory that holds no pool is refused") {
    auto f = memory();
    auto const zero = refused_open(f);
    REQUIRE(zero.code == errc::not_found);
    REQUIRE_THAT(zero.message, has_text("superblock.magic is 0"));
    std::memset(f.raw(0), 'x', 4096);
    REQUIRE_THAT(refused_open(f).message, has_text("superblock.magic"));
}

TEST_CASE("a pool is not created over memory that holds something else") {
    auto f = memory();
    std::memset(f.raw(0), 'x', 4096);
    auto const e = refusal(pool_type::create(f));
    REQUIRE(e.code == errc::bad_format);
    REQUIRE_THAT(e.message, has_text("not zero and not a catena pool"));
    REQUIRE(f.raw(0)[0] == std::byte{'x'});
}

TEST_CASE("a pool is created on all memory nodes or on none") {
    auto f = memory(3);
    auto const node = GENERATE(std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2});
    auto const word_0 = GENERATE(values<word>({pool_magic, 42, wiping_mark(7)}));
    CAPTURE(node, word_0);
    std::memcpy(f.raw(node), &word_0, sizeof word_0);
    REQUIRE(refusal(pool_type::create(f)).code == (word_0 == pool_magic ? errc::already_exists : errc::bad_format));
    for (std::uint16_t other = 0; other < 3; ++other)
        for (std::size_t at = other == node ? word_bytes : 0; at < heap_offset; ++at)
            if (f.raw(other)[at] != std::byte{0}) FAIL("memory node " << other << " was written at " << at);
}

TEST_CASE("opening waits for a create that is under way") {
    auto f = memory(2);
    std::optional<pool_type> created;
    std::thread creator([&] {
        std::this_thread::sleep_for(5ms);
        created.emplace(ok(pool_type::create(f)));
    });
    auto const opened = pool_type::open(f, {.lease = 1000ms, .chunk_bytes = 0, .patience = 20s});
    creator.join();
    REQUIRE(opened);
    REQUIRE(opened->geometry().uuid == created->geometry().uuid);
}

TEST_CASE("each field of a superblock that differs is refused by name, on every memory node") {
    auto const node = GENERATE(std::uint16_t{0}, std::uint16_t{1});
    CAPTURE(node);
    auto f = memory(2);
    { auto const created = ok(pool_type::create(f)); }
    auto& block = block_of(f, node);
    auto const reseal = [&] { block.seal = seal_of(block); };
    SECTION("another format version") {
        block.format_version = 9;
        reseal();
        REQUIRE_THAT(refused_open(f).message, has_text("format_version is 9, expected 3"));
    }
    SECTION("another memory node") {
        block.node = 7;
        reseal();
        REQUIRE_THAT(refused_open(f).message, has_text("superblock.node is 7"));
    }
    SECTION("another number of memory nodes") {
        block.node_count = 3;
        reseal();
        REQUIRE_THAT(refused_open(f).message, has_text("node_count is 3, expected 2"));
    }
    SECTION("another size") {
        block.node_bytes = 2 * size;
        reseal();
        REQUIRE_THAT(refused_open(f).message, has_text("node_bytes is 2097152, expected 1048576"));
    }
    SECTION("another pool") {
        block.uuid.low ^= 1;
        reseal();
        REQUIRE_THAT(refused_open(f).message, has_text("superblock.uuid"));
        REQUIRE_THAT(refused_open(f).message, has_text("different pools"));
    }
    SECTION("damaged") {
        block.chunk_bytes ^= 4096;
        REQUIRE_THAT(refused_open(f).message, has_text("superblock.seal"));
    }
    REQUIRE(refused_open(f).code == errc::bad_format);
}

TEST_CASE("memory nodes of two pools mixed are refused") {
    auto a = memory(2), b = memory(2);
    { auto const pa = ok(pool_type::create(a)); }
    { auto const pb = ok(pool_type::create(b)); }
    std::memcpy(a.raw(1), b.raw(1), size);
    auto const e = refused_open(a);
    REQUIRE(e.code == errc::bad_format);
    REQUIRE_THAT(e.message, has_text("memory node 1"));
    REQUIRE_THAT(e.message, has_text("different pools"));
}

TEST_CASE("memory nodes in another order are refused") {
    auto a = memory(2), b = memory(2);
    { auto const pool = ok(pool_type::create(a)); }
    std::memcpy(b.raw(0), a.raw(1), size);
    std::memcpy(b.raw(1), a.raw(0), size);
    REQUIRE_THAT(refused_open(b).message, has_text("superblock.node is 1, expected 0"));
}

TEST_CASE("sizes, leases and chunks outside their range are refused before anything is written") {
    auto tiny = memory(1, min_node_bytes - 64);
    REQUIRE(refusal(pool_type::create(tiny)).code == errc::invalid_argument);
    auto f = memory();
    REQUIRE_THAT(refusal(pool_type::create(f, {.lease = 0ms, .chunk_bytes = 0, .patience = 1s})).message,
                 has_text("lease"));
    REQUIRE(refusal(pool_type::create(f, {.lease = 3'600'001ms, .chunk_bytes = 0, .patience = 1s})).code ==
            errc::invalid_argument);
    for (std::uint64_t const chunk :
         {std::uint64_t{1}, std::uint64_t{4095}, std::uint64_t{5000}, size, ~std::uint64_t{4095}}) {
        CAPTURE(chunk);
        auto const e = refusal(pool_type::create(f, {.lease = 1000ms, .chunk_bytes = chunk, .patience = 1s}));
        REQUIRE(e.code == errc::invalid_argument);
        REQUIRE_THAT(e.message, has_text("chunk_bytes"));
    }
    REQUIRE(block_of(f, 0).magic == 0);
    auto smallest = memory(1, min_node_bytes);
    REQUIRE(pool_type::create(smallest));
}

TEST_CASE("a fabric that does not guarantee what the protocols need is refused") {
    weak_fabric f{memory()};
    auto const e = refusal(memory_pool<weak_fabric>::create(f));
    REQUIRE(e.code == errc::unsupported);
    REQUIRE_THAT(e.message, has_text("weak"));
    REQUIRE_THAT(e.message, has_text("ordered_batch"));
    REQUIRE(refusal(memory_pool<weak_fabric>::open(f)).code == errc::unsupported);
    REQUIRE(block_of(f.memory, 0).magic == 0);
}

TEST_CASE("usage counts the bytes of all memory nodes and the chunks that were taken of them") {
    test::world w(size, 2, {.lease = 1000ms, .chunk_bytes = 16384, .patience = 1s});
    auto const before = ok(pool_type::usage(w.first.s));
    REQUIRE(before.bytes == 2 * size);
    auto const begin = heap_begin(w.first.pool.geometry());
    REQUIRE(before.bytes_taken == 2 * begin);
    for (int i = 0; i < 3; ++i) (void)ok(sync_wait(w.first.s, allocate(w.first.s, 64)));
    REQUIRE(ok(pool_type::usage(w.first.s)).bytes_taken == 2 * begin + 2 * 16384);
}

TEST_CASE("a pool that ends leaves: its slot is free, and another one may take it") {
    auto f = memory();
    std::uint32_t slot = 0;
    {
        auto const pool = ok(pool_type::create(f));
        slot = pool.self().slot;
        REQUIRE((test::raw_read(f, member_at(slot)) & 1U) == 1);
    }
    REQUIRE((test::raw_read(f, member_at(slot)) & 1U) == 0);
}

TEST_CASE("a pool that is moved leaves once, when its last owner ends") {
    auto f = memory();
    auto first = std::make_optional(ok(pool_type::create(f)));
    auto const slot = first->self().slot;
    {
        auto second = std::move(*first);
        first.reset();
        REQUIRE((test::raw_read(f, member_at(slot)) & 1U) == 1);
        auto s = ok(second.open_session());
        (void)ok(sync_wait(s, allocate(s, 64)));
    }
    REQUIRE((test::raw_read(f, member_at(slot)) & 1U) == 0);
}

TEST_CASE("a pool whose slot was taken over does not free it for the new owner when it ends") {
    auto f = memory();
    std::uint32_t slot = 0;
    word const other = member_record::state_of(77, member_phase::joined);
    {
        auto const pool = ok(pool_type::create(f));
        slot = pool.self().slot;
        test::raw_write(f, member_at(slot), other);
    }
    REQUIRE(test::raw_read(f, member_at(slot)) == other);
}
