// SPDX-License-Identifier: Apache-2.0
// Pages as text: what is in them, and what happens where they cannot be written. tests/browser opens them.
#include "support/catch.hpp"

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "run_program.hpp"
#include "tools/report_page.hpp"

using namespace catena::test;
using namespace catena::tools;

namespace {

report_heading const heading{.title = "a <b> & \"c\"", .subtitle = "{{data}}", .footer = "</p>"};

bool without_charts() {
    if (has_charts()) return false;
    WARN("skipped: built without charts (CATENA_CHARTS)");
    return true;
}

std::size_t count_of(std::string_view what, std::string_view text) {
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
    return count;
}

std::size_t files_in(std::string const& folder) {
    auto const all = std::filesystem::directory_iterator(folder);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// What the page's scripts get to see.
nlohmann::json data_of(std::string const& page) {
    auto const begin = page.find('\n', page.find("<script id=\"data\""));
    return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

} // namespace

TEST_CASE("no string of the data or the heading can end an element", "[tools][report]") {
    if (without_charts()) return;
    nlohmann::ordered_json const data{{"</script><script>alert(1)</script>", "<!--<script>"}, {"{{title}}", "\xff"}};
    auto const page = make_report_page(heading, "trace", data);
    auto const plain = make_report_page({}, "trace", {});
    CHECK(count_of("</script", page) == count_of("</script", plain));
    CHECK(count_of("<script", page) == count_of("<script", plain));
    CHECK(count_of("<!--", page) == count_of("<!--", plain));
    CHECK_THAT(page, has_text("<title>a &lt;b> &amp; \"c\"</title>"));
    CHECK_THAT(page, has_text("<p>&lt;/p></p>"));
    CHECK_THAT(page, has_text(">{{data}}</p>")); // what is filled in is not looked at again
    auto const seen = data_of(page);
    CHECK(seen["</script><script>alert(1)</script>"] == "<!--<script>");
    CHECK(seen["{{title}}"] == "\xef\xbf\xbd"); // no UTF-8: the replacement character
}

TEST_CASE("a page holds all it needs, and the licence of the chart library", "[tools][report]") {
    if (without_charts()) return;
    auto const page = make_report_page(heading, "trace", {});
    CHECK_THAT(page, has_text("Chart.js v"));
    CHECK_THAT(page, has_text("MIT"));
    CHECK(count_of("<script>", page) == 6);
    CHECK(count_of("{{", page) == count_of("{{", make_report_page({}, "trace", {})) + 1);
    CHECK_THAT(page, has_text("default-src 'none'"));
}

TEST_CASE("a page replaces the one before, and leaves nothing beside it", "[tools][report]") {
    if (without_charts()) return;
    scratch_folder const folder;
    auto const path = folder.file("page.html", "old");
    CHECK_FALSE(unfit_for_report(path));
    CHECK(text_of(path) == "old");
    REQUIRE(write_report_page(path, heading, "trace", {{"x", 1}}));
    CHECK(data_of(text_of(path))["x"] == 1);
    CHECK(files_in(folder / "") == 1);

    std::filesystem::create_symlink("page.html", folder / "link.html");
    REQUIRE(write_report_page(folder / "link.html", heading, "trace", {{"x", 2}}));
    CHECK(std::filesystem::is_symlink(folder / "link.html"));
    CHECK(data_of(text_of(path))["x"] == 2);
}

TEST_CASE("places where no page can be are told before the work", "[tools][report]") {
    if (without_charts()) return;
    scratch_folder const folder;
    auto const refused = [](std::string const& path, std::string const& because) {
        CAPTURE(path);
        auto const why = unfit_for_report(path);
        REQUIRE(why);
        CHECK_THAT(*why, has_text(because));
        auto const written = write_report_page(path, heading, "trace", {});
        REQUIRE_FALSE(written);
        CHECK_THAT(written.error(), has_text(because));
    };
    refused("", "name a file");
    refused("-", "name a file");
    refused(folder / "", "is a directory");
    refused(folder / "no/page.html", "there is no directory");
    refused("/dev/null", "is not a regular file");
    refused("/proc/page.html", "cannot be written"); // also for root
    CHECK(files_in(folder / "") == 0);
}

TEST_CASE("without charts a page is refused and not made", "[tools][report]") {
    scratch_folder const folder;
    if (has_charts()) return; // the other tests are about that
    auto const why = unfit_for_report(folder / "page.html");
    REQUIRE(why);
    CHECK_THAT(*why, has_text("built without charts"));
    CHECK_FALSE(write_report_page(folder / "page.html", heading, "trace", {}));
    CHECK(files_in(folder / "") == 0);
}
