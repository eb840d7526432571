// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>

#include <catena/core/error.hpp>

#include <support/catch.hpp>

using namespace catena;

namespace {

constexpr std::array every_code{errc::contended,      errc::out_of_memory, errc::timed_out,   errc::unreachable,
                                errc::corrupt,        errc::bad_format,    errc::unsupported, errc::invalid_argument,
                                errc::already_exists, errc::not_found,     errc::dropped,     errc::full,
                                errc::lease_lost,     errc::fenced,        errc::restarted,   errc::read_only};

} // namespace

TEST_CASE("an error travels in one register") {
    STATIC_REQUIRE(sizeof(error) == 8);
    STATIC_REQUIRE(std::is_trivially_copyable_v<error>);
}

TEST_CASE("every error code has a name and a sentence of its own") {
    std::set<std::string_view> names;
    std::set<std::string_view> sentences;
    for (auto const code : every_code) {
        CAPTURE(static_cast<int>(code));
        REQUIRE(name(code) != "unknown");
        REQUIRE(describe(code) != "unknown error");
        REQUIRE(names.insert(name(code)).second);
        REQUIRE(sentences.insert(describe(code)).second);
    }
    // The codes are 1 to n without a hole: a new one must be added to every_code above.
    for (std::size_t i = 0; i < every_code.size(); ++i) REQUIRE(static_cast<std::size_t>(every_code[i]) == i + 1);
    REQUIRE(name(static_cast<errc>(every_code.size() + 1)) == "unknown");
    REQUIRE(name(errc{}) == "unknown");
    REQUIRE(describe(static_cast<errc>(0xff)) == "unknown error");
}

TEST_CASE("every sentence says what became of the data") {
    for (auto const code : every_code) {
        std::string const text(describe(code));
        CAPTURE(text);
        bool const nothing = text.find("nothing") != std::string::npos;
        bool const unknown = text.find("unknown") != std::string::npos;
        bool const dropped = text.find("dropped") != std::string::npos; // the data is gone
        REQUIRE((nothing || unknown || dropped));
    }
}

TEST_CASE("an error keeps its code, node and native number, and equality looks at all of them") {
    constexpr auto e = make_error(errc::unreachable, 7, -5);
    STATIC_REQUIRE(e.code == errc::unreachable);
    STATIC_REQUIRE(e.node == 7);
    STATIC_REQUIRE(e.native == -5);
    STATIC_REQUIRE(e == make_error(errc::unreachable, 7, -5));
    STATIC_REQUIRE(e != make_error(errc::timed_out, 7, -5));
    STATIC_REQUIRE(e != make_error(errc::unreachable, 8, -5));
    STATIC_REQUIRE(e != make_error(errc::unreachable, 7, 5));
}

TEST_CASE("an error of the data path becomes a set-up error with its sentence") {
    setup_error const s = make_error(errc::full, 3);
    REQUIRE(s.code == errc::full);
    REQUIRE(s.message == describe(errc::full));
    REQUIRE(setup_error(errc::bad_format, "nodes is 1, expected 2").message == "nodes is 1, expected 2");
}
