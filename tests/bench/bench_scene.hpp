// SPDX-License-Identifier: Apache-2.0
// What tests of catena-bench share: Redis if it is here, and what processes leave behind.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/redis_server.hpp"
#include "bench/systems.hpp"
#include "support/catch.hpp"
#include "tools/run_program.hpp"

namespace catena::test {

/// Is there a redis-server? If not, it says that the test is skipped.
[[nodiscard]] inline bool has_redis() {
    if (std::system("command -v redis-server >/dev/null") == 0) return true;
    WARN("skipped: there is no redis-server");
    return false;
}

[[nodiscard]] inline std::unique_ptr<bench::redis_server> started_redis(scratch_folder const& folder) {
    auto started = bench::redis_server::start("redis-server", folder / "");
    INFO((started ? std::string() : started.error()));
    REQUIRE(started);
    return std::move(*started);
}

/// The system of that name; pools in shared memory are held by the program that was built, for a test cannot hold them.
[[nodiscard]] inline bench::system system_named(std::string const& name) {
    std::optional<std::string> unknown;
    auto const found = bench::chosen({name}, unknown);
    REQUIRE(found.size() == 1);
    return found.front();
}

[[nodiscard]] inline bool becomes_true(auto condition, std::chrono::seconds patience = std::chrono::seconds(20)) {
    auto const until = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// Names in a folder that have `part` in them.
[[nodiscard]] inline std::vector<std::string> names_with(std::string const& folder, std::string const& part) {
    std::vector<std::string> names;
    std::error_code ignored;
    for (auto const& each : std::filesystem::directory_iterator(folder, ignored))
        if (auto name = each.path().filename().string(); name.find(part) != std::string::npos)
            names.push_back(std::move(name));
    return names;
}

/// How many processes work in a folder or below, as a Redis does in that of its socket, or make their temporary files there, as
/// everything does that a program started which was told to.
[[nodiscard]] inline int processes_of(std::string const& folder) {
    int count = 0;
    std::error_code ignored;
    auto const wanted = std::filesystem::weakly_canonical(folder).string();
    for (auto const& each : std::filesystem::directory_iterator("/proc", ignored)) {
        auto const works_in = std::filesystem::read_symlink(each.path() / "cwd", ignored).string() + "/";
        bool const told = text_of((each.path() / "environ").string()).find("TMPDIR=" + folder) != std::string::npos;
        if (told || works_in.starts_with(wanted)) ++count;
    }
    return count;
}

/// catena-bench under way, with a folder for temporary files of its own, by which those that it starts are known.
class running_bench {
public:
    explicit running_bench(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), bench_program());
        std::vector<char*> words;
        for (auto& each : arguments) words.push_back(each.data());
        words.push_back(nullptr);
        std::filesystem::create_directory(temporary());
        auto const mark = "TMPDIR=" + temporary();
        pid_ = fork();
        if (pid_ != 0) {
            setpgid(pid_, pid_); // here and in the child: whoever is first
            return;
        }
        setpgid(0, 0);
        auto const out = open((folder_ / "said").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        std::vector<char*> environment{const_cast<char*>(mark.c_str())};
        std::string path = std::string("PATH=") + std::getenv("PATH");
        environment.push_back(path.data());
        environment.push_back(nullptr);
        execve(words[0], words.data(), environment.data());
        _exit(127);
    }
    running_bench(running_bench const&) = delete;
    running_bench& operator=(running_bench const&) = delete;
    ~running_bench() {
        if (pid_ == 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] std::string temporary() const { return folder_ / "tmp"; }
    [[nodiscard]] std::string said() const { return text_of(folder_ / "said"); }
    /// Sends the signal as a terminal does, to all that were started. Returns what run_program calls status.
    [[nodiscard]] int interrupt() { return end_with(-pid_, SIGINT); }
    [[nodiscard]] int kill_alone() { return end_with(pid_, SIGKILL); }

private:
    int end_with(pid_t whom, int signal) {
        kill(whom, signal);
        int status = 0;
        waitpid(std::exchange(pid_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    scratch_folder folder_;
    pid_t pid_ = 0;
};

} // namespace catena::test
