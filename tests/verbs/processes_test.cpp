// SPDX-License-Identifier: Apache-2.0
// Memory nodes and clients as processes of their own, which are killed: the real programs over real queue pairs.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/sound.hpp>

#include <tools/run_program.hpp>

#include <catena/fabric/any_fabric.hpp>
#include <catena/index/chime_tree.hpp>

#include "verbs/rdma.hpp"

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

/// Killed at the end. A program of its own, not a fork of this one: devices that are open cannot be taken along.
class running_program {
public:
    running_program(std::string program, std::vector<std::string> arguments)
        : program_(std::move(program)), arguments_(std::move(arguments)) {
        start();
    }
    running_program(running_program const&) = delete;
    running_program& operator=(running_program const&) = delete;
    ~running_program() { stop(SIGKILL); }

    /// Returns once it says that it is ready.
    void start() {
        std::array<int, 2> out{};
        expect(::pipe2(out.data(), O_CLOEXEC) == 0, "pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(out[1], 1);
            std::vector<char*> all{const_cast<char*>(program_.c_str())}; // NOLINT: execv does not write
            for (auto const& a : arguments_) all.push_back(const_cast<char*>(a.c_str())); // NOLINT
            all.push_back(nullptr);
            ::execv(program_.c_str(), all.data());
            ::_exit(127);
        }
        ::close(out[1]);
        char c = 0;
        said.clear();
        while (::read(out[0], &c, 1) == 1 && (c != '\n' || !said.starts_with("catena-"))) {
            said += c;
            if (c == '\n') said.clear(); // Catch's
        }
        out_ = out[0];
        expect(said.starts_with("catena-"), "it does not start");
    }
    /// Its exit code, or 1000 + the signal.
    int stop(int signal) {
        if (pid_ <= 0) return -1;
        ::kill(pid_, signal);
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        ::close(out_);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    /// Seconds of processor time that it took so far.
    [[nodiscard]] double processor_seconds() const {
        auto const stat = text_of("/proc/" + std::to_string(pid_) + "/stat");
        std::istringstream fields(stat.substr(stat.rfind(')') + 2));
        std::string skipped;
        for (int i = 0; i < 11; ++i) fields >> skipped;
        double user = 0, system = 0;
        fields >> user >> system;
        return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    }

    std::string said; ///< its first line

private:
    std::string program_;
    std::vector<std::string> arguments_;
    pid_t pid_ = -1;
    int out_ = -1;
};
struct memory_node_process : running_program {
    explicit memory_node_process(std::vector<std::string> arguments)
        : running_program(CATENA_MEMD_PROGRAM, std::move(arguments)) {}
};

[[nodiscard]] std::string next_address(std::size_t device) {
    static int port = 30000 + ::getpid() % 1000;
    return rdma_address(device) + ":" + std::to_string(++port);
}
[[nodiscard]] std::string traces() { return CATENA_TRACE_DIR; }

using tree = chime_tree<std::uint64_t, std::uint64_t>;
using verbs_client = basic_client<any_fabric>;
using verbs_calls = calls<tree, verbs_client::session_type>;
constexpr pool_options short_lease{.lease = 300ms};
constexpr std::uint64_t few_keys = 600; // few leaves: who is killed holds one of them, as a rule

} // namespace

