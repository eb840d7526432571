// SPDX-License-Identifier: Apache-2.0
// The table of a comparison: it fits its width, and says only what there is.
#include "support/catch.hpp"

#include <sstream>
#include <string>

#include "bench/compare_report.hpp"

using namespace catena::bench;
using namespace catena::test;

namespace {

// All systems, with figures as large as they come.
comparison large(unsigned rounds, std::string const& against) {
    comparison all;
    all.about.where = {.processor = std::string(90, 'p'),
                       .processors = 1024,
                       .memory_bytes = 1ULL << 42U,
                       .kernel = std::string(90, 'k'),
                       .compiler = std::string(90, 'c')};
    all.about.redis = "7.0.15";
    all.about.trace = std::string(90, 't');
    all.about.trace_requests = all.about.warm_up = all.about.unique_blocks = 123456789;
    all.about.skipped_lines = 1234;
    all.about.against = against;
    all.measured.rounds = rounds;
    double rate = 1234567;
    for (auto const& each : all_systems()) {
        system_figures s;
        s.what = each;
        for (unsigned i = 0; i < rounds; ++i) {
            s.rounds.emplace_back();
            s.rounds.back().requests_per_second = rate * (i + 1);
            s.rounds.back().match_us.at = {12345.6, 23456.7, 34567.8, 45678.9};
            s.rounds.back().request_us.at = {12345.6, 23456.7, 34567.8, 45678.9};
            s.rounds.back().server_us = 12345.6;
        }
        rate /= 1.3;
        s.requests = 1000;
        s.sent = {.match_round_trips = 1234567, .publish_round_trips = 1, .bytes = 123456789};
        s.size = {.blocks = 10, .bytes = 12345};
        all.measured.systems.push_back(std::move(s));
    }
    auto& [way, row] = all.scale.rows.emplace_back();
    way = "batched/learned";
    row.nodes = 16;
    row.clients = 256;
    row.requests_per_second = 12345678;
    row.blocks_per_second = 1234567890;
    row.utilisation = {0, 0, 0.9, 0, 0}; // "memory NIC receive"
    return all;
}

} // namespace

TEST_CASE("no line is wider than 120 columns, whatever the figures", "[bench]") {
    for (auto const rounds : {1U, 3U}) {
        auto const text = to_table(large(rounds, "redis-exists@unix"));
        INFO(text);
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            CAPTURE(line);
            CHECK(line.size() <= 120);
        }
        CHECK_THAT(text, has_text("memory NIC receive"));
    }
}

TEST_CASE("spreads are of several rounds, ratios of what there is to compare with", "[bench]") {
    auto const several = to_table(large(3, "redis-exists@unix"));
    CHECK_THAT(several, has_text("medians of 3 rounds"));
    CHECK_THAT(several, has_text("times as many as"));
    CHECK_THAT(several, has_text("(")); // a range
    auto one = to_table(large(1, "redis-exists@unix"));
    CHECK(one.find("rounds") == std::string::npos);
    CHECK_THAT(one, has_text("times as many as"));
    one.erase(0, one.find('\n')); // its first line has the commit in brackets
    CHECK(one.find('(') == std::string::npos);
    CHECK(to_table(large(3, "")).find("times as many as") == std::string::npos);
}

TEST_CASE("systems that are reached alike stand together, the fastest first", "[bench]") {
    auto const text = to_table(large(3, ""));
    CHECK(text.find("@shm") < text.find("@unix"));
    CHECK(text.find("@unix") < text.find("@tcp"));
    CHECK(text.find("extents/chime") < text.find("batched/chime"));
    auto few = large(3, "");
    std::erase_if(few.measured.systems, [](system_figures const& s) { return s.what.reached() != "tcp"; });
    std::swap(few.measured.systems.front(), few.measured.systems.back());
    auto const tcp = to_table(few);
    CHECK(tcp.find("@shm") == std::string::npos);
    CHECK(tcp.find("redis-get") < tcp.find("redis-lua")); // each slower than the one before it, as they were made
}

TEST_CASE("what went wrong is said", "[bench]") {
    auto all = large(2, "");
    CHECK(to_table(all).find("STOPPED") == std::string::npos);
    all.scale.stopped = true;
    all.measured.same_hits = false;
    CHECK_THAT(to_table(all), has_text("STOPPED EARLY"));
    CHECK_THAT(to_table(all), has_text("THE SYSTEMS DO NOT AGREE"));
    comparison const nothing;
    CHECK(to_table(nothing).find("one client") == std::string::npos);
}
