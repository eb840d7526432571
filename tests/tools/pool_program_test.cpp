// SPDX-License-Identifier: Apache-2.0
// catena-pool, the real program, on shared memory: what it does, what it says, what it ends with.
#include "support/catch.hpp"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <catena/fabric/shm_fabric.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/memory_pool.hpp>
#include <nlohmann/json.hpp>
#include <pty.h>
#include <unistd.h>

#include "run_program.hpp"

using namespace catena;
using namespace catena::test;
using json = nlohmann::json;

namespace {

bool program_missing() {
    if (!pool_program().empty()) return false;
    WARN("skipped: the build does not say where catena-pool is (CATENA_POOL_PROGRAM)");
    return true;
}

/// A name that nobody else has, whose segment goes away with the test.
class shm_name {
public:
    explicit shm_name(std::string const& what) : name_("test-pool-program-" + what + '-' + std::to_string(getpid())) {
        std::filesystem::remove(segment());
    }
    ~shm_name() {
        std::error_code ignored;
        std::filesystem::remove(segment(), ignored);
    }
    shm_name(shm_name const&) = delete;
    shm_name& operator=(shm_name const&) = delete;

    [[nodiscard]] std::string const& name() const { return name_; }
    [[nodiscard]] std::string segment() const { return "/dev/shm/catena." + name_; }
    [[nodiscard]] std::string uri(std::string const& parameters = {}) const {
        return "shm:" + name_ + (parameters.empty() ? "" : '?' + parameters);
    }

private:
    std::string name_;
};

/// A pool of two memory nodes with a short lease.
struct shm_pool : shm_name {
    explicit shm_pool(std::string const& what) : shm_name(what) {
        auto const run = run_pool({"create", uri("size=16MiB&nodes=2&keep=yes&lease=400")});
        INFO(run.err);
        REQUIRE(run.status == 0);
    }

    [[nodiscard]] client open(client_options options = {}) const {
        options.client_cache_bytes = 1U << 20U;
        options.hot_cache_bytes = 0;
        auto opened = client::open(uri(), std::move(options));
        if (!opened) FAIL(opened.error().message);
        return std::move(*opened);
    }
    /// A chain of 100 blocks.
    static result<publish_result> fill(client const& c) {
        std::vector<std::uint32_t> tokens(1600);
        std::iota(tokens.begin(), tokens.end(), 0U);
        auto const chain = hash_chain({.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = 16}, tokens);
        std::vector<location> where(chain.size(), location{std::uint16_t{1}, 1});
        return c.publish(chain, where);
    }
    void write(remote_ptr at, word value) const {
        auto f = shm_fabric::open(name(), {});
        REQUIRE(f);
        auto channel = f->connect();
        REQUIRE(channel);
        op one = op::write(at, &value, word_bytes);
        REQUIRE(channel->submit(batch(&one, 1)).await_resume());
    }
    /// An index that only its maker knows.
    void enter_foreign_index(std::string_view name) const {
        auto f = shm_fabric::open(this->name(), {});
        REQUIRE(f);
        auto pool = memory_pool<shm_fabric>::open(*f);
        REQUIRE(pool);
        auto s = pool->open_session();
        REQUIRE(s);
        index_spec spec;
        spec.set_name(name);
        spec.set_type("skiplist");
        auto const root = [](catalog_handle) -> task<result<word>> { co_return word{1}; };
        REQUIRE(sync_wait(*s, create_index(*s, spec, root)));
    }
};

json json_of(std::vector<std::string> arguments, int status = 0) {
    arguments.insert(arguments.end(), {"--json", "-"});
    auto const run = run_pool(arguments);
    INFO(run.err);
    REQUIRE(run.status == status);
    return json::parse(run.out);
}

std::vector<std::string> names_in(json const& list) {
    std::vector<std::string> names;
    for (auto const& each : list["indexes"]) names.push_back(each["name"]);
    return names;
}

struct typed_run {
    int status = -1;
    std::string said;
};
/// On a terminal, with that line typed when it asks.
typed_run run_on_terminal(std::vector<std::string> arguments, std::string const& answer) {
    auto program = pool_program();
    std::vector<char*> argv{program.data()};
    for (auto& each : arguments) argv.push_back(each.data());
    argv.push_back(nullptr);
    int terminal = -1;
    auto const child = forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        execv(argv[0], argv.data());
        _exit(127);
    }
    typed_run run;
    char buffer[256];
    bool asked = false;
    for (ssize_t n = 0; (n = ::read(terminal, buffer, sizeof buffer)) > 0;) {
        run.said.append(buffer, static_cast<std::size_t>(n));
        if (asked || run.said.find("to go on:") == std::string::npos) continue;
        asked = true;
        auto const line = answer + '\n';
        if (::write(terminal, line.data(), line.size()) < 0) break;
    }
    int status = 0;
    waitpid(child, &status, 0);
    ::close(terminal);
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return run;
}

} // namespace

