// SPDX-License-Identifier: Apache-2.0
#include "tools/report.hpp"

#include <utility>

namespace catena::tools {

call_summary summarize_calls(call_samples samples) {
    return {.calls = samples.calls(),
            .round_trips = summarize(std::move(samples.round_trips)),
            .verbs = summarize(std::move(samples.verbs)),
            .bytes_read = summarize(std::move(samples.bytes_read)),
            .bytes_written = summarize(std::move(samples.bytes_written)),
            .latency_us = summarize(std::move(samples.latency_us))};
}

} // namespace catena::tools
