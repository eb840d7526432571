// SPDX-License-Identifier: Apache-2.0
// main() of every test program under Catch2 version 2; version 3 brings its own library.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