TEST_CASE("create makes a pool that stays, once", "[tools][program]") {
    if (program_missing()) return;
    shm_name const at("create");
    auto const uri = at.uri("size=8MiB&nodes=2&keep=yes&lease=700");
    auto const made = json_of({"create", uri});
    CHECK(made["memory_nodes"] == 2);
    CHECK(made["node_bytes"] == 8U << 20U);
    CHECK(made["lease_ms"] == 700);
    CHECK(std::filesystem::exists(at.segment()));
    auto const info = json_of({"info", at.uri()});
    CHECK(info["uuid"] == made["uuid"]);

    auto const again = run_pool({"create", uri});
    CHECK(again.status == 1);
    CHECK(again.out.empty());
    CHECK_THAT(again.err, has_text("catena-pool: " + uri + ": there is a pool already; nothing was changed\n"));
    CHECK_THAT(again.err, has_text("catena-pool info '" + at.uri() + "' shows it"));
    CHECK(json_of({"info", at.uri()})["uuid"] == made["uuid"]);
}

TEST_CASE("create refuses what would not stay or not fit, and leaves nothing behind", "[tools][program]") {
    if (program_missing()) return;
    shm_name const at("refused");
    auto const refused = [&](std::string const& parameters, int status, std::string const& said) {
        auto const run = run_pool({"create", at.uri(parameters)});
        CAPTURE(parameters, run.err);
        CHECK(run.status == status);
        CHECK_THAT(run.err, has_text(at.uri(parameters)));
        CHECK_THAT(run.err, has_text(said));
        CHECK(run.out.empty());
        CHECK_FALSE(std::filesystem::exists(at.segment()));
    };
    refused("size=8MiB", 2, "would be gone with this program: " + at.uri("size=8MiB&keep=yes"));
    refused("keep=yes", 1, "give a size to create it");
    refused("size=4KiB&keep=yes", 2, "a memory node has at least 77824 bytes");
    refused("size=8MiB&keep=yes&access=read", 2, "create writes to the pool, and access=read forbids that");
    refused("size=64TiB&keep=yes", 1, "cannot reserve");
}

TEST_CASE("info tells what a pool is, and who of its members lives", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("info");
    auto const empty = run_pool({"info", pool.uri()});
    REQUIRE(empty.status == 0);
    CHECK(empty.err.empty());
    CHECK_THAT(empty.out, has_text("memory nodes      2 of 16.0 MiB: 32.0 MiB, fabric shm\n"));
    CHECK_THAT(empty.out, has_text("members           0 of 1,024 slots taken\n"));
    CHECK_THAT(empty.out, has_text("no index\n"));

    auto const engine = pool.open();
    REQUIRE(shm_pool::fill(engine));
    auto silent_fabric = shm_fabric::open(pool.name(), {});
    REQUIRE(silent_fabric);
    auto const silent = memory_pool<shm_fabric>::open(*silent_fabric); // nobody renews its lease
    REQUIRE(silent);
    auto const used = run_pool({"info", pool.uri()});
    CHECK_THAT(used.out, has_text("members           2 of 1,024 slots taken; 1 renewed its lease within 400 ms\n"));
    CHECK_THAT(used.out, has_text("silent: 1, in slot " + std::to_string(silent->self().slot)));
    auto const told = json_of({"info", pool.uri(), "--watch", "600"});
    CHECK(told["fabric"] == "shm");
    CHECK(told["bytes"] == 32U << 20U);
    CHECK(told["bytes_taken"] > told["memory_nodes"]);
    CHECK(told["bytes_taken_by_node"].size() == 2);
    CHECK(told["format_version"] == pool_format_version);
    CHECK(told["members_joined"] == 2);
    CHECK(told["members_renewed"] == 1);
    CHECK(told["watched_ms"] == 600);
    for (auto const& each : told["members"]) CHECK(each["renewed"] == (each["slot"] != silent->self().slot));
    CHECK(names_in(told) == std::vector<std::string>{"prefix", "prefix/heads"});
    CHECK(json_of({"info", pool.uri(), "--watch", "0"})["members_renewed"] == 0);
    CHECK(shm_pool::fill(engine)); // nobody was disturbed
}

