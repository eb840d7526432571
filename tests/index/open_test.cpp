// SPDX-License-Identifier: Apache-2.0
// Creating and opening indexes by name: what does not fit is refused in words that name the field.
#include <cstdint>
#include <string>

#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/index/sherman_tree.hpp>

#include "index/indexes.hpp"

using namespace catena;
using namespace catena::test;

namespace {

template <typename Index>
[[nodiscard]] setup_error refusal(local_session& s, std::string const& name) {
    auto const opened = Index::open(s, name, 0);
    REQUIRE_FALSE(opened);
    return opened.error();
}

} // namespace

TEST_CASE("an index is opened with the types that it was made with, or refused by the field that differs",
          "[index][open]") {
    world w;
    (void)ok(sherman_8_8::create(w.first.s, "t", 0));
    REQUIRE(sherman_8_8::open(w.first.s, "t", 0));
    auto const key = refusal<sherman_tree<block_hash, std::uint64_t>>(w.first.s, "t");
    REQUIRE(key.code == errc::bad_format);
    REQUIRE_THAT(key.message, has_text("index 't': key_bytes is 8, expected 16"));
    auto const value = refusal<sherman_tree<std::uint64_t, blob<24>>>(w.first.s, "t");
    REQUIRE(value.code == errc::bad_format);
    REQUIRE_THAT(value.message, has_text("value_bytes is 8, expected 24"));
    auto const node = refusal<sherman_8_8_small>(w.first.s, "t");
    REQUIRE(node.code == errc::bad_format);
    REQUIRE_THAT(node.message, has_text("node_bytes is 1024, expected 256"));
}

TEST_CASE("an index of another type or layout is refused", "[index][open]") {
    world w;
    auto spec = sherman_8_8::spec("other");
    auto const no_root = [](catalog_handle) -> task<result<word>> { co_return word{0}; };
    spec.set_type("x");
    spec.type = {};
    spec.set_type("btree");
    (void)ok(sync_wait(w.first.s, create_index(w.first.s, spec, no_root)));
    auto const type = refusal<sherman_8_8>(w.first.s, "other");
    REQUIRE(type.code == errc::bad_format);
    REQUIRE_THAT(type.message, has_text("type is btree, expected sherman"));
    auto newer = sherman_8_8::spec("newer");
    newer.layout_version = 2;
    (void)ok(sync_wait(w.first.s, create_index(w.first.s, newer, no_root)));
    auto const version = refusal<sherman_8_8>(w.first.s, "newer");
    REQUIRE_THAT(version.message, has_text("layout_version is 2, expected 1"));
}

TEST_CASE("a chime index is opened with its shape of leaves only, and by no other kind of tree", "[index][open]") {
    world w;
    (void)ok(sherman_8_8::create(w.first.s, "sherman", 0));
    (void)ok(chime_8_8::create(w.first.s, "chime", 0));
    REQUIRE(chime_8_8::open(w.first.s, "chime", 0));
    auto const sherman = refusal<chime_8_8>(w.first.s, "sherman");
    REQUIRE(sherman.code == errc::bad_format);
    REQUIRE_THAT(sherman.message, has_text("type is sherman, expected chime"));
    auto const chime = refusal<sherman_8_8>(w.first.s, "chime");
    REQUIRE(chime.code == errc::bad_format);
    REQUIRE_THAT(chime.message, has_text("type is chime, expected sherman"));
    auto const smaller = refusal<chime_8_8_small>(w.first.s, "chime");
    REQUIRE(smaller.code == errc::bad_format);
    // Other shapes whose nodes are as large.
    using usual = chime_tree<std::uint64_t, std::uint64_t, leaves_of<12>>;
    using one_fence = chime_tree<std::uint64_t, std::uint64_t, leaves_of<12, false>>;
    using open_ring = chime_tree<std::uint64_t, std::uint64_t, leaves_of<12, true, 0>>;
    static_assert(one_fence::leaf::bytes == usual::leaf::bytes && open_ring::leaf::bytes == usual::leaf::bytes);
    (void)ok(usual::create(w.first.s, "usual", 0));
    for (auto const& shape : {refusal<one_fence>(w.first.s, "usual"), refusal<open_ring>(w.first.s, "usual")}) {
        REQUIRE(shape.code == errc::bad_format);
        REQUIRE_THAT(shape.message, has_text("layout_version is "));
    }
}