TEST_CASE("two memory nodes and two clients as processes: a real trace, replayed by both at once",
          "[verbs][processes]") {
    scratch_folder const folder;
    auto const secret = folder.file("secret", "the secret of this test");
    REQUIRE(::chmod(secret.c_str(), 0600) == 0);
    auto const first = next_address(0), second = next_address(1);
    memory_node_process const a({"--size", "64MiB", "--listen", first, "--secret", secret});
    memory_node_process const b({"--size", "64MiB", "--listen", second, "--secret", secret});
    auto const uri = "verbs://" + first + "," + second + "?secret=" + secret;
    auto const trace = traces() + "/mooncake_conversation.jsonl";
    bool const has_trace = ::access(trace.c_str(), R_OK) == 0;
    if (!has_trace) WARN("no trace there: a generated one is replayed");

    auto const early = run_program(CATENA_REPLAY_PROGRAM, {"--pool", uri, "--limit", "1"});
    REQUIRE(early.status == 1);
    REQUIRE_THAT(early.err, has_text("there is no pool on these memory nodes yet"));
    auto const created = run_program(CATENA_POOL_PROGRAM, {"create", uri});
    CAPTURE(created.err);
    REQUIRE(created.status == 0);
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"create", uri}).status == 1);

    auto const replay = [&] {
        std::vector<std::string> arguments{"--pool", uri, "--limit", "300", "--full-blocks-only", "--json", "-"};
        if (has_trace) arguments.push_back(trace);
        return run_program(CATENA_REPLAY_PROGRAM, arguments);
    };
    program_run other;
    std::thread at_the_same_time([&] { other = replay(); });
    auto const mine = replay();
    at_the_same_time.join();
    CAPTURE(mine.err, other.err);
    REQUIRE(mine.status == 0);
    REQUIRE(other.status == 0);

    auto const checked = run_program(CATENA_POOL_PROGRAM, {"check", uri});
    CAPTURE(checked.out, checked.err);
    REQUIRE(checked.status == 0);
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"info", uri + "&access=read"}).status == 0);
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"list", uri}).status == 0);
    // No processor time per operation: what there is went into connections.
    auto const before = a.processor_seconds();
    REQUIRE(replay().status == 0);
    REQUIRE(a.processor_seconds() - before < 2.0);
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"drop", uri, "--all", "--yes"}).status == 0);
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"create", uri}).status == 0);
}

TEST_CASE("inserts and erases until it is killed", "[.client]") { // started by the next one
    std::array const names{std::string(std::getenv("CATENA_TEST_FIRST")),
                           std::string(std::getenv("CATENA_TEST_SECOND"))};
    any_fabric fabric(ok(verbs_fabric::open(names)));
    auto client = verbs_client::join(fabric);
    auto index = ok(tree::open(client.s, "t", 1U << 20U));
    verbs_calls t(index, client.s);
    std::puts("catena-test: begins");
    std::fflush(stdout);
    for (std::uint64_t i = 0;; ++i) {
        auto const k = mix64(i % few_keys);
        if (i / few_keys % 2 == 0)
            (void)t.upsert(k, i);
        else
            (void)t.erase(k);
    }
}

TEST_CASE("a client that is killed in the middle of inserts: another one takes its locks over", "[verbs][processes]") {
    auto const first = next_address(0), second = next_address(1);
    memory_node_process const a({"--size", "64MiB", "--listen", first});
    memory_node_process const b({"--size", "64MiB", "--listen", second});
    std::array const names{first, second};
    any_fabric fabric(ok(verbs_fabric::open(names)));
    auto mine = verbs_client::create(fabric, short_lease);
    auto index = ok(tree::create(mine.s, "t", 1U << 20U));
    verbs_calls t(index, mine.s);
    ::setenv("CATENA_TEST_FIRST", first.c_str(), 1);
    ::setenv("CATENA_TEST_SECOND", second.c_str(), 1);
    std::uint64_t locks_left = 0;
    for (int round = 0; round < 4 || (locks_left == 0 && round < 60); ++round) {
        running_program one("/proc/self/exe", {"[.client]"}), other("/proc/self/exe", {"[.client]"});
        std::this_thread::sleep_for(150ms);
        REQUIRE(one.stop(SIGKILL) == 1000 + SIGKILL);
        for (std::uint64_t i = 0; i < few_keys; i += 7) (void)t.upsert(mix64(i), i);
        REQUIRE(other.stop(SIGKILL) == 1000 + SIGKILL);
        locks_left += t.check().locked; // nobody else is at work: these are of the dead
    }
    REQUIRE(locks_left > 0);
    for (std::uint64_t i = 0; i < few_keys; ++i) (void)t.upsert(mix64(i), i);
    for (std::uint64_t i = 0; i < few_keys; ++i) REQUIRE(t.find(mix64(i)) == i);
    (void)ok(sync_wait(mine.s, index.recover(mine.s))); // those of inner nodes, which no key needs
    REQUIRE(t.sound().entries == few_keys);
}

