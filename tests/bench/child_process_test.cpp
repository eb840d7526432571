// SPDX-License-Identifier: Apache-2.0
// Servers that are started and stopped: none outlives the object, however unwilling.
#include "bench_scene.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>

#include "bench/child_process.hpp"

using namespace catena::bench;
using namespace catena::test;

namespace {

// Its number, which it writes as its first line.
pid_t number_of(std::string const& log) {
    CHECK(becomes_true([&] { return text_of(log).find('\n') != std::string::npos; }));
    return static_cast<pid_t>(std::stol("0" + text_of(log)));
}

bool gone(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

child_process started(std::string const& script, std::string const& log) {
    auto child = child_process::start({"sh", "-c", script}, log);
    REQUIRE(child);
    return std::move(*child);
}

} // namespace

TEST_CASE("a program that cannot be started is told, not left as a child", "[bench]") {
    scratch_folder const folder;
    auto const missing = child_process::start({"no-such-program-anywhere"}, folder / "log");
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error(), has_text("cannot start no-such-program-anywhere: No such file or directory"));
    auto const no_program = child_process::start({folder.file("text", "x")}, folder / "log");
    REQUIRE_FALSE(no_program);
    CHECK_THAT(no_program.error(), has_text("Permission denied"));
    auto const nowhere = child_process::start({"true"}, "/no/such/folder/log");
    REQUIRE_FALSE(nowhere);
    CHECK_THAT(nowhere.error(), has_text("cannot write /no/such/folder/log"));
    CHECK((waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD));
}

TEST_CASE("a child ends with its object", "[bench]") {
    scratch_folder const folder;
    pid_t pid = 0;
    {
        auto child = started("echo $$; exec sleep 1000", folder / "log");
        pid = number_of(folder / "log");
        REQUIRE(pid > 0);
        CHECK(child.running());
        auto moved = std::move(child);
        CHECK_FALSE(child.running()); // NOLINT: what was moved from has none
        CHECK(moved.running());
        CHECK_FALSE(gone(pid));
    }
    CHECK(gone(pid));
}

TEST_CASE("one that ignores the request to end is killed when patience ends", "[bench]") {
    scratch_folder const folder;
    auto child = started("trap '' TERM; echo $$; while :; do sleep 0.02; done", folder / "log");
    auto const pid = number_of(folder / "log");
    REQUIRE(pid > 0);
    auto const begin = std::chrono::steady_clock::now();
    child.stop(std::chrono::milliseconds(100));
    auto const took = std::chrono::steady_clock::now() - begin;
    CHECK(took >= std::chrono::milliseconds(100));
    CHECK(took < std::chrono::seconds(10));
    CHECK_FALSE(child.running());
    CHECK(gone(pid));
    child.stop(); // nothing is left to do
}

TEST_CASE("one that ended by itself is not running, and what it used is counted while it runs", "[bench]") {
    scratch_folder const folder;
    auto ended = started("echo done", folder / "log");
    CHECK(becomes_true([&] { return !ended.running(); }));
    CHECK(text_of(folder / "log") == "done\n");
    CHECK(ended.processor_seconds() == 0);
    auto busy = started("while :; do :; done", folder / "busy");
    CHECK(becomes_true([&] { return busy.processor_seconds() > 0.02; }));
    CHECK(busy.running());
}
