// SPDX-License-Identifier: Apache-2.0
// A value may be any trivially copyable type: private members, padding, and more alignment than a word.
#include <cstdint>

#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

class guarded_value {
public:
    guarded_value() = default;
    guarded_value(char letter, std::uint64_t number) : letter_(letter), number_(number) {}
    [[nodiscard]] char letter() const { return letter_; }
    [[nodiscard]] std::uint64_t number() const { return number_; }

    bool open = true;

private:
    char letter_ = 0;
    alignas(16) std::uint64_t number_ = 0;
};
struct alignas(32) over_aligned {};
static_assert(!index_value<over_aligned>, "no coroutine frame would keep its alignment");
static_assert(!wire_struct<guarded_value> && index_value<guarded_value> && sizeof(guarded_value) == 32);

using sherman_guarded = sherman_tree<std::uint64_t, guarded_value>;
using chime_guarded = chime_tree<std::uint64_t, guarded_value>;
using learned_guarded = learned_hopscotch<std::uint64_t, guarded_value>;

} // namespace

TEMPLATE_TEST_CASE("a value with private members, padding and an alignment of 16 comes back as it was", "",
                   sherman_guarded, chime_guarded, learned_guarded) {
    world w;
    auto& s = w.first.s;
    auto tree = ok(TestType::create(s, "t", 1U << 16U));
    constexpr std::uint64_t n = 500;
    for (std::uint64_t i = 0; i < n; ++i) REQUIRE(*sync_wait(s, tree.upsert(s, i, guarded_value('a', i))));
    for (std::uint64_t i = 0; i < n; ++i) REQUIRE_FALSE(*sync_wait(s, tree.upsert(s, i, guarded_value('b', 3 * i))));
    for (std::uint64_t i = 0; i < n; ++i) {
        auto const found = sync_wait(s, tree.find(s, i));
        REQUIRE(found);
        REQUIRE(*found);
        REQUIRE((*found)->letter() == 'b');
        REQUIRE((*found)->number() == 3 * i);
        REQUIRE((*found)->open);
    }
}
