// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include <catena/core/bytes.hpp>

#include <support/catch.hpp>

using namespace catena;

namespace {

template <std::size_t Bytes>
struct sized {
    std::array<std::uint8_t, Bytes> bytes{};
    friend bool operator==(sized const&, sized const&) = default;
};
struct alignas(16) too_aligned {
    std::uint64_t a, b;
};
struct has_virtual {
    virtual ~has_virtual() = default;
};

template <std::size_t Bytes>
void round_trip() {
    CAPTURE(Bytes);
    using value_type = sized<Bytes>;
    static_assert(wire_struct<value_type>);
    constexpr auto n = words_of<value_type>;
    static_assert(n == (Bytes + 7) / 8);
    value_type value;
    for (std::size_t i = 0; i < Bytes; ++i) value.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
    std::array<word, n + 2> memory;
    memory.fill(~word{0});
    store_words(memory.data() + 1, value);
    REQUIRE(load_words<value_type>(memory.data() + 1) == value);
    REQUIRE(memory.front() == ~word{0}); // the neighbours are untouched
    REQUIRE(memory.back() == ~word{0});
    std::array<std::uint8_t, n * word_bytes> raw;
    std::memcpy(raw.data(), memory.data() + 1, raw.size());
    for (std::size_t i = Bytes; i < raw.size(); ++i) REQUIRE(raw[i] == 0); // padding is zero, not what was there
}

template <std::size_t... Sizes>
void round_trips(std::index_sequence<Sizes...>) {
    (round_trip<Sizes + 1>(), ...);
}

} // namespace

TEST_CASE("a value of any size up to 72 bytes goes into words and back, padded with zeros") {
    round_trips(std::make_index_sequence<72>());
}

TEST_CASE("what would mean something else at another client is no wire_struct") {
    STATIC_REQUIRE(wire_struct<std::uint64_t>);
    STATIC_REQUIRE(wire_struct<std::uint8_t>);
    STATIC_REQUIRE_FALSE(wire_struct<std::string>);
    STATIC_REQUIRE_FALSE(wire_struct<too_aligned>);
    STATIC_REQUIRE_FALSE(wire_struct<has_virtual>);
}

TEST_CASE("round_up gives the smallest multiple that is not less") {
    for (std::size_t multiple : {1U, 2U, 7U, 64U, 4096U})
        for (std::size_t n = 0; n < 300; ++n) {
            CAPTURE(n, multiple);
            auto const up = round_up(n, multiple);
            REQUIRE(up % multiple == 0);
            REQUIRE(up >= n);
            REQUIRE(up < n + multiple);
        }
    STATIC_REQUIRE(round_up(4096, 4096) == 4096);
}
