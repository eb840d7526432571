// SPDX-License-Identifier: Apache-2.0
// Runs the real programs and keeps what they say; and a folder that goes away with the test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace catena::test {

class scratch_folder {
public:
    scratch_folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "catena-replay-test-XXXXXX").string();
        if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    ~scratch_folder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    scratch_folder(scratch_folder const&) = delete;
    scratch_folder& operator=(scratch_folder const&) = delete;

    [[nodiscard]] std::string operator/(std::string const& name) const { return (path_ / name).string(); }

    [[nodiscard]] std::string file(std::string const& name, std::string const& text) const {
        auto path = *this / name;
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }

private:
    std::filesystem::path path_;
};

[[nodiscard]] inline std::string text_of(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

struct program_run {
    int status = -1; ///< exit code; 128 + n if signal n ended it
    std::string out;
    std::string err;
};

/// Empty if the build does not say where the program is; so are the other programs.
[[nodiscard]] inline std::string replay_program() {
#if defined(CATENA_REPLAY_PROGRAM)
    return CATENA_REPLAY_PROGRAM;
#else
    return "";
#endif
}

[[nodiscard]] inline std::string sim_program() {
#if defined(CATENA_SIM_PROGRAM)
    return CATENA_SIM_PROGRAM;
#else
    return "";
#endif
}

[[nodiscard]] inline std::string pool_program() {
#if defined(CATENA_POOL_PROGRAM)
    return CATENA_POOL_PROGRAM;
#else
    return "";
#endif
}

[[nodiscard]] inline std::string trace_program() {
#if defined(CATENA_TRACE_PROGRAM)
    return CATENA_TRACE_PROGRAM;
#else
    return "";
#endif
}

[[nodiscard]] inline std::string bench_program() {
#if defined(CATENA_BENCH_PROGRAM)
    return CATENA_BENCH_PROGRAM;
#else
    return "";
#endif
}

[[nodiscard]] inline program_run run_program(std::string const& program, std::vector<std::string> const& arguments) {
    auto const quoted = [](std::string const& text) {
        std::string out = "'";
        for (auto const c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
        return out + "'";
    };
    scratch_folder const folder;
    auto command = quoted(program);
    for (auto const& argument : arguments) command.append(" ").append(quoted(argument));
    command.append(" >")
        .append(quoted(folder / "out"))
        .append(" 2>")
        .append(quoted(folder / "err"))
        .append(" </dev/null");
    auto const status = std::system(command.c_str());
    return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            .out = text_of(folder / "out"),
            .err = text_of(folder / "err")};
}
[[nodiscard]] inline program_run run_replay(std::vector<std::string> const& arguments) {
    return run_program(replay_program(), arguments);
}
[[nodiscard]] inline program_run run_sim(std::vector<std::string> const& arguments) {
    return run_program(sim_program(), arguments);
}
[[nodiscard]] inline program_run run_pool(std::vector<std::string> const& arguments) {
    return run_program(pool_program(), arguments);
}
[[nodiscard]] inline program_run run_trace(std::vector<std::string> const& arguments) {
    return run_program(trace_program(), arguments);
}

[[nodiscard]] inline program_run run_bench(std::vector<std::string> const& arguments) {
    return run_program(bench_program(), arguments);
}

} // namespace catena::test