TEST_CASE("list prints the catalog", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("list");
    client_options const other{.index = "sherman", .index_name = "b", .strategy = match_strategy::batched};
    {
        auto const a = pool.open();
        auto const b = pool.open(other);
    }
    pool.enter_foreign_index("c");
    auto const run = run_pool({"list", pool.uri("access=read")});
    REQUIRE(run.status == 0);
    CHECK_THAT(run.out, has_text("name          type         key value   node  layout   state\n"));
    CHECK_THAT(run.out, has_text("b             sherman       16     8   1024       1   ready\n"));
    CHECK_THAT(run.out, has_text("c             skiplist"));
    auto const told = json_of({"list", pool.uri()});
    CHECK(names_in(told) == std::vector<std::string>{"b", "c", "prefix", "prefix/heads"});
    CHECK(told["indexes"][2]["type"] == "extents");
    CHECK(told["indexes"][0]["key_bytes"] == 16);
    CHECK(told["indexes"][0]["state"] == "ready");
}

TEST_CASE("check verifies every index, says which are damaged, and which it skipped", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("check");
    for (std::string const index : {"chime", "learned", "sherman"})
        for (auto const strategy : {match_strategy::extents, match_strategy::batched}) {
            auto const c = pool.open(
                {.index = index, .index_name = index + '-' + std::string(name(strategy)), .strategy = strategy});
            REQUIRE(shm_pool::fill(c));
        }
    auto const sound = run_pool({"check", pool.uri("access=read")});
    INFO(sound.out);
    CHECK(sound.status == 0);
    CHECK(sound.err.empty());
    CHECK_THAT(sound.out, has_text("learned-extents\n  extents over learned: 100 blocks in 4 extents; "));
    CHECK_THAT(sound.out, has_text("sherman-batched\n  sherman: 100 blocks; "));
    CHECK_THAT(sound.out, has_text("6 indexes checked, all sound\n"));
    auto const told = json_of({"check", pool.uri(), "--index", "chime-extents"});
    CHECK(told["sound"] == true);
    REQUIRE(told["indexes"].size() == 1);
    CHECK(told["indexes"][0]["entries"] == 100);
    CHECK(told["indexes"][0]["index_entries"] == 4);
    CHECK(told["indexes"][0]["violations"].empty());

    SECTION("an index that nobody here knows is no sound one, unless it is left out") {
        pool.enter_foreign_index("mine");
        auto const skipped = run_pool({"check", pool.uri()});
        CHECK(skipped.status == 1);
        CHECK_THAT(skipped.out,
                   has_text("mine\n  skiplist\n  SKIPPED: this program has no index of type 'skiplist'\n"));
        CHECK_THAT(skipped.out, has_text("NOT SOUND: of 7 indexes, 0 with violations, 1 skipped\n"));
        CHECK(run_pool({"check", pool.uri(), "--index", "chime-batched"}).status == 0);
        CHECK(run_pool({"check", pool.uri(), "--index", "mine"}).status == 1);
        auto const dropped = run_pool({"drop", pool.uri(), "--index", "mine", "--yes"});
        CHECK(dropped.status == 1);
        CHECK_THAT(dropped.err, has_text("Drop it with the program that made it"));
    }
    SECTION("a lock is no damage: its owner is at work, or dead") {
        auto f = shm_fabric::open(pool.name(), {});
        REQUIRE(f);
        auto const p = memory_pool<shm_fabric>::open(*f, {.read_only = true});
        REQUIRE(p);
        for (std::uint16_t node = 0; node < 2; ++node) // the first leaf is on one of them
            pool.write({node, chunk_begin(p->geometry(), 0) + block_header::lock_at}, block_header::held_by(4711));
        auto const locked = run_pool({"check", pool.uri("access=read")});
        CAPTURE(locked.out, locked.err);
        CHECK(locked.status == 0);
        CHECK_THAT(locked.out,
                   has_text(" locked, by clients at work or by dead ones, whose locks are taken over when needed\n"));
        CHECK_THAT(locked.out, has_text("6 indexes checked, all sound\n"));
    }
    SECTION("damage is a violation") {
        auto f = shm_fabric::open(pool.name(), {});
        REQUIRE(f);
        auto const p = memory_pool<shm_fabric>::open(*f);
        REQUIRE(p);
        auto const& g = p->geometry();
        for (std::uint16_t node = 0; node < 2; ++node) // a word of the first nodes
            for (auto at = chunk_begin(g, 0) + 512; at < chunk_begin(g, 0) + 16 * 1024; at += 1024)
                pool.write({node, at}, 0x5a5a5a5a5a5a5a5a);
        auto const broken = run_pool({"check", pool.uri()});
        CAPTURE(broken.out, broken.err);
        CHECK(broken.status == 1);
        CHECK_THAT(broken.out, has_text("chime-batched\n  chime: "));
        CHECK_THAT(broken.out, has_text("its seal does not match its contents\n"));
        CHECK_THAT(broken.out, has_text("\nNOT SOUND: of 6 indexes, "));
        CHECK_THAT(broken.err, has_text("the pool has 1 member: what they write meanwhile can look like damage"));
        auto const one = json_of({"check", pool.uri(), "--index", "chime-batched"}, 1);
        CHECK(one["sound"] == false);
        CHECK_FALSE(one["indexes"][0]["violations"].empty());
    }
    SECTION("a part is checked with the whole, and what is not there is named") {
        auto const part = run_pool({"check", pool.uri(), "--index", "chime-extents/heads"});
        CHECK(part.status == 1);
        CHECK_THAT(part.err, has_text("'chime-extents/heads' is a part of the index 'chime-extents': name that"));
        auto const none = run_pool({"check", pool.uri(), "--index", "no"});
        CHECK(none.status == 1);
        CHECK_THAT(none.err, has_text("has no index 'no'; it has chime-batched, chime-extents, learned-batched,"));
    }
}