TEST_CASE("a memory node that is killed: errors and no hang; with --region the pool goes on", "[verbs][processes]") {
    std::string const file = "/dev/shm/catena-test-region." + std::to_string(::getpid());
    auto const first = next_address(0), second = next_address(1);
    memory_node_process a({"--size", "64MiB", "--listen", first});
    memory_node_process b({"--size", "64MiB", "--listen", second, "--region", file});
    std::array const names{second};
    std::array const both{first, second};
    {
        any_fabric fabric(ok(verbs_fabric::open(names)));
        auto client = verbs_client::create(fabric, short_lease);
        auto index = ok(tree::create(client.s, "t", 1U << 20U));
        verbs_calls t(index, client.s);
        for (std::uint64_t i = 0; i < 200; ++i) (void)t.insert(mix64(i), i);
        REQUIRE(b.stop(SIGKILL) == 1000 + SIGKILL);
        auto const begin = std::chrono::steady_clock::now();
        for (int i = 0; i < 5; ++i) {
            auto const r = sync_wait(client.s, index.find(client.s, mix64(1)));
            REQUIRE((!r && r.error().code == errc::unreachable));
            auto const w = sync_wait(client.s, index.upsert(client.s, mix64(1), 7));
            REQUIRE_FALSE(w);
        }
        REQUIRE(std::chrono::steady_clock::now() - begin < 20s);
        b.start();
        REQUIRE_THAT(b.said, has_text("with a pool on it"));
        auto last = errc::unreachable;
        for (int i = 0; i < 100 && last != errc::restarted; ++i) {
            std::this_thread::sleep_for(20ms);
            auto const r = sync_wait(client.s, index.find(client.s, mix64(1)));
            REQUIRE_FALSE(r);
            last = r.error().code;
        }
        REQUIRE(last == errc::restarted);
    }
    {
        any_fabric fabric(ok(verbs_fabric::open(names)));
        auto client = verbs_client::join(fabric);
        auto index = ok(tree::open(client.s, "t", 1U << 20U));
        verbs_calls t(index, client.s);
        for (std::uint64_t i = 0; i < 200; ++i) REQUIRE(t.find(mix64(i)) == i);
        for (std::uint64_t i = 0; i < 200; ++i) (void)t.upsert(mix64(i), i + 1);
        REQUIRE(t.sound().entries == 200);
    }
    // The other one has no file: its memory is gone with it.
    {
        any_fabric fabric(ok(verbs_fabric::open(std::span(both).first(1))));
        auto const client = verbs_client::create(fabric, short_lease);
    }
    REQUIRE(a.stop(SIGTERM) == 0);
    a.start();
    auto const empty = ok(verbs_fabric::open(std::span(both).first(1)));
    REQUIRE_FALSE(empty.formatted());
    REQUIRE(b.stop(SIGTERM) == 0);
    ::unlink(file.c_str());
}

TEST_CASE("catena-memd says what is in its way", "[verbs][processes]") {
    auto const refusal = [](std::vector<std::string> arguments, int status) {
        arguments.insert(arguments.begin(), {"20", CATENA_MEMD_PROGRAM}); // one that starts all the same is ended
        auto const run = run_program("/usr/bin/timeout", arguments);
        CAPTURE(run.out, run.err);
        REQUIRE(run.status == status);
        REQUIRE(run.out.empty());
        return run.err;
    };
    auto const address = next_address(0);
    REQUIRE_THAT(refusal({}, 2), has_text("--size"));
    REQUIRE_THAT(refusal({"--size", "3GX"}, 2), has_text("3GX"));
    REQUIRE_THAT(refusal({"--size", "64KiB", "--listen", address}, 2), has_text("at least 2 MiB"));
    REQUIRE_THAT(refusal({"--size", "3MiB", "--listen", address}, 2), has_text("multiple of 2 MiB"));
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", "192.0.2.1:5000"}, 1), has_text("192.0.2.1:5000"));
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", address, "--secret", "/nothing"}, 2), has_text("/nothing"));
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", address, "--read-secret", "/nothing"}, 2),
                 has_text("--read-secret needs --secret"));
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", "10.77.0.1:x"}, 2), has_text("10.77.0.1:x"));
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", address, "--region", "/usr/lib/catena.region"}, 2),
                 has_text("tmpfs"));
    REQUIRE_THAT(refusal({"--size", "40GiB", "--listen", address, "--huge-pages", "yes"}, 1),
                 has_text("vm.nr_hugepages"));
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", address, "--numa", "77"}, 2), has_text("--numa=77"));
    memory_node_process const taken({"--size", "4MiB", "--listen", address});
    REQUIRE_THAT(refusal({"--size", "4MiB", "--listen", address}, 1), has_text("listens on " + address + " already"));
}

