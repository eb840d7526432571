// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>

#include <catena/core/result.hpp>

#include <support/catch.hpp>

using namespace catena;

TEST_CASE("a result holds the value that it was made from") {
    result<int> const r = 42;
    REQUIRE(r.has_value());
    REQUIRE(static_cast<bool>(r));
    REQUIRE(r.value() == 42);
    REQUIRE(*r == 42);
}

TEST_CASE("a result holds the error that it was made from") {
    result<int> const r = make_error(errc::contended, 5);
    REQUIRE_FALSE(r.has_value());
    REQUIRE_FALSE(static_cast<bool>(r));
    REQUIRE(r.error() == make_error(errc::contended, 5));
}

TEST_CASE("a result<void> is success by default and holds an error else") {
    result<void> const success;
    REQUIRE(success);
    result<void> const failure = make_error(errc::full);
    REQUIRE_FALSE(failure);
    REQUIRE(failure.error().code == errc::full);
}

TEST_CASE("a value that only moves goes in and out of a result") {
    result<std::unique_ptr<int>> r = std::make_unique<int>(7);
    REQUIRE(**r == 7);
    std::unique_ptr<int> const out = *std::move(r);
    REQUIRE(*out == 7);
    auto const make = []() -> result<std::unique_ptr<int>> { return std::make_unique<int>(8); };
    REQUIRE(*make().value() == 8);
}

TEST_CASE("a result gives access to the members of its value, which may be changed") {
    result<std::string> r = std::string("abc");
    REQUIRE(r->size() == 3);
    r->push_back('d');
    *r += 'e';
    REQUIRE(r.value() == "abcde");
    auto const& view = r;
    REQUIRE(view->size() == 5);
}

TEST_CASE("a set-up result explains itself in words") {
    setup_result<int> const r = setup_error(errc::bad_format, "size is 1, expected 2");
    REQUIRE_FALSE(r);
    REQUIRE(r.error().code == errc::bad_format);
    REQUIRE(r.error().message == "size is 1, expected 2");
    setup_result<void> const v = setup_error(make_error(errc::unreachable));
    REQUIRE_FALSE(v);
    REQUIRE(v.error().message == describe(errc::unreachable));
}
