// SPDX-License-Identifier: Apache-2.0
// The outcome of a batch is looked at.
// expect: (ignoring return(ed)? value of .*nodiscard)
#include <catena/fabric/local_fabric.hpp>

int main() {
    auto fabric = catena::local_fabric::create(4096);
    auto channel = fabric->connect();
    catena::op add = catena::op::faa({0, 0}, 1);
    channel->submit(catena::batch(&add, 1)).await_resume();
}
