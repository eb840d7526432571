// SPDX-License-Identifier: Apache-2.0
// trace_file: reads a trace line by line. A line that is no request is counted and remembered with its number and the
// reason, never silently dropped; blank lines and CR before LF do not count as wrong.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <catena/core/result.hpp>

#include "tools/trace.hpp"

namespace catena::tools {

struct trace_options {
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max(); ///< stop after that many requests
    std::optional<std::uint32_t> block_tokens{};                     ///< nothing: deduce it, see deduce_block_tokens
    std::function<void(std::uint64_t)> progress{};                   ///< told now and then how many bytes are read
};

struct skipped_line {
    std::uint64_t line; ///< from 1
    std::string reason;
};

/// What was read, and what was not.
struct loaded_trace {
    static constexpr std::size_t listed = 10;

    trace requests;
    std::uint64_t skipped = 0;          ///< lines that are no request
    std::vector<skipped_line> examples; ///< the first `listed` of them
};

/// The trace cannot be used at all: a sentence for the user.
struct trace_problem {
    std::string message;
    std::uint64_t skipped = 0;
    std::vector<skipped_line> examples;
};

/// Reads a file. A file that is missing, unreadable, a directory, or without one valid request is a problem.
[[nodiscard]] result<loaded_trace, trace_problem> load_trace(std::string const& path,
                                                             trace_options const& options = {});

/// The same from a stream; `name` is for messages.
[[nodiscard]] result<loaded_trace, trace_problem> load_trace(std::istream& in, std::string name,
                                                             trace_options const& options = {});

/// The power of two T (1 to 2^20) with ceil(input_length / T) == number of ids in most requests. Of several that fit
/// equally well (short traces) 512, else 16, else the smallest. Nothing if T fits no more than half of the requests.
[[nodiscard]] std::optional<std::uint32_t> deduce_block_tokens(std::vector<request> const& requests);

/// "FILE:7: reason" for each example, then "and N more"; nothing if no line was skipped.
[[nodiscard]] std::string describe_skipped(std::string const& name, std::uint64_t skipped,
                                           std::vector<skipped_line> const& examples);

} // namespace catena::tools
