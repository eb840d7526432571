// SPDX-License-Identifier: Apache-2.0
#include "bench/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace catena::bench {
namespace {

// In the child: calls of the system alone, for other threads of the parent may have held locks.
[[noreturn]] void become(char* const* arguments, int log, int report, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {   // else it died before it could be said
        signal(SIGINT, SIG_IGN); // Ctrl-C is for the parent, which stops its children when it is done with them
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        execvp(arguments[0], arguments);
    }
    int const why = errno;
    [[maybe_unused]] auto const told = write(report, &why, sizeof why);
    _exit(127);
}

} // namespace

result<child_process, std::string> child_process::start(std::vector<std::string> const& arguments,
                                                        std::string const& log) {
    std::vector<char*> words;
    for (auto const& each : arguments)
        words.push_back(const_cast<char*>(each.c_str())); // execvp leaves them as they are
    words.push_back(nullptr);
    std::array<int, 2> report{}; // closed by a successful exec, else written to
    int const to = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) return fmt::format("cannot write {}: {}", log, std::strerror(errno));
    if (pipe2(report.data(), O_CLOEXEC) != 0) {
        close(to);
        return fmt::format("no pipe to {}: {}", arguments.front(), std::strerror(errno));
    }
    auto const parent = getpid();
    auto const pid = fork();
    if (pid == 0) become(words.data(), to, report[1], parent);
    close(to);
    close(report[1]);
    int why = 0;
    bool const failed = pid < 0 || read(report[0], &why, sizeof why) == sizeof why;
    close(report[0]);
    if (!failed) return child_process(pid);
    if (pid < 0) return fmt::format("cannot start {}: {}", arguments.front(), std::strerror(errno));
    waitpid(pid, nullptr, 0);
    return fmt::format("cannot start {}: {}", arguments.front(), std::strerror(why));
}

child_process::child_process(child_process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

child_process& child_process::operator=(child_process&& other) noexcept {
    if (this != &other) {
        stop();
        pid_ = std::exchange(other.pid_, 0);
    }
    return *this;
}

bool child_process::running() {
    if (pid_ == 0) return false;
    if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
    pid_ = 0;
    return false;
}

double child_process::processor_seconds() const {
    clockid_t of_child = 0;
    timespec used{};
    if (pid_ == 0 || clock_getcpuclockid(pid_, &of_child) != 0 || clock_gettime(of_child, &used) != 0) return 0;
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

void child_process::stop(std::chrono::milliseconds patience) noexcept {
    if (pid_ == 0) return;
    kill(pid_, SIGTERM);
    auto const until = std::chrono::steady_clock::now() + patience;
    while (waitpid(pid_, nullptr, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > until) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    pid_ = 0;
}

} // namespace catena::bench
