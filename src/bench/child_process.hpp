// SPDX-License-Identifier: Apache-2.0
// child_process: a server that a benchmark starts and stops. It ends with this object, and with this process however that dies.
// Thread safety: one thread, which must live as long as the child: the system ends a child with the thread that started it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

#include <catena/core/result.hpp>

namespace catena::bench {

class child_process {
public:
    /// Runs arguments[0], looked up in the PATH, with its output and complaints in the file `log`.
    [[nodiscard]] static result<child_process, std::string> start(std::vector<std::string> const& arguments,
                                                                  std::string const& log);
    child_process(child_process&& other) noexcept;
    child_process& operator=(child_process&& other) noexcept;
    ~child_process() { stop(); }

    [[nodiscard]] bool running();
    /// Processor time that it used, all its threads, in seconds; 0 if it is gone.
    [[nodiscard]] double processor_seconds() const;
    /// Asks it to end, and kills it if it did not after `patience`.
    void stop(std::chrono::milliseconds patience = std::chrono::seconds(5)) noexcept;

private:
    explicit child_process(pid_t pid) noexcept : pid_(pid) {}

    pid_t pid_ = 0; // 0: there is none
};

} // namespace catena::bench
