// SPDX-License-Identifier: Apache-2.0
// A result is looked at.
// expect: (ignoring return(ed)? value of .*nodiscard)
#include <catena/core/result.hpp>

namespace {

catena::result<int> answer() { return 42; }

} // namespace

int main() { answer(); }
