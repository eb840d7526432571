// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <limits>

#include "tools/units.hpp"

using namespace catena::tools;

TEST_CASE("a size is a number with an optional unit of 1024", "[tools]") {
    CHECK(parse_size("4096") == 4096U);
    CHECK(parse_size("0") == 0U);
    CHECK(parse_size("64B") == 64U);
    CHECK(parse_size("1k") == 1024U);
    CHECK(parse_size("64M") == 64U << 20U);
    CHECK(parse_size("64MB") == 64U << 20U);
    CHECK(parse_size("64MiB") == 64U << 20U);
    CHECK(parse_size("64 mib") == 64U << 20U);
    CHECK(parse_size("1.5GiB") == 1536U << 20U);
    CHECK(parse_size("2T") == std::uint64_t{2} << 40U);
    CHECK(parse_size("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("what is no size is refused", "[tools]") {
    for (auto const* text : {"", "-1", "GiB", "1X", "1Mi", "1MiBs", "1..5G", ".", "1 2", "0x10", "18446744073709551616",
                             "16777216TiB", "99999999999.5T", "1e3"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text).has_value());
    }
}

TEST_CASE("an exact size reads back as the same number", "[tools]") {
    for (std::uint64_t const bytes : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, std::uint64_t{1024},
                                      std::uint64_t{1536} << 20U, std::uint64_t{1} << 30U, std::uint64_t{5} << 50U}) {
        CAPTURE(bytes);
        CHECK(parse_size(exact_size(bytes)) == bytes);
    }
    CHECK(exact_size(std::uint64_t{1} << 30U) == "1GiB");
    CHECK(exact_size(std::uint64_t{1536} << 20U) == "1536MiB");
}

TEST_CASE("numbers are grouped by thousands", "[tools]") {
    CHECK(with_thousands(std::uint64_t{0}) == "0");
    CHECK(with_thousands(std::uint64_t{999}) == "999");
    CHECK(with_thousands(std::uint64_t{1000}) == "1,000");
    CHECK(with_thousands(std::uint64_t{1234567}) == "1,234,567");
    CHECK(with_thousands(1234.5, 2) == "1,234.50");
    CHECK(with_thousands(-1234567.0, 0) == "-1,234,567");
    CHECK(with_thousands(0.25, 1) == "0.2");
    CHECK(with_thousands(std::numeric_limits<double>::infinity(), 1) == "-");
}

TEST_CASE("sizes for people have three digits", "[tools]") {
    CHECK(human_size(0) == "0 B");
    CHECK(human_size(9'876) == "9,876 B");
    CHECK(human_size(10'240) == "10.0 KiB");
    CHECK(human_size(1'047'552) == "1.00 MiB");
    CHECK(human_size(std::uint64_t{1} << 30U) == "1.00 GiB");
    CHECK(human_size(std::uint64_t{123} << 40U) == "123 TiB");
}

TEST_CASE("a text that is too long loses its middle", "[tools]") {
    CHECK(shortened("abcdef", 6) == "abcdef");
    CHECK(shortened("abcdefghij", 7) == "ab...ij");
    CHECK(shortened("abcdefghij", 8) == "ab...hij");
    CHECK(shortened("abcdef", 2) == "ab");
}
