// SPDX-License-Identifier: Apache-2.0
// bench_ablation [KEYS]: what each technique of chime_tree and of learned_hopscotch does: exact costs with all of them, and with one changed
// (index/options.hpp; the work is that of support/measure.hpp). Figures need a million keys or more; the default is a smoke run.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>

#include "support/measure.hpp"

namespace catena::bench {
namespace {

constexpr std::size_t hotspots_per_key = 3; ///< bytes, as the original has for 10 million keys

struct whole_leaf_reads : chime_options {
    static constexpr bool neighbourhood_reads = false;
};
struct one_fence : chime_options {
    static constexpr hopscotch_shape shape{.replicated_fences = false};
};
struct vacancy_in_lock : chime_options {
    static constexpr hopscotch_shape shape{.vacancy_in_lock = true};
};
struct no_wrap : chime_options {
    static constexpr hopscotch_shape shape{.last_home = 0};
};
struct equal_wrap : chime_options {
    static constexpr hopscotch_shape shape{.last_home = 10};
};
struct no_moves : chime_options {
    static constexpr std::size_t most_moves = 0;
};
struct all_moves : chime_options {
    static constexpr std::size_t most_moves = 10;
};
struct more_quads : chime_options {
    static constexpr hopscotch_shape shape{.quads = 16};
};
struct scans_by_count : chime_options {
    static constexpr bool scan_by_range = false;
};

template <std::uint32_t Error, std::size_t Fill = learned_options::trained_fill>
struct bound_of : learned_options {
    static constexpr model_use use = model_use::error_bound;
    static constexpr std::uint32_t error_bound = Error;
    static constexpr std::size_t trained_fill = Fill;
};
template <std::size_t Quads>
struct leaves_of : learned_options {
    static constexpr hopscotch_shape shape{.quads = Quads};
};
template <std::size_t Percent, std::size_t Fill>
struct trained_at : learned_options {
    static constexpr std::size_t overflow_percent = Percent;
    static constexpr std::size_t trained_fill = Fill;
};
template <std::size_t Bytes>
struct extents_of : learned_options {
    static constexpr std::size_t extent_bytes = Bytes;
};
template <std::size_t Pieces>
struct together : learned_options {
    static constexpr std::size_t trained_together = Pieces;
};
struct learned_whole_leaves : learned_options {
    static constexpr bool neighbourhood_reads = false;
};

void head() {
    std::printf(
        "| | find: RT | verbs | bytes | hot: bytes | zipf: RT | bytes | upsert: RT | verbs | read | insert: RT | verbs "
        "| read | written | scan: RT | bytes | remote B/key | cache B/key |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

template <typename Index>
void line(char const* what, std::uint64_t keys, bool hot = true) {
    auto const m = measure<Index>(keys, hot ? hotspots_per_key * keys : 0);
    std::printf("| %s | %.2f | %.2f | %.0f | ", what, m.find.trips(), m.find.verbs(), m.find.read());
    if (hot)
        std::printf("%.0f | %.2f | %.0f", m.hot_uniform.read(), m.hot_zipf.trips(), m.hot_zipf.read());
    else
        std::printf("- | - | -");
    std::printf(" | %.2f | %.2f | %.0f | %.2f | %.2f | %.0f | %.0f | %.2f | %.0f | %.1f | %.2f |\n", m.upsert.trips(),
                m.upsert.verbs(), m.upsert.read(), m.insert.trips(), m.insert.verbs(), m.insert.read(),
                m.insert.written(), m.scan.trips(), m.scan.read(), m.remote_bytes, m.cache_bytes);
    std::fflush(stdout);
}

template <typename Options>
using chime = chime_tree<std::uint64_t, std::uint64_t, Options>;

template <typename Options>
using learned = learned_hopscotch<std::uint64_t, std::uint64_t, Options>;

void run(std::uint64_t keys) {
    std::printf("%llu keys of 8 bytes, values of 8 bytes, one client; %zu bytes a key for hot values\n\n",
                static_cast<unsigned long long>(keys), hotspots_per_key);
    head();
    line<chime<chime_options>>("chime_tree", keys);
    line<chime<chime_options>>("no hotspot buffer", keys, false);
    line<chime<whole_leaf_reads>>("whole leaves, no neighbourhoods", keys);
    line<chime<one_fence>>("one fence a leaf, not one a neighbourhood", keys);
    line<chime<vacancy_in_lock>>("vacancy in the lock word, which is read first", keys);
    line<chime<no_wrap>>("no wrap-around", keys);
    line<chime<equal_wrap>>("wrap-around, the last home like the others", keys);
    line<chime<no_moves>>("keys never move", keys);
    line<chime<all_moves>>("keys move as long as that makes room", keys);
    line<chime<more_quads>>("16 quads a leaf, not 10", keys);
    line<chime<scans_by_count>>("scans do not use the end of their range", keys);
    line<sherman_tree<std::uint64_t, std::uint64_t>>("sherman_tree", keys, false);

    std::printf("\nlearned_hopscotch; inserts with the training that they did\n\n");
    head();
    line<learned<learned_options>>("learned_hopscotch: placement", keys, false);
    line<learned<bound_of<16>>>("error bound of 16 keys", keys, false);
    line<learned<bound_of<32>>>("error bound of 32 keys", keys, false);
    line<learned<bound_of<32, 65>>>("error bound of 32 keys, leaves trained to 65 %", keys, false);
    line<learned<leaves_of<10>>>("10 quads a leaf, as chime_tree", keys, false);
    line<learned<leaves_of<24>>>("24 quads a leaf", keys, false);
    line<learned<trained_at<4, 55>>>("trained when 4 % of the leaves split", keys, false);
    line<learned<trained_at<12, 60>>>("trained when 12 % of the leaves split, to 60 %", keys, false);
    line<learned<extents_of<32768>>>("extents of 32 KiB", keys, false);
    line<learned<together<2>>>("2 pieces trained together", keys, false);
    line<learned<together<8>>>("8 pieces trained together", keys, false);
    line<learned<learned_whole_leaves>>("whole leaves, no neighbourhoods", keys, false);
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    std::uint64_t keys = 20'000;
    if (argc == 2) {
        std::string_view const text = argv[1];
        auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), keys);
        if (failure != std::errc{} || end != text.data() + text.size() || keys < 1000)
            catena::bench::fail("usage: bench_ablation [KEYS], KEYS at least 1000");
    } else if (argc > 2) {
        catena::bench::fail("usage: bench_ablation [KEYS]");
    }
    catena::bench::run(keys);
    return 0;
}
