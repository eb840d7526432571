// SPDX-License-Identifier: Apache-2.0
// The real program: exit codes, messages, and what goes where.
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "published_traces.hpp"
#include "run_program.hpp"

using namespace catena::test;

namespace {

bool program_missing() {
    if (!replay_program().empty()) return false;
    WARN("skipped: the build does not say where catena-replay is (CATENA_REPLAY_PROGRAM)");
    return true;
}

std::string line(int tokens, std::string const& ids) {
    return R"({"timestamp":0,"input_length":)" + std::to_string(tokens) + R"(,"output_length":1,"hash_ids":[)" + ids +
           "]}\n";
}

std::string const small_trace = line(1500, "0,1,2") + line(1600, "0,1,3,4") + line(1024, "0,1");

} // namespace

TEST_CASE("without arguments but a length the program replays a generated trace", "[tools][program]") {
    if (program_missing()) return;
    auto const run = run_replay({"--requests", "200", "--seed", "4", "--verify"});
    INFO(run.err);
    CHECK(run.status == 0);
    CHECK(run.err.empty()); // no progress bar either: this is no terminal
    CHECK_THAT(run.out, has_text("synthetic conversation, seed 4"));
    CHECK_THAT(run.out, has_text("requests                   200"));
}

TEST_CASE("a limit takes the first requests of the same generated trace", "[tools][program]") {
    if (program_missing()) return;
    auto const all = run_replay({"--requests", "300", "--json", "-"});
    auto const cut = run_replay({"--requests", "300", "--json", "-", "--limit", "300"});
    auto const few = run_replay({"--requests", "300", "--json", "-", "--limit", "7"});
    REQUIRE((all.status == 0 && cut.status == 0 && few.status == 0));
    auto const hits = [](auto const& run) { return nlohmann::json::parse(run.out)["hit_blocks"]; };
    CHECK(hits(all) == hits(cut));
    CHECK(nlohmann::json::parse(few.out)["requests"] == 7);
}

TEST_CASE("table and JSON go where they were asked to go", "[tools][program]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace = folder.file("t.jsonl", small_trace);
    auto const to_file = run_replay({trace, "--json", folder / "out.json"});
    INFO(to_file.err);
    REQUIRE(to_file.status == 0);
    CHECK_THAT(to_file.out, has_text("catena-replay     index "));
    auto const json = nlohmann::json::parse(text_of(folder / "out.json"));
    CHECK(json["requests"] == 3);
    CHECK(json["blocks"] == 9);
    CHECK(json["hit_blocks"] == 4);
    CHECK(json["unique_blocks"] == 5);
    CHECK(std::abs(json["requests_over_half"].get<double>() - 1.0 / 3) < 1e-6);
    CHECK(json["trace"] == trace);

    auto const to_stdout = run_replay({trace, "--json", "-"});
    REQUIRE(to_stdout.status == 0);
    CHECK(nlohmann::json::parse(to_stdout.out)["hit_blocks"] == 4);
    CHECK_THAT(to_stdout.err, has_text("catena-replay     index "));

    auto const nowhere = run_replay({trace, "--json", folder / "no/such/folder.json"});
    CHECK(nowhere.status == 2);
    CHECK_THAT(nowhere.err, has_text("not a place for a file"));
}

TEST_CASE("options shape the replay", "[tools][program]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace = folder.file("t.jsonl", small_trace);
    auto const json_of = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {trace, "--json", "-"});
        auto const run = run_replay(arguments);
        INFO(run.err);
        REQUIRE(run.status == 0);
        return nlohmann::json::parse(run.out);
    };
    CHECK(json_of({"--limit", "2"})["requests"] == 2);
    CHECK(json_of({"--full-blocks-only"})["blocks"] == 2 + 3 + 2);
    auto const cut = json_of({"--block-tokens", "16"});
    CHECK(cut["blocks"] == 94 + 100 + 64);
    CHECK(cut["hit_blocks"] == 64 + 64);
    CHECK(json_of({"--block-tokens", "16", "--full-blocks-only"})["blocks"] == 93 + 100 + 64);
    CHECK(json_of({"--strategy", "galloping"})["strategy"] == "galloping");
    CHECK(json_of({"--threads", "3"})["threads"] == 3);
    CHECK(json_of({"--index", "sherman"})["index"] == "sherman");
    CHECK(json_of({})["strategy"] == "extents");
    auto const cache =
        json_of({"--client-cache", "3MiB", "--hot-cache", "0"})["client_cache_capacity_bytes"].get<std::uint64_t>();
    CHECK(cache <= 3U << 20U); // a bound; whole nodes fit into it
    CHECK(cache > 2U << 20U);
}