TEST_CASE("drop takes one index away, of every type, and gives its memory to the next", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("drop");
    auto const other = pool.open({.index_name = "stays"});
    REQUIRE(shm_pool::fill(other));
    for (std::string const index : {"chime", "learned", "sherman"})
        for (auto const strategy : {match_strategy::extents, match_strategy::batched}) {
            client_options const options{.index = index, .index_name = "goes", .strategy = strategy};
            CAPTURE(index, name(strategy));
            auto const c = pool.open(options);
            REQUIRE(shm_pool::fill(c));
            auto const asked = run_pool({"drop", pool.uri(), "--index", "goes"});
            CHECK(asked.status == 2);
            CHECK_THAT(asked.err, has_text("this drops the index 'goes'"));
            CHECK_THAT(asked.err, has_text("say --yes"));
            CHECK(names_in(json_of({"list", pool.uri()})).front() == "goes");
            CHECK(json_of({"drop", pool.uri(), "--index", "goes", "--yes"})["dropped"] == "goes");
            CHECK(names_in(json_of({"list", pool.uri()})) == std::vector<std::string>{"stays", "stays/heads"});
            auto const late = c.inspect();
            REQUIRE_FALSE(late);
            CHECK(late.error().code == errc::dropped);
        }
    CHECK(run_pool({"check", pool.uri()}).status == 0);
    REQUIRE(other.inspect());
    CHECK(other.inspect()->entries == 100);

    auto const part = run_pool({"drop", pool.uri(), "--index", "stays/heads", "--yes"});
    CHECK(part.status == 1);
    CHECK_THAT(part.err, has_text("is a part of the index 'stays'"));
    auto const none = run_pool({"drop", pool.uri(), "--index", "goes", "--yes"});
    CHECK(none.status == 1);
    CHECK_THAT(none.err, has_text("the pool has no index 'goes'; it has stays\n"));
}