TEST_CASE("an index is dropped by name, also one whose drop somebody else began", "[index][open]") {
    world w;
    auto& s = w.first.s;
    auto const missing = sherman_8_8::drop(s, "t");
    REQUIRE_FALSE(missing);
    REQUIRE(missing.error().code == errc::not_found);
    REQUIRE_THAT(missing.error().message, has_text("'t'"));
    for (bool const begun : {false, true}) {
        CAPTURE(begun);
        auto tree = ok(sherman_8_8::create(s, "t", 0));
        REQUIRE(ok(sync_wait(s, tree.insert(s, 1, 1))));
        if (begun) {
            word const dropping = catalog_entry::state_of(tree.handle().generation, index_phase::dropping);
            op mark = op::write(tree.handle().entry(), &dropping, word_bytes);
            ok(s.submit(mark).await_resume());
            auto const closed = refusal<sherman_8_8>(s, "t");
            REQUIRE(closed.code == errc::dropped);
            REQUIRE_THAT(closed.message, has_text("'t' is being dropped"));
        }
        auto const other = sherman_8_8_small::drop(s, "t");
        REQUIRE_FALSE(other);
        REQUIRE(other.error().code == errc::bad_format);
        ok(sherman_8_8::drop(s, "t"));
        REQUIRE(refusal<sherman_8_8>(s, "t").code == errc::not_found);
        auto const found = sync_wait(s, tree.find(s, 1));
        REQUIRE_FALSE(found);
        REQUIRE(found.error().code == errc::dropped);
    }
}

TEST_CASE("names are unique, of 1 to 47 characters, and an index that is not there is not found", "[index][open]") {
    world w;
    auto const create = [&](std::string const& name) { return sherman_8_8::create(w.first.s, name, 0); };
    REQUIRE(create("t"));
    auto const twice = create("t");
    REQUIRE_FALSE(twice);
    REQUIRE(twice.error().code == errc::already_exists);
    REQUIRE_THAT(twice.error().message, has_text("'t'"));
    REQUIRE(create(std::string(47, 'n')));
    for (auto const& name : {std::string(), std::string(48, 'n')}) {
        auto const refused = create(name);
        REQUIRE_FALSE(refused);
        REQUIRE(refused.error().code == errc::invalid_argument);
        REQUIRE_THAT(refused.error().message, has_text("1 to 47 characters"));
    }
    auto const missing = refusal<sherman_8_8>(w.first.s, "nothing");
    REQUIRE(missing.code == errc::not_found);
    REQUIRE_THAT(missing.message, has_text("'nothing'"));
}

TEST_CASE("a name whose first 47 characters are those of an index does not open it", "[index][open]") {
    world w;
    REQUIRE(sherman_8_8::create(w.first.s, std::string(47, 'n'), 0));
    REQUIRE(refusal<sherman_8_8>(w.first.s, std::string(48, 'n')).code == errc::not_found);
}

TEST_CASE("a pool holds sixty-four indexes side by side", "[index][open]") {
    world w;
    for (std::uint64_t i = 0; i < catalog_slots; ++i) {
        auto index = ok(sherman_8_8::create(w.first.s, std::string("t") + std::to_string(i), 0));
        calls<sherman_8_8, local_session> t(index, w.first.s);
        t.insert(1, i);
    }
    auto const one_more = sherman_8_8::create(w.first.s, "one more", 0);
    REQUIRE_FALSE(one_more);
    REQUIRE(one_more.error().code == errc::full);
    for (std::uint64_t i = 0; i < catalog_slots; ++i) {
        auto index = ok(sherman_8_8::open(w.first.s, std::string("t") + std::to_string(i), 0));
        calls<sherman_8_8, local_session> t(index, w.first.s);
        REQUIRE(t.find(1) == i);
        t.sound();
        t.drop();
    }
    REQUIRE(ok(sync_wait(w.first.s, list_indexes(w.first.s))).empty());
}
