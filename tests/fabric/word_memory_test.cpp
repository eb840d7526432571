// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <catena/fabric/word_memory.hpp>

#include <support/catch.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>

using namespace catena;

namespace {

constexpr std::size_t arena = 64;
struct alignas(8) memory {
    std::array<std::byte, arena> bytes;
    explicit memory(std::uint8_t first) {
        for (std::size_t i = 0; i < arena; ++i) bytes[i] = static_cast<std::byte>(first + i);
    }
};

} // namespace

TEST_CASE("a write of any length at any offset changes its range and nothing beside it") {
    for (std::size_t offset = 0; offset < 24; ++offset)
        for (std::size_t length = 0; length <= 40; ++length)
            for (std::size_t skew = 0; skew < 2; ++skew) { // the local side aligned, and not
                CAPTURE(offset, length, skew);
                memory remote(0);
                memory const local(128);
                word_memory::copy_in(remote.bytes.data() + offset, local.bytes.data() + skew, length);
                memory expected(0);
                std::memcpy(expected.bytes.data() + offset, local.bytes.data() + skew, length);
                REQUIRE(remote.bytes == expected.bytes);
            }
}

TEST_CASE("a read of any length at any offset fills its range and nothing beside it") {
    for (std::size_t offset = 0; offset < 24; ++offset)
        for (std::size_t length = 0; length <= 40; ++length)
            for (std::size_t skew = 0; skew < 2; ++skew) {
                CAPTURE(offset, length, skew);
                memory const remote(0);
                memory local(128);
                memory expected(128);
                word_memory::copy_out(local.bytes.data() + skew, remote.bytes.data() + offset, length);
                std::memcpy(expected.bytes.data() + skew, remote.bytes.data() + offset, length);
                REQUIRE(local.bytes == expected.bytes);
            }
}

TEST_CASE("a compare-and-swap answers the word before, whether it swapped or not") {
    alignas(8) word target = 5;
    auto* const at = reinterpret_cast<std::byte*>(&target);
    op hit = op::cas({}, 5, 9);
    word_memory::execute(hit, at);
    REQUIRE((hit.fetched == 5 && hit.swapped() && target == 9));
    op miss = op::cas({}, 5, 11);
    word_memory::execute(miss, at);
    REQUIRE((miss.fetched == 9 && !miss.swapped() && target == 9));
    op same = op::cas({}, 9, 9);
    word_memory::execute(same, at);
    REQUIRE((same.swapped() && target == 9));
}

TEST_CASE("a fetch-and-add answers the word before, and wraps") {
    alignas(8) word target = ~word{0};
    op add = op::faa({}, 3);
    word_memory::execute(add, reinterpret_cast<std::byte*>(&target));
    REQUIRE(add.fetched == ~word{0});
    REQUIRE(target == 2);
}

TEST_CASE("words never tear under threads; longer reads are allowed to") {
    // Writers fill a node with one number each time, every byte of it the same. A reader may find words of different
    // numbers beside each other (a READ longer than a word tears: nothing forbids it, nothing asks for it), but every
    // single word must be of one number.
    constexpr std::size_t words = 32;
    std::array<word, words> node{};
    auto* const remote = reinterpret_cast<std::byte*>(node.data());
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> torn_reads{0};
    std::size_t const reads = test::scaled(40'000);
    test::run_threads(4, [&](std::size_t who) {
        std::array<word, words> local;
        if (who < 2) {
            for (std::uint64_t i = who; !stop; i += 2) {
                local.fill(0x0101010101010101ULL * (i % 251));
                word_memory::copy_in(remote, reinterpret_cast<std::byte const*>(local.data()), sizeof local);
            }
            return;
        }
        test::raise_at_end const stopping(stop);
        for (std::size_t i = 0; i < reads; ++i) {
            word_memory::copy_out(reinterpret_cast<std::byte*>(local.data()), remote, sizeof local);
            for (word const w : local)
                test::expect(w % 0x0101010101010101ULL == 0, "a torn word: " + std::to_string(w));
            if (std::adjacent_find(local.begin(), local.end(), std::not_equal_to<>{}) != local.end()) ++torn_reads;
        }
    });
    // As a rule thousands of 2 x 40,000; a machine with one core may give none.
    INFO("reads that mixed two writes: " << torn_reads);
    SUCCEED();
}

TEST_CASE("a write beside a word that others change by atomics loses none of their changes") {
    // Partial words move byte by byte: an implementation that reads, merges and writes back the whole word would not do.
    alignas(8) std::array<word, 2> memory{};
    auto* const remote = reinterpret_cast<std::byte*>(memory.data());
    std::size_t const rounds = test::scaled(50'000);
    test::run_threads(2, [&](std::size_t who) {
            if (who == 0) {
            for (std::size_t i = 0; i < rounds; ++i) {
                op add = op::faa({}, 1);
                word_memory::execute(add, remote);
            }
        } else {
            std::array<std::byte, 7> local;
            for (std::size_t i = 0; i < rounds; ++i) {
                local.fill(static_cast<std::byte>(i));
                word_memory::copy_in(remote + 8 + i % 2, local.data(), local.size());
            }
        }
    });
    REQUIRE(memory[0] == rounds);
}
