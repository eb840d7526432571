// SPDX-License-Identifier: Apache-2.0
// Processes of a test on one shared segment. Children do their work right after fork(), before this process has any
// thread, and leave with _exit; what they think of it is their exit status.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <support/threads.hpp>

namespace catena::test {

/// A name that nobody else uses, removed at the end whatever happened.
class segment_name {
public:
    segment_name() : name_("test." + std::to_string(::getpid()) + "." + std::to_string(++count)) {}
    segment_name(segment_name const&) = delete;
    segment_name& operator=(segment_name const&) = delete;
    ~segment_name() { ::unlink(path().c_str()); }

    operator std::string_view() const noexcept { return name_; } // NOLINT: it is one
    [[nodiscard]] std::string path() const { return "/dev/shm/catena." + name_; }
    [[nodiscard]] bool exists() const { return ::access(path().c_str(), F_OK) == 0; }

private:
    static inline int count = 0;
    std::string name_;
};

/// Another process that runs work(wait_for_parent) and ends with 0 if nothing was thrown.
class child_process {
public:
    template <typename Work>
    explicit child_process(Work work) {
        std::array<int, 2> to_child{}, to_parent{};
        expect(::pipe(to_child.data()) == 0 && ::pipe(to_parent.data()) == 0, "pipe");
        pid_ = ::fork();
        expect(pid_ >= 0, "fork");
        if (pid_ == 0) {
            ::close(to_child[1]);
            ::close(to_parent[0]);
            int status = 0;
            try {
                // meet(): tells the parent that we got here, waits until it says go on
                work([&] {
                    char c = 'x';
                    if (::write(to_parent[1], &c, 1) != 1 || ::read(to_child[0], &c, 1) != 1) ::_exit(9);
                });
            } catch (...) {
                status = 1;
            }
            ::_exit(status);
        }
        ::close(to_child[0]);
        ::close(to_parent[1]);
        go_ = to_child[1];
        here_ = to_parent[0];
    }
    child_process(child_process const&) = delete;
    child_process& operator=(child_process const&) = delete;
    ~child_process() {
        if (pid_ > 0) kill();
        ::close(go_);
        ::close(here_);
    }

    /// Waits until the child meets.
    void arrived() {
        char c = 0;
        expect(::read(here_, &c, 1) == 1, "the child ended early");
    }
    void go_on() {
        char const c = 'x';
        expect(::write(go_, &c, 1) == 1, "write to the child");
    }
    int join() {
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    void kill() {
        ::kill(pid_, SIGKILL);
        (void)join();
    }
    /// Returns when none of its threads runs any more.
    void stop() {
        ::kill(pid_, SIGSTOP);
        int status = 0;
        expect(::waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status),
               "the child ended instead of stopping");
    }
    void resume() { ::kill(pid_, SIGCONT); }

private:
    pid_t pid_ = -1;
    int go_ = -1;
    int here_ = -1;
};

} // namespace catena::test
