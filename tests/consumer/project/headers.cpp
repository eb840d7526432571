// SPDX-License-Identifier: Apache-2.0
// Uses the headers alone: nothing compiled is linked.
#include <cstdint>
#include <vector>

#include <catena/prefix/chain.hpp>

int main() {
    catena::chain_namespace const space{.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = 16};
    std::vector<std::uint32_t> const tokens(100, 7);
    return catena::hash_chain(space, tokens).size() == 6 ? 0 : 1;
}