TEST_CASE("too low a limit of locked memory is named, whichever registration meets it", "[verbs][processes]") {
    auto const limited = [](int kib, std::string const& command) {
        return run_program("/bin/bash",
                           {"-c", "ulimit -l " + std::to_string(kib) +
                                      "; exec timeout 20 setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock " +
                                      command});
    };
    auto const address = next_address(0);
    auto const server = std::string(CATENA_MEMD_PROGRAM) + " --size 4MiB --listen " + address;
    for (int const kib : {64, 6 * 1024}) { // for none, and for the first of the two
        auto const run = limited(kib, server);
        CAPTURE(kib, run.err);
        REQUIRE(run.status == 1);
        REQUIRE_THAT(run.err, has_text(kib == 64 ? "; 0 are locked already" : "; 4194304 are locked already"));
        REQUIRE_THAT(run.err, has_text("ulimit -l unlimited"));
    }
    memory_node_process const there({"--size", "4MiB", "--listen", address});
    auto const client = limited(64, std::string(CATENA_POOL_PROGRAM) + " create verbs://" + address);
    CAPTURE(client.err);
    REQUIRE(client.status == 1);
    REQUIRE_THAT(client.err, has_text("ulimit -l unlimited"));
}

TEST_CASE("a device that is removed: the server gives it up, and ends if it has no other", "[verbs][processes]") {
    if (std::getenv("RXE_VM") == nullptr) {
        WARN("not in the virtual machine: no device to remove");
        return;
    }
    auto const shell = [](std::string const& command) {
        auto const run = run_program("/bin/bash", {"-c", command});
        CAPTURE(command, run.out, run.err);
        REQUIRE(run.status == 0);
    };
    shell("ip link add going type dummy && ip addr add 10.78.0.1/24 dev going && ip link set going up && "
          "rdma link add rxe9 type rxe netdev going");
    memory_node_process everywhere({"--size", "4MiB", "--listen", ":7999"});
    memory_node_process only_there({"--size", "4MiB", "--listen", "10.78.0.1:7998"});
    REQUIRE_THAT(everywhere.said, has_text("rxe9"));
    auto const here = rdma_address(0) + ":7999";
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"create", "verbs://" + here}).status == 0);

    shell("timeout 20 rdma link delete rxe9"); // which waits until nobody has it open
    REQUIRE(only_there.stop(0) == 1);
    REQUIRE(run_program(CATENA_POOL_PROGRAM, {"info", "verbs://" + here}).status == 0);
    shell("rdma link add rxe9 type rxe netdev going && timeout 20 rdma link delete rxe9 && ip link delete going");
    REQUIRE(everywhere.stop(SIGTERM) == 0);
}

TEST_CASE("catena-memd tells Prometheus what it serves", "[verbs][processes]") {
    auto const address = next_address(0);
    auto const port = std::to_string(9100 + ::getpid() % 500);
    memory_node_process const a({"--size", "4MiB", "--listen", address, "--metrics", port});
    std::array const names{address};
    auto fabric = ok(verbs_fabric::open(names));
    auto c = ok(fabric.connect(client_id{1}));
    auto const get = "exec 3<>/dev/tcp/127.0.0.1/" + port + "; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    auto const text = run_program("/bin/bash", {"-c", get}).out;
    REQUIRE_THAT(text, has_text("200 OK"));
    REQUIRE_THAT(text, has_text("\ncatena_memd_connections 1\n"));
    REQUIRE_THAT(text, has_text("\ncatena_memd_region_bytes 4194304\n"));
    REQUIRE_THAT(text, has_text("\ncatena_memd_pool 0\n"));
    REQUIRE_THAT(text, has_text("\ncatena_memd_refused_total{reason=\"secret\"} 0\n"));
    auto const second = run_program("/usr/bin/timeout", {"20", CATENA_MEMD_PROGRAM, "--size", "4MiB", "--listen",
                                                         next_address(1), "--metrics", port});
    CAPTURE(second.out, second.err);
    REQUIRE(second.status == 1);
    REQUIRE_THAT(second.err, has_text("--metrics=" + port));
}
