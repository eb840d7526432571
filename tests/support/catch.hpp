// SPDX-License-Identifier: Apache-2.0
// Catch2, version 2 or 3, for every test: include this and nothing of catch2 directly.
#pragma once

#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace catena::test {

/// For REQUIRE_THAT: the text has `part` in it (the matcher has another name in each version of Catch2).
[[nodiscard]] inline auto has_text(std::string const& part) {
#if __has_include(<catch2/catch_all.hpp>)
    return Catch::Matchers::ContainsSubstring(part);
#else
    return Catch::Matchers::Contains(part);
#endif
}

} // namespace catena::test