TEST_CASE("drop --all shuts the members out and leaves memory for another pool", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("all");
    auto const engine = pool.open();
    REQUIRE(shm_pool::fill(engine));
    auto const asked = run_pool({"drop", pool.uri(), "--all"});
    CHECK(asked.status == 2);
    CHECK_THAT(asked.err, has_text("this removes the whole pool, with 1 index, and shuts 1 member out"));
    auto const uuid = json_of({"info", pool.uri(), "--watch", "0"})["uuid"];

    auto const run = run_pool({"drop", pool.uri(), "--all", "--yes", "--json", "-"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    CHECK(json::parse(run.out)["members_shut_out"] == 1);
    CHECK(json::parse(run.out)["bytes"] == 32U << 20U);
    CHECK_THAT(run.err, has_text(pool.segment()) && has_text("stays for another pool"));
    auto const late = shm_pool::fill(engine);
    REQUIRE_FALSE(late);
    // Shut out; or what it reads first is gone already.
    CHECK((late.error().code == errc::fenced || late.error().code == errc::dropped));

    auto const gone = run_pool({"info", pool.uri()});
    CHECK(gone.status == 1);
    CHECK_THAT(gone.err, has_text("there is no pool on it"));
    CHECK_THAT(gone.err, has_text("to make a pool: catena-pool create '" + pool.uri("size=1GiB&keep=yes") + "'\n"));
    CHECK(run_pool({"drop", pool.uri(), "--all", "--yes"}).status == 1);

    auto const made = json_of({"create", pool.uri("keep=yes")}); // the segment has its size
    CHECK(made["uuid"] != uuid);
    CHECK(made["node_bytes"] == 16U << 20U);
    auto const next = pool.open();
    CHECK(shm_pool::fill(next));
    CHECK(run_pool({"check", pool.uri()}).status == 0);
}

TEST_CASE("a pool that is half wiped says so, and is finished by drop --all", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("half");
    pool.write({1, 0}, wiping_mark(7));
    for (std::vector<std::string> const& arguments : std::vector<std::vector<std::string>>{
             {"info", pool.uri()}, {"list", pool.uri()}, {"check", pool.uri()}, {"create", pool.uri("keep=yes")}}) {
        auto const run = run_pool(arguments);
        CAPTURE(arguments.front(), run.err);
        CHECK(run.status == 1);
        CHECK_THAT(run.err,
                   has_text("memory node 1: its pool is being wiped, or was when the wiper died; catena-pool drop"));
    }
    auto const asked = run_pool({"drop", pool.uri(), "--all"});
    CHECK(asked.status == 2);
    CHECK_THAT(asked.err, has_text("it cannot be opened") && has_text("is removed as it is"));
    CHECK(run_pool({"drop", pool.uri(), "--all", "--yes"}).status == 0);
    CHECK(run_pool({"create", pool.uri("keep=yes")}).status == 0);
}

TEST_CASE("on a terminal drop asks, and what is typed counts", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("asks");
    { auto const made = pool.open(); }
    auto const no = run_on_terminal({"drop", pool.uri(), "--index", "prefix"}, "yes");
    CHECK(no.status == 1);
    CHECK_THAT(no.said, has_text("this drops the index 'prefix', and all that is in it."));
    CHECK_THAT(no.said, has_text("Type prefix to go on:") && has_text("nothing was dropped"));
    CHECK(names_in(json_of({"list", pool.uri()})).size() == 2);
    CHECK(run_on_terminal({"drop", pool.uri(), "--index", "prefix"}, "prefix").status == 0);
    CHECK(names_in(json_of({"list", pool.uri()})).empty());
    auto const all = run_on_terminal({"drop", pool.uri(), "--all"}, "drop");
    CHECK(all.status == 0);
    CHECK_THAT(all.said, has_text("zeroing") && has_text("removed"));
    CHECK(run_pool({"info", pool.uri()}).status == 1);
}

TEST_CASE("a URI that contradicts the pool, or names none, is refused and makes nothing", "[tools][program]") {
    if (program_missing()) return;
    shm_pool const pool("contradiction");
    auto const size = run_pool({"info", pool.uri("size=1GiB")});
    CHECK(size.status == 1);
    CHECK_THAT(size.err, has_text("size is 16777216, expected 1073741824"));
    auto const nodes = run_pool({"check", pool.uri("nodes=3")});
    CHECK(nodes.status == 1);
    CHECK_THAT(nodes.err, has_text("nodes is 2, expected 3"));
    shm_name const none("none");
    for (std::string const command : {"info", "list", "check", "drop"}) {
        std::vector<std::string> arguments{command, none.uri("size=1MiB&keep=yes")};
        if (command == "drop") arguments.insert(arguments.end(), {"--all", "--yes"});
        auto const run = run_pool(arguments);
        CAPTURE(command, run.err);
        CHECK(run.status == 1);
        CHECK_THAT(run.err, has_text("there is no segment " + none.segment()));
        CHECK_THAT(run.err, has_text("to make a pool: catena-pool create"));
        CHECK_FALSE(std::filesystem::exists(none.segment()));
    }
}

TEST_CASE("catena-pool: wrong usage ends with status 2 and says what would be right", "[tools][program]") {
    if (program_missing()) return;
    struct mistake {
        std::vector<std::string> arguments;
        std::string said;
    };
    for (auto const& [arguments, said] : std::vector<mistake>{
             {{}, "subcommand is required"},
             {{"destroy", "shm:x"}, "there is no command \"destroy\"; there are: create, info, list, check, drop"},
             {{"info"}, "catena-pool info --help says what is possible"},
             {{"info", "shm:x", "shm:y"}, "shm:y"},
             {{"info", "nonsense:x"}, "unknown scheme 'nonsense'; known are local, shm and verbs"},
             {{"info", "shm:x?size=lots"}, "size=lots is not valid"},
             {{"info", "shm:x", "--watch", "-1"}, "\"-1\" is not a number from 0 to 3600000"},
             {{"info", "shm:x", "--json", "/no/such/folder/f"}, "not a place for a file"},
             {{"list", "local:?size=1MiB"}, "a local pool lives inside the process that made it"},
             {{"list", "shm:x", "--index", "y"}, "--index"},
             {{"create", "shm:x?size=1MiB"}, "shm:x?size=1MiB&keep=yes"},
             {{"drop", "shm:x"}, "say what to drop: --index NAME, or --all"},
             {{"drop", "shm:x", "--all", "--index", "y"}, "say what to drop: --index NAME, or --all"},
             {{"drop", "shm:x?access=read", "--all", "--yes"}, "drop writes to the pool, and access=read forbids that"},
         }) {
        auto const run = run_pool(arguments);
        CAPTURE(arguments, run.err);
        CHECK(run.status == 2);
        CHECK_THAT(run.err, has_text(said));
        CHECK(run.err.starts_with("catena-pool: "));
        CHECK(run.out.empty());
    }
}

TEST_CASE("help of the program and of each command teaches, with examples", "[tools][program]") {
    if (program_missing()) return;
    for (std::string const command : {"", "create", "info", "list", "check", "drop"}) {
        auto const help = run_pool(command.empty() ? std::vector<std::string>{"--help"}
                                                   : std::vector<std::string>{command, "--help"});
        CAPTURE(command, help.err);
        CHECK(help.status == 0);
        CHECK(help.err.empty());
        CHECK_THAT(help.out, has_text("Examples:\n  catena-pool " + (command.empty() ? "create" : command) + " "));
        std::size_t width = 0;
        for (auto const c : help.out) {
            width = c == '\n' ? 0 : width + 1;
            if (width > 100) FAIL("a line of --help is wider than 100 columns");
        }
    }
    CHECK_THAT(run_pool({"--help"}).out, has_text("Exit status:") && has_text("verbs://HOST:PORT"));
    CHECK(run_pool({"--version"}).out.starts_with("catena-pool "));
}
