// SPDX-License-Identifier: Apache-2.0
// bench_shapes: the indexes side by side over distributions of keys that suit them and that do not. See --help.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>

#include "support/contest.hpp"
#include "support/draws.hpp"
#include "support/shapes.hpp"

namespace catena::bench {
namespace {

constexpr auto description =
    R"(bench_shapes - what does each index cost if keys are not spread like hashes?

Builds each index twice, from the same KEYS 8-byte keys with 8-byte values, and asks for them:
  grown    by single inserts in the order in which such keys come
  loaded   at once, from the sorted keys (bulk_load)
for each of these shapes:
  uniform     keys like hashes, in random order; each is asked for as often as the others
  zipf        the same keys, a few of them asked for most of the time (Zipf 0.99)
  sequential  ids that are counted up: 1, 2, 3, ...
  clustered   1,000 clusters anywhere; the next key is the next id of any of them, 1 to 4 further
)";

constexpr auto footer = R"(
Columns: RT round trips of an operation; verbs, bytes READ; training: what of the inserts' round
trips a learned index spent on its model; remote: bytes a key that the index says it has; pool:
bytes a key in chunks of the pool, which are never given back, free blocks included (a chunk is
1 MiB: small sizes say nothing); cache: bytes of this process a key. Counts are exact and the same
on every machine. The pool is local memory, so M/s is what the client computes, and noisy; the
indexes take turns, a fiftieth of the work at a time, and "x" is how many times as fast as
chime each is: for finds the median of the fifty, for inserts, where trainings come in bursts, all
in all. One session inserts and asks.

chime keeps no hot values here, but in a line of its own ("chime, hot": 1 MiB of them).

Examples:
  bench_shapes                          a smoke run of 20,000 keys
  bench_shapes 1000000                  1 or 2 minutes, 400 MiB
  bench_shapes 10000000 --shape clustered --index chime --index learned
  bench_shapes 10000000 >table.md       10 minutes or more, 3 GiB; says on standard error how far it is

Exit status: 0 done, 1 an index answered wrongly or ran out of memory, 2 wrong usage.
)";

constexpr std::size_t slices = 50;
constexpr std::size_t hot_bytes = std::size_t{1} << 20U;

struct settings {
    std::uint64_t keys = 20'000;
    std::uint64_t seed = 1;
    std::vector<std::string> indexes{"sherman", "chime", "learned"};
    std::vector<std::string> shapes{"uniform", "zipf", "sequential", "clustered"};
    std::vector<std::string> built{"grown", "loaded"};
    bool quiet = false;
};

