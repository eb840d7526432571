// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_source.hpp"

#include <cstdio>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "tools/synthetic_trace.hpp"

namespace catena::tools {

result<loaded_trace, exit_code> obtain(trace_source const& from, std::string_view program) {
    if (from.file.empty()) {
        auto made = synthetic_trace({.seed = from.seed, .requests = from.requests});
        if (from.limit && *from.limit < made.requests.size())
            made.requests.resize(static_cast<std::size_t>(*from.limit));
        return loaded_trace{.requests = std::move(made), .skipped = 0, .examples = {}};
    }
    trace_options options{.block_tokens = from.block_tokens};
    if (from.limit) options.limit = *from.limit;
    auto loaded = load_trace(from.file, options);
    auto const& [skipped, examples] = loaded ? std::tie(loaded->skipped, loaded->examples)
                                             : std::tie(loaded.error().skipped, loaded.error().examples);
    fmt::print(stderr, "{}", describe_skipped(from.file, skipped, examples));
    if (loaded) return std::move(*loaded);
    fmt::print(stderr, "{}: {}\n", program, loaded.error().message);
    return exit_trace;
}

} // namespace catena::tools
