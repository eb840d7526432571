// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <utility>

#include <fmt/format.h>

#include "tools/trace_line.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

constexpr std::size_t longest_line = 64U << 20U; // bounds what a file without line ends can take

enum class read_state { line, overlong, end };

// As std::getline, but gives up storing (not reading) beyond longest_line. `bytes`: so many more were read.
read_state next_line(std::istream& in, std::string& line, std::uint64_t& bytes) {
    line.clear();
    using traits = std::istream::traits_type;
    auto* const buffer = in.rdbuf();
    bool overlong = false;
    for (;;) {
        auto const c = buffer->sbumpc();
        if (traits::eq_int_type(c, traits::eof())) {
            if (line.empty() && !overlong) return read_state::end;
            break;
        }
        ++bytes;
        if (traits::to_char_type(c) == '\n') break;
        if (line.size() < longest_line)
            line.push_back(traits::to_char_type(c));
        else
            overlong = true;
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return overlong ? read_state::overlong : read_state::line;
}

bool blank(std::string const& line) { return line.find_first_not_of(" \t") == std::string::npos; }

// Counts all, keeps the first few.
class skip_list {
public:
    void add(std::uint64_t line, std::string reason) {
        ++count_;
        if (first_.size() < loaded_trace::listed) first_.push_back({line, std::move(reason)});
    }
    void merge(skip_list later) {
        count_ += later.count_;
        std::move(later.first_.begin(), later.first_.end(), std::back_inserter(first_));
        std::stable_sort(first_.begin(), first_.end(),
                         [](skipped_line const& a, skipped_line const& b) { return a.line < b.line; });
        if (first_.size() > loaded_trace::listed) first_.resize(loaded_trace::listed);
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::vector<skipped_line> take() { return std::move(first_); }

private:
    std::uint64_t count_ = 0;
    std::vector<skipped_line> first_;
};

std::string misfit(request const& r, std::uint32_t block_tokens) {
    return fmt::format("input_length {} takes {} blocks of {} tokens, but there are {} hash_ids", r.input_length,
                       blocks_for(r.input_length, block_tokens), block_tokens, r.id_count);
}

} // namespace

std::optional<std::uint32_t> deduce_block_tokens(std::vector<request> const& requests) {
    constexpr unsigned powers = 21;
    std::array<std::size_t, powers> fits{};
    for (auto const& r : requests)
        for (unsigned power = 0; power < powers; ++power)
            if (blocks_for(r.input_length, std::uint64_t{1} << power) == r.id_count) ++fits[power];
    auto const most = *std::max_element(fits.begin(), fits.end());
    if (most * 2 <= requests.size()) return std::nullopt;
    for (unsigned const usual : {9U, 4U}) // 512: Mooncake; 16: vLLM's default block
        if (fits[usual] == most) return std::uint32_t{1} << usual;
    auto const power = std::find(fits.begin(), fits.end(), most) - fits.begin();
    return std::uint32_t{1} << static_cast<unsigned>(power);
}

result<loaded_trace, trace_problem> load_trace(std::istream& in, std::string name, trace_options const& options) {
    loaded_trace out;
    auto& read = out.requests;
    read.name = std::move(name);
    skip_list unreadable;
    std::string line;
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    constexpr std::uint64_t seldom = 64; // lines
    while (read.requests.size() < options.limit) {
        auto const state = next_line(in, line, bytes);
        if (state == read_state::end) break;
        if (number++ % seldom == 0 && options.progress) options.progress(bytes);
        if (state == read_state::overlong) {
            unreadable.add(number, fmt::format("longer than {}", human_size(longest_line)));
            continue;
        }
        if (blank(line)) continue;
        auto const parsed = parse_trace_line(line);
        if (!parsed) {
            unreadable.add(number, parsed.error().reason);
            continue;
        }
        request const r{.line = number,
                        .first_id = read.ids.size(),
                        .id_count = static_cast<std::uint32_t>(parsed->ids.size()),
                        .input_length = parsed->input_length,
                        .timestamp = parsed->timestamp};
        if (options.block_tokens && blocks_for(r.input_length, *options.block_tokens) != r.id_count) {
            unreadable.add(number, misfit(r, *options.block_tokens));
            continue;
        }
        read.requests.push_back(r);
        read.ids.insert(read.ids.end(), parsed->ids.begin(), parsed->ids.end());
    }

    auto const unusable = [&](std::string why) {
        return trace_problem{.message = fmt::format("{}: {}", read.name, why),
                             .skipped = unreadable.count(),
                             .examples = unreadable.take()};
    };
    if (read.requests.empty()) {
        if (number == 0) return unusable("the trace is empty");
        return unusable(fmt::format("no valid request in {} line{}", with_thousands(number), number == 1 ? "" : "s"));
    }
    if (options.block_tokens) {
        read.block_tokens = *options.block_tokens;
    } else {
        auto const deduced = deduce_block_tokens(read.requests);
        if (!deduced)
            return unusable(
                "cannot tell how many tokens a block has: no power of two makes input_length and the number "
                "of hash_ids agree in most requests; name it with --trace-block-tokens");
        read.block_tokens = *deduced;
        skip_list misfits;
        std::erase_if(read.requests, [&](request const& r) {
            if (blocks_for(r.input_length, *deduced) == r.id_count) return false;
            misfits.add(r.line, misfit(r, *deduced));
            return true;
        });
        unreadable.merge(std::move(misfits));
    }
    out.skipped = unreadable.count();
    out.examples = unreadable.take();
    return out;
}

result<loaded_trace, trace_problem> load_trace(std::string const& path, trace_options const& options) {
    std::error_code failed;
    auto const status = std::filesystem::status(path, failed);
    if (status.type() == std::filesystem::file_type::not_found)
        return trace_problem{.message = path + ": no such file", .skipped = 0, .examples = {}};
    if (std::filesystem::is_directory(status))
        return trace_problem{.message = path + ": is a directory, not a trace", .skipped = 0, .examples = {}};
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return trace_problem{
            .message = fmt::format("{}: cannot be read: {}", path, std::strerror(errno)), .skipped = 0, .examples = {}};
    return load_trace(in, path, options);
}

std::string describe_skipped(std::string const& name, std::uint64_t skipped,
                             std::vector<skipped_line> const& examples) {
    std::string text;
    for (auto const& each : examples) text += fmt::format("{}:{}: skipped: {}\n", name, each.line, each.reason);
    if (skipped > examples.size())
        text += fmt::format("{}: and {} more lines skipped\n", name, with_thousands(skipped - examples.size()));
    return text;
}

} // namespace catena::tools