TEST_CASE("a trace that cannot be used ends with status 3 and says why", "[tools][program]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const missing = run_replay({folder / "no.jsonl"});
    CHECK(missing.status == 3);
    CHECK(missing.err == "catena-replay: " + (folder / "no.jsonl") + ": no such file\n");
    CHECK(missing.out.empty());

    auto const directory = run_replay({folder / ""});
    CHECK(directory.status == 3);
    CHECK_THAT(directory.err, has_text("is a directory, not a trace"));

    auto const empty = run_replay({folder.file("empty.jsonl", "")});
    CHECK(empty.status == 3);
    CHECK_THAT(empty.err, has_text("the trace is empty"));

    auto const foreign = run_replay({folder.file("foreign.jsonl", "a,b\n1,2\n")});
    CHECK(foreign.status == 3);
    CHECK_THAT(foreign.err, has_text("foreign.jsonl:1: skipped: not JSON"));
    CHECK_THAT(foreign.err, has_text("no valid request in 2 lines"));
}

TEST_CASE("torn and foreign lines are reported with their numbers, the rest is replayed", "[tools][program]") {
    if (program_missing()) return;
    scratch_folder const folder;
    std::string junk;
    for (int i = 0; i < 20; ++i) junk += "?\n";
    auto const trace =
        folder.file("t.jsonl", line(600, "0,9") + line(5000, "1,2").substr(0, 25) + "\n" + small_trace + junk);
    auto const run = run_replay({trace, "--json", folder / "out.json"});
    CHECK(run.status == 0);
    CHECK_THAT(run.err, has_text("t.jsonl:2: skipped: torn: it ends in the middle of the JSON\n"));
    CHECK_THAT(run.err, has_text("t.jsonl:6: skipped: not JSON"));
    CHECK_THAT(run.err, has_text("and 11 more lines skipped\n"));
    CHECK_THAT(run.out, has_text("21 lines skipped"));
    auto const json = nlohmann::json::parse(text_of(folder / "out.json"));
    CHECK(json["skipped_lines"] == 21);
    CHECK(json["requests"] == 4);
}

TEST_CASE("wrong usage ends with status 2 and says what would be right", "[tools][program]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace = folder.file("t.jsonl", small_trace);
    struct mistake {
        std::vector<std::string> arguments;
        std::string said;
    };
    for (auto const& [arguments, said] : std::vector<mistake>{
             {{"--strategy", "guessing"}, "extents, batched, galloping, binary, sequential"},
             {{"--index", "btree"}, "there is no index \"btree\"; there are: chime, learned, sherman"},
             {{"--pool", "nonsense:?size=1GiB"}, "nonsense"},
             {{"--pool", "local:?size=lots"}, "size"},
             {{"--client-cache", "big"}, "\"big\" is not a size such as 64MiB"},
             {{"--threads", "0"}, "\"0\" is not a number from 1 to 256"},
             {{"--clients", "257"}, "\"257\" is not a number from 1 to 256"},
             {{"--clients", "2"}, "a local pool belongs to one client; take --pool 'shm:NAME?size=1GiB'"},
             {{"--compare", "--strategy", "batched"}, "--strategy"},
             {{"--compare", "--pool", "shm:x"}, "say how large, as in shm:NAME?size=1GiB"},
             {{"--compare", "--pool", "shm:x?size=1MiB&keep=yes"}, "leave out keep=yes"},
             {{"--compare", "--pool", "nonsense:"}, "extents/chime: cannot open the pool \"nonsense:\""},
             {{"--limit", "-3"}, "--limit"},
             {{"--block-tokens", "24"}, "blocks of 24 tokens do not divide the trace's blocks of 512 tokens"},
             {{"--seed", "3"}, "TRACE"},
             {{"--nonsense"}, "--nonsense"},
             {{"another.jsonl"}, "another.jsonl"},
         }) {
        auto all = arguments;
        all.insert(all.begin(), trace);
        auto const run = run_replay(all);
        CAPTURE(arguments, run.err);
        CHECK(run.status == 2);
        CHECK_THAT(run.err, has_text(said));
        CHECK(run.out.empty());
    }
}

