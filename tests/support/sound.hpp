// SPDX-License-Identifier: Apache-2.0
// must_be_sound: what verify() of an index told, where it may have found nothing wrong.
#pragma once

#include <string>

#include <catena/index/index.hpp>

#include <support/threads.hpp>

namespace catena::test {

inline index_check must_be_sound(index_check c) {
    std::string all;
    for (auto const& v : c.violations) all += v + "; ";
    expect(all.empty(), "the index is not sound: " + all);
    expect(c.locked == 0, "the index is not sound: nodes are locked");
    return c;
}

} // namespace catena::test
