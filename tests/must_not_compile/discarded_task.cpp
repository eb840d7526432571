// SPDX-License-Identifier: Apache-2.0
// A task that nobody awaits does nothing at all.
// expect: (ignoring return(ed)? value of .*nodiscard)
#include <catena/core/task.hpp>

namespace {

catena::task<int> answer() { co_return 42; }

} // namespace

int main() { answer(); }