[[nodiscard]] bool has(std::vector<std::string> const& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

[[nodiscard]] std::unique_ptr<contestant> make(std::string const& name) {
    if (name == "sherman") return std::make_unique<contestant_of<sherman_tree<std::uint64_t, std::uint64_t>>>(name);
    if (name == "chime") return std::make_unique<contestant_of<chime_tree<std::uint64_t, std::uint64_t>>>(name);
    return std::make_unique<contestant_of<learned_hopscotch<std::uint64_t, std::uint64_t>>>(name);
}

/// What is done at the moment, now and then, on standard error.
class progress {
public:
    explicit progress(bool quiet) : quiet_(quiet) {}
    void at(std::string const& what, std::size_t done, std::size_t of) {
        auto const now = std::chrono::steady_clock::now();
        if (quiet_ || now - said_ < std::chrono::seconds(5)) return;
        said_ = now;
        auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(now - begun_).count();
        std::fprintf(stderr, "bench_shapes: %s: %zu %% (%lld s)\n", what.c_str(), 100 * done / of,
                     static_cast<long long>(seconds));
    }

private:
    bool quiet_;
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point said_ = begun_;
};

using contestants = std::vector<std::unique_ptr<contestant>>;
using costs = std::map<contestant const*, sliced_cost>;

/// Each contestant does each slice of `work`; who begins changes.
[[nodiscard]] costs in_turn(contestants const& all, std::span<std::uint64_t const> work, std::string const& what,
                            progress& says, cost (contestant::*call)(std::span<std::uint64_t const>)) {
    costs taken;
    for (std::size_t i = 0; i < slices; ++i) {
        auto const begin = work.size() * i / slices;
        auto const slice = work.subspan(begin, work.size() * (i + 1) / slices - begin);
        for (std::size_t c = 0; c < all.size(); ++c) {
            auto& one = *all[(i + c) % all.size()];
            taken[&one].add((one.*call)(slice));
            says.at(what, i * all.size() + c, slices * all.size());
        }
    }
    return taken;
}

void head() {
    std::printf(
        "| index | keys | built | find: RT | verbs | bytes | upsert: RT | insert: RT | of it training | verbs | of it "
        "training | remote B/key | pool B/key | cache B/key | M finds/s | x | M inserts/s | x |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

/// The lines of one shape, built one way.
class table {
public:
    table(settings const& s, key_shape shape, bool grown, progress& says)
        : s_(s), shape_(shape), grown_(grown), says_(says), keys_(keys_of(shape, s.keys, s.seed)) {
        for (auto const& name : s.indexes) all_.push_back(make(name));
    }

    void run() {
        build();
        auto const shape_name = names[static_cast<std::size_t>(shape_)];
        if (has(s_.shapes, shape_name)) ask(std::string(shape_name), spread::uniform, true);
        if (shape_ != key_shape::uniform || !has(s_.shapes, "zipf")) return;
        ask("zipf", spread::zipf99, false);
        std::erase_if(all_, [](auto const& c) { return !c->keep_hot(hot_bytes); });
        if (!all_.empty()) ask("zipf", spread::zipf99, false, ", hot");
    }

private:
    static constexpr std::array<std::string_view, 3> names{"uniform", "sequential", "clustered"};

    void build() {
        auto const what = std::string(names[static_cast<std::size_t>(shape_)]) + (grown_ ? ", grown" : ", loaded");
        if (grown_) {
            inserted_ = in_turn(all_, keys_, what + ": insert", says_, &contestant::insert);
        } else {
            std::vector<entry_type> sorted(keys_.size());
            for (std::size_t i = 0; i < keys_.size(); ++i) sorted[i] = {.key = keys_[i], .value = keys_[i]};
            std::sort(sorted.begin(), sorted.end(), [](auto const& a, auto const& b) { return a.key < b.key; });
            for (std::size_t c = 0; c < all_.size(); ++c) {
                says_.at(what + ": load", c, all_.size());
                all_[c]->load(sorted);
            }
        }
        for (auto const& c : all_) {
            auto const found = c->check();
            if (found.entries != keys_.size()) fail(c->name() + ": keys are lost, or there are too many");
            remote_[c.get()] = static_cast<double>(found.remote_bytes);
            space_[c.get()] = static_cast<double>(c->space().taken);
        }
    }

    [[nodiscard]] std::vector<std::uint64_t> drawn(spread how, std::uint64_t seed) const {
        auto const times = std::clamp<std::uint64_t>(keys_.size() / 10, 20'000, 1'000'000);
        std::mt19937_64 random(seed);
        std::uniform_int_distribution<std::uint64_t> uniform(0, keys_.size() - 1);
        zipf const skewed(keys_.size(), 0.99);
        std::vector<std::uint64_t> wanted(times);
        for (auto& key : wanted) key = keys_[how == spread::uniform ? uniform(random) : skewed(random)];
        return wanted;
    }

    void ask(std::string const& label, spread how, bool with_inserts, char const* suffix = "") {
        auto const what = label + (grown_ ? ", grown" : ", loaded");
        for (auto const& c : all_) (void)c->find(drawn(how, s_.seed + 1)); // caches are warm
        auto const found = in_turn(all_, drawn(how, s_.seed + 2), what + ": find", says_, &contestant::find);
        std::map<contestant const*, double> cache;
        for (auto const& c : all_) cache[c.get()] = static_cast<double>(c->cache_bytes());
        auto const changed = in_turn(all_, drawn(how, s_.seed + 3), what + ": upsert", says_, &contestant::upsert);
        contestant const* chime = nullptr;
        for (auto const& c : all_)
            if (c->name() == "chime" && *suffix == '\0') chime = c.get(); // else there is nobody to take turns with
        auto const beside = [chime](costs const& of, contestant const* c, auto speed) {
            if (chime == nullptr)
                std::printf(" - |");
            else
                std::printf(" %.2f |", speed(of.at(c), of.at(chime)));
        };
        auto const n = static_cast<double>(keys_.size());
        for (auto const& held : all_) {
            auto const* const c = held.get();
            auto const& f = found.at(c).all;
            std::printf("| %s%s | %s | %s | %.3f | %.2f | %.0f | %.2f |", c->name().c_str(), suffix, label.c_str(),
                        grown_ ? "grown" : "loaded", f.trips(), f.verbs(), f.read(), changed.at(c).all.trips());
            if (grown_ && with_inserts) {
                auto const& i = inserted_.at(c).all;
                std::printf(" %.3f | %.3f | %.2f | %.2f |", i.trips(), i.training_trips(), i.verbs(),
                            i.training_verbs());
            } else {
                std::printf(" - | - | - | - |");
            }
            std::printf(" %.1f | %.1f | %.3f | %.2f |", remote_.at(c) / n, space_.at(c) / n, cache.at(c) / n,
                        f.millions_a_second());
            beside(found, c, usual_speed_beside);
            if (grown_ && with_inserts) {
                std::printf(" %.2f |", inserted_.at(c).all.millions_a_second());
                beside(inserted_, c, speed_beside);
            } else {
                std::printf(" - | - |");
            }
            std::printf("\n");
        }
        std::fflush(stdout);
    }

    settings const& s_;
    key_shape shape_;
    bool grown_;
    progress& says_;
    std::vector<std::uint64_t> keys_;
    contestants all_;
    costs inserted_;
    std::map<contestant const*, double> remote_;
    std::map<contestant const*, double> space_;
};

void run(settings const& s) {
    progress says(s.quiet);
    std::printf("%llu keys of 8 bytes, values of 8 bytes, one client, one memory node; indexes take turns\n\n",
                static_cast<unsigned long long>(s.keys));
    head();
    for (auto const shape : {key_shape::uniform, key_shape::sequential, key_shape::clustered}) {
        bool const wanted = shape == key_shape::uniform      ? has(s.shapes, "uniform") || has(s.shapes, "zipf")
                            : shape == key_shape::sequential ? has(s.shapes, "sequential")
                                                             : has(s.shapes, "clustered");
        if (!wanted) continue;
        for (bool const grown : {true, false})
            if (has(s.built, grown ? "grown" : "loaded")) table(s, shape, grown, says).run();
    }
}

void add_options(CLI::App& app, settings& s) {
    auto const some = [&app](std::string const& name, std::vector<std::string>& words, std::string const& what) {
        app.add_option(name, words, what)->check(CLI::IsMember(words))->option_text("NAME ... [all]");
    };
    app.add_option("KEYS", s.keys, "How many keys [20000]")
        ->option_text(" ")
        ->check(CLI::Range(std::uint64_t{1000}, std::uint64_t{1} << 30U));
    some("--index", s.indexes, "sherman, chime, learned");
    some("--shape", s.shapes, "uniform, zipf, sequential, clustered");
    some("--built", s.built, "grown, loaded");
    app.add_option("--seed", s.seed, "Other keys, other draws")->option_text("N [1]");
    app.add_flag("--quiet", s.quiet, "Do not say on standard error how far it is");
    app.set_help_flag("-h,--help", "This text");
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    using namespace catena::bench;
    try {
        CLI::App app(description, "bench_shapes");
        app.footer(footer);
        app.get_formatter()->column_width(24);
        app.failure_message([](CLI::App const*, CLI::Error const& mistake) {
            return "bench_shapes: " + std::string(mistake.what()) + "\nbench_shapes --help says what is possible\n";
        });
        settings s;
        add_options(app, s);
        try {
            app.parse(argc, argv);
        } catch (CLI::ParseError const& stop) {
            return app.exit(stop) == 0 ? 0 : 2;
        }
        run(s);
        return 0;
    } catch (std::exception const& failure) { // no memory
        std::fprintf(stderr, "bench_shapes: %s\n", failure.what());
        return 1;
    }
}
