// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <cstdio>
#include <string>

#include "tools/progress.hpp"

using namespace catena::tools;

namespace {

replay_state const half{.requests = 6'000, .of = 12'000, .blocks = 1000, .hit_blocks = 366, .seconds = 2};

std::string drawn_on(bool enabled, int times) {
    auto* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    {
        progress_bar bar(file, enabled);
        for (int i = 0; i < times; ++i) bar.show(half);
    }
    std::rewind(file);
    std::string text;
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text.push_back(static_cast<char>(c));
    std::fclose(file);
    return text;
}

} // namespace

TEST_CASE("the progress line says how far, how fast, how well and how long", "[tools]") {
    auto const line = progress_line(half, 100);
    CHECK_THAT(line, catena::test::has_text(" 50 %  6,000 of 12,000 requests  2 s left  hit 36.6 %  3,000 a second"));
    CHECK(line.front() == '[');
    CHECK_THAT(line, catena::test::has_text("##.."));
}

TEST_CASE("the progress line never wraps", "[tools]") {
    for (auto const& state : {half, replay_state{}, replay_state{.requests = 1, .of = 3'000'000'000, .seconds = 9e9}})
        for (std::size_t columns = 0; columns < 200; ++columns) {
            CAPTURE(columns);
            REQUIRE(progress_line(state, columns).size() <= columns);
        }
}

TEST_CASE("a label stands before the percentage, as long as there is room", "[tools]") {
    CHECK_THAT(progress_line(half, 120, "3 of 9  extents/chime"),
               catena::test::has_text("]  3 of 9  extents/chime   50 %"));
    for (std::size_t columns = 0; columns < 200; ++columns)
        REQUIRE(progress_line(half, columns, "3 of 9  extents/chime").size() <= columns);
}

TEST_CASE("a bar draws at most ten times a second and leaves an empty line", "[tools]") {
    auto const text = drawn_on(true, 1000);
    CHECK_THAT(text, catena::test::has_text("6,000 of 12,000"));
    CHECK(text.size() < 1000);
    CHECK(text.ends_with("\r\x1b[K"));
}

TEST_CASE("a bar that is switched off draws nothing", "[tools]") { CHECK(drawn_on(false, 3).empty()); }

TEST_CASE("a file is not a terminal", "[tools]") {
    auto* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    CHECK_FALSE(is_terminal(file));
    std::fclose(file);
}