TEST_CASE("a pool that is too small ends with status 1, how far it got and which size to try", "[tools][program]") {
    if (program_missing()) return;
    auto const run = run_replay({"--pool", "local:?size=4MiB"});
    INFO(run.err);
    CHECK(run.status == 1);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, has_text("of 12,000 requests"));
    CHECK_THAT(run.err, has_text("the pool is full"));
    auto const at = run.err.find("try --pool '");
    REQUIRE(at != std::string::npos);
    auto const uri = run.err.substr(at + 12, run.err.find('\'', at + 12) - at - 12);
    CHECK(run_replay({"--pool", uri}).status == 0); // the advice works
}

TEST_CASE("help and version go to standard output", "[tools][program]") {
    if (program_missing()) return;
    auto const help = run_replay({"--help"});
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    for (auto const* text :
         {"Examples:", "Exit status:", "--full-blocks-only", "local:?size=1GiB", "sherman", "--compare", "--clients N"})
        CHECK_THAT(help.out, has_text(text));
    std::size_t width = 0;
    for (auto const c : help.out) {
        width = c == '\n' ? 0 : width + 1;
        if (width > 100) FAIL("a line of --help is wider than 100 columns");
    }
    auto const version = run_replay({"--version"});
    CHECK(version.status == 0);
    CHECK(version.out.starts_with("catena-replay "));
}

