// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_source.hpp"

#include <cstdio>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "tools/output.hpp"
#include "tools/synthetic_trace.hpp"

namespace catena::tools {
namespace {

result<loaded_trace, exit_code> obtain(common_settings const& s, complainer complain) {
    if (s.trace.empty()) {
        auto made = synthetic_trace({.seed = s.seed, .requests = s.requests});
        if (s.limit && *s.limit < made.requests.size()) made.requests.resize(static_cast<std::size_t>(*s.limit));
        return loaded_trace{.requests = std::move(made), .skipped = 0, .examples = {}};
    }
    trace_options options{.block_tokens = s.trace_block_tokens};
    if (s.limit) options.limit = *s.limit;
    auto loaded = load_trace(s.trace, options);
    auto const& [skipped, examples] = loaded ? std::tie(loaded->skipped, loaded->examples)
                                             : std::tie(loaded.error().skipped, loaded.error().examples);
    fmt::print(stderr, "{}", describe_skipped(s.trace, skipped, examples));
    if (loaded) return std::move(*loaded);
    complain("{}", loaded.error().message);
    return exit_trace;
}

} // namespace

result<prepared_trace, exit_code> prepare(common_settings const& s, std::string_view program) {
    complainer const complain{program};
    if (!is_place_for_file(s.json)) {
        complain("--json {}: not a place for a file", s.json);
        return exit_usage;
    }
    auto loaded = obtain(s, complain);
    if (!loaded) return loaded.error();
    chain_shape const shape{.block_tokens = s.block_tokens.value_or(loaded->requests.block_tokens),
                            .full_blocks_only = s.full_blocks_only};
    if (auto const why = unfit(loaded->requests, shape)) {
        complain("--block-tokens {}: {}", shape.block_tokens, *why);
        return exit_usage;
    }
    return prepared_trace{.loaded = std::move(*loaded), .shape = shape};
}

} // namespace catena::tools
