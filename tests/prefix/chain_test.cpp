// SPDX-License-Identifier: Apache-2.0
// Chain hashes: equal prefixes have equal hashes, and nothing else has.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <support/catch.hpp>

#include <catena/prefix/chain.hpp>

using namespace catena;

namespace {

[[nodiscard]] std::vector<std::uint32_t> tokens(std::size_t n, std::uint32_t first = 0) {
    std::vector<std::uint32_t> t(n);
    std::iota(t.begin(), t.end(), first);
    return t;
}
[[nodiscard]] chain_namespace space(std::string_view model, std::string_view adapter, std::string_view salt,
                                    std::uint32_t block_tokens = 16) {
    return {.model = model, .adapter = adapter, .tenant_salt = salt, .block_tokens = block_tokens};
}

} // namespace

TEST_CASE("the chain of a prefix is a prefix of the chain", "[prefix][chain]") {
    auto const here = space("m", "", "");
    auto const all = hash_chain(here, tokens(1600));
    REQUIRE(all.size() == 100);
    for (std::size_t n = 0; n <= 1600; n += 40) {
        auto const part = hash_chain(here, tokens(n));
        REQUIRE(part.size() == n / 16);
        REQUIRE(std::equal(part.begin(), part.end(), all.begin()));
    }
}

TEST_CASE("a changed token changes its block and every later one, none before", "[prefix][chain]") {
    auto const here = space("m", "", "");
    auto const before = hash_chain(here, tokens(320));
    for (std::size_t changed = 0; changed < 320; changed += 7) {
        auto t = tokens(320);
        t[changed] ^= 1U;
        auto const after = hash_chain(here, t);
        for (std::size_t i = 0; i < before.size(); ++i) REQUIRE((before[i] == after[i]) == (i < changed / 16));
    }
}

TEST_CASE("a partial last block is left out", "[prefix][chain]") {
    auto const here = space("m", "", "");
    REQUIRE(hash_chain(here, tokens(15)).empty());
    REQUIRE(hash_chain(here, tokens(16)).size() == 1);
    REQUIRE(hash_chain(here, tokens(31)).size() == 1);
    REQUIRE(hash_chain(here, {}).empty());
    REQUIRE(hash_chain(space("m", "", "", 0), tokens(16)).empty());
}

TEST_CASE("no two namespaces alias", "[prefix][chain]") {
    std::vector<chain_namespace> const spaces{space("ab", "c", ""),
                                              space("a", "bc", ""),
                                              space("abc", "", ""),
                                              space("", "abc", ""),
                                              space("", "", "abc"),
                                              space("ab", "", "c"),
                                              space("a", "b", "c"),
                                              space("", "", ""),
                                              space("ab", "c", "", 32),
                                              space(std::string_view("a\0b", 3), "c", ""),
                                              space("a", std::string_view("\0b", 2), "c"),
                                              space("", std::string_view("\0", 1), ""),
                                              space(std::string_view("\0", 1), "", "")};
    std::set<block_hash> digests;
    std::set<block_hash> first_blocks;
    for (auto const& s : spaces) {
        digests.insert(s.digest());
        first_blocks.insert(hash_chain(s, tokens(32)).front());
    }
    REQUIRE(digests.size() == spaces.size());
    REQUIRE(first_blocks.size() == spaces.size());
}

TEST_CASE("block sizes are namespaces of their own", "[prefix][chain]") {
    // 16 tokens are a full block of either: the hash must differ although the tokens do not.
    auto const small = hash_chain(space("m", "", "", 16), tokens(64));
    auto const large = hash_chain(space("m", "", "", 32), tokens(64));
    for (auto const& a : small)
        for (auto const& b : large) REQUIRE(a != b);
}

TEST_CASE("blocks of any length hash, on and beyond the fast path", "[prefix][chain]") {
    std::set<block_hash> seen;
    for (std::uint32_t const n : {1U, 16U, 511U, 512U, 513U, 2048U}) {
        auto const chain = hash_chain(space("m", "", "", n), tokens(3 * n));
        REQUIRE(chain.size() == 3);
        seen.insert(chain.begin(), chain.end());
        auto const digest = space("m", "", "", n).digest();
        auto const all = tokens(3 * n);
        REQUIRE(chain[0] == child_hash(digest, std::span(all).first(n)));
        REQUIRE(chain[1] == child_hash(chain[0], std::span(all).subspan(n, n)));
    }
    REQUIRE(seen.size() == 18);
}

TEST_CASE("chain hashes do not change from one version to the next", "[prefix][chain]") {
    // Written down once: pools outlive programs, so another hash is a change of FORMAT.
    auto const h = hash_chain(space("llama", "lora", "salt"), tokens(32));
    REQUIRE(h[0] == block_hash{.high = 0x0b0ed552325e849aULL, .low = 0x741c5dfb6d4f06adULL});
    REQUIRE(h[1] == block_hash{.high = 0x9716194fe86833b5ULL, .low = 0xbed0485de3ad3049ULL});
}