TEST_CASE("a comparison replays the same requests in every way and prints them side by side", "[tools][program]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const run = run_replay(
        {"--requests", "150", "--compare", "--verify", "--pool", "local:?size=64MiB", "--json", folder / "o"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    CHECK(run.err.empty());
    std::vector<std::string> const ways{"extents/chime",     "extents/learned", "extents/sherman",
                                        "batched/chime",     "batched/learned", "batched/sherman",
                                        "galloping/sherman", "binary/sherman",  "sequential/sherman"};
    auto const rows = nlohmann::json::parse(text_of(folder / "o"));
    REQUIRE(rows.size() == ways.size());
    for (std::size_t i = 0; i < ways.size(); ++i) {
        CAPTURE(ways[i]);
        CHECK_THAT(run.out, has_text('\n' + ways[i] + ' '));
        CHECK(rows[i]["strategy"].get<std::string>() + '/' + rows[i]["index"].get<std::string>() == ways[i]);
        CHECK(rows[i]["hit_blocks"] == rows[0]["hit_blocks"]);
        CHECK(rows[i]["entries"] == rows[0]["unique_blocks"]); // each began with a pool of its own
        auto const entries_a_block = rows[i]["index_entries_per_block"].get<double>();
        CHECK((i < 3 ? entries_a_block < 0.2 : entries_a_block == 1));
    }
    CHECK_THAT(run.out, has_text("the same in all rows"));
    std::size_t width = 0;
    for (auto const c : run.out) {
        width = c == '\n' ? 0 : width + 1;
        if (width > 120) FAIL("a line of the comparison is wider than 120 columns");
    }
    auto const other = run_replay({"--requests", "20", "--compare", "--index", "chime"});
    REQUIRE(other.status == 0);
    CHECK_THAT(other.out, has_text("\nsequential/chime "));
}

TEST_CASE("a comparison over shm makes a pool for each way and leaves none behind", "[tools][program][shm]") {
    if (program_missing()) return;
    auto const name = "test-compare-" + std::to_string(::getpid());
    auto const uri = "shm:" + name + "?size=16MiB";
    auto const run = run_replay({"--requests", "60", "--compare", "--clients", "3", "--pool", uri, "--json", "-"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    auto const rows = nlohmann::json::parse(run.out);
    REQUIRE(rows.size() == 9);
    CHECK(rows[0]["pool"] == "shm:" + name + "-extents-chime?size=16MiB");
    CHECK(rows[0]["clients"] == 3);
    CHECK_THAT(run.err, has_text("with 1 thread and 3 clients"));
    CHECK_FALSE(std::filesystem::exists("/dev/shm/catena." + name + "-extents-chime"));

    // A pool of that name that is there and has something in it is not to compare with.
    auto const taken = "shm:" + name + "-extents-chime?size=16MiB";
    REQUIRE(run_replay({"--requests", "5", "--pool", taken + "&keep=yes"}).status == 0);
    auto const refused = run_replay({"--requests", "5", "--compare", "--pool", uri});
    CHECK(refused.status == 1);
    CHECK_THAT(refused.err, has_text("is there already and not empty"));
    std::filesystem::remove("/dev/shm/catena." + name + "-extents-chime");
}

TEST_CASE("a comparison that runs out of memory prints what it has and says which pool to try", "[tools][program]") {
    if (program_missing()) return;
    auto const run = run_replay({"--requests", "2500", "--compare", "--pool", "local:?size=2MiB"});
    INFO(run.err);
    CHECK(run.status == 1);
    CHECK_THAT(run.out, has_text("\nextents/chime "));
    CHECK_THAT(run.out, has_text("STOPPED EARLY"));
    CHECK_THAT(run.err, has_text("catena-replay: batched/"));
    CHECK_THAT(run.err, has_text(": the pool is full"));
    CHECK_THAT(run.err, has_text("try --pool 'local:?size="));
    CHECK(run.out.find("sequential") == std::string::npos);
}

TEST_CASE("several clients of a pool find what the others published, and pay for it", "[tools][program][shm]") {
    if (program_missing()) return;
    auto const with = [](std::string const& clients, std::vector<std::string> more = {}) {
        auto const uri = "shm:test-clients-" + std::to_string(::getpid()) + "?size=64MiB";
        more.insert(more.end(), {"--requests", "300", "--pool", uri, "--clients", clients, "--verify", "--json", "-"});
        auto const run = run_replay(more);
        INFO(run.err);
        REQUIRE(run.status == 0);
        return nlohmann::json::parse(run.out);
    };
    auto const one = with("1");
    auto const four = with("4");
    CHECK(four["clients"] == 4);
    CHECK(four["hit_blocks"] == one["hit_blocks"]);
    CHECK(four["entries"] == one["entries"]);
    CHECK(four["match"]["round_trips"]["mean"].get<double>() > one["match"]["round_trips"]["mean"].get<double>());
    CHECK(four["matched_blocks_per_round_trip"].get<double>() < one["matched_blocks_per_round_trip"].get<double>());
    CHECK(with("4", {"--strategy", "batched"})["hit_blocks"] == one["hit_blocks"]);
    CHECK(with("4", {"--threads", "2"})["unique_blocks"] == one["unique_blocks"]);
}

TEST_CASE("the program gives the published figures of the conversation trace", "[tools][program][published]") {
    if (program_missing()) return;
    auto const path = published_trace("mooncake_conversation.jsonl");
    if (path.empty()) {
        WARN(why_skipped("mooncake_conversation.jsonl"));
        return;
    }
    auto const run = run_replay({path, "--json", "-"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    auto const json = nlohmann::json::parse(run.out);
    CHECK(json["requests"] == 12'031);
    CHECK(json["blocks"] == 288'500);
    CHECK(json["hit_blocks"] == 105'710);
    CHECK(std::abs(json["hit_ratio"].get<double>() - 0.3664) < 0.00005);
    CHECK(std::abs(json["requests_over_half"].get<double>() - 0.293) < 0.0005);
    CHECK(json["unique_blocks"] == 182'790);
}
