// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_distribution.hpp"

namespace catena::tools {

distribution make_distribution(std::vector<number_run> runs) {
    distribution out;
    if (runs.empty()) return out;
    std::sort(runs.begin(), runs.end(), [](number_run const& a, number_run const& b) { return a.first < b.first; });
    double sum = 0;
    for (auto const& [first, length, times] : runs) {
        auto const count = std::uint64_t{length} * times;
        auto const mean = static_cast<double>(first) + (length - 1) / 2.0;
        out.count += count;
        sum += mean * static_cast<double>(count);
    }
    out.mean = sum / static_cast<double>(out.count);
    out.max = runs.back().first + runs.back().length - 1;

    std::array const wanted{nearest_rank(out.count, 10), nearest_rank(out.count, 50), nearest_rank(out.count, 90),
                            nearest_rank(out.count, 99)};
    std::array const places{&out.p10, &out.p50, &out.p90, &out.p99};
    std::size_t next = 0;
    std::uint64_t before = 0;
    out.histogram.resize(static_cast<std::size_t>(std::bit_width(out.max)) + 1);
    for (auto const& [first, length, times] : runs) {
        auto const count = std::uint64_t{length} * times;
        for (; next < wanted.size() && wanted[next] < before + count; ++next)
            *places[next] = first + (wanted[next] - before) / times;
        before += count;
        auto const last = first + length - 1;
        for (auto from = first; from <= last;) {
            auto const bucket = static_cast<std::size_t>(std::bit_width(from));
            auto const to = std::min(last, bucket_bounds(bucket)[1]);
            out.histogram[bucket] += (to - from + 1) * times;
            if (to == last) break; // which may be the largest number there is
            from = to + 1;
        }
    }
    return out;
}

} // namespace catena::tools
