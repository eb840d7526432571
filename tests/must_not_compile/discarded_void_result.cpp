// SPDX-License-Identifier: Apache-2.0
// A result that carries nothing but the error is looked at, too.
// expect: (ignoring return(ed)? value of .*nodiscard)
#include <catena/core/result.hpp>

namespace {

catena::result<void> act() { return {}; }

} // namespace

int main() { act(); }
