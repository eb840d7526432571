// SPDX-License-Identifier: Apache-2.0
// A coroutine has one owner.
// expect: (use of deleted function .*task|call to (implicitly-)?deleted (copy )?constructor of .*task)
#include <catena/core/task.hpp>

namespace {

catena::task<int> answer() { co_return 42; }

} // namespace

int main() {
    auto const first = answer();
    auto const second = first;
    return second.done() ? 0 : 1;
}
