// SPDX-License-Identifier: Apache-2.0
// Opens a pool, publishes a prompt, and finds it again.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <catena/client.hpp>

int main() {
    auto client = catena::client::open("local:?size=64MiB");
    if (!client) {
        std::fprintf(stderr, "open: %s\n", client.error().message.c_str());
        return 1;
    }

    catena::chain_namespace const space{.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = 16};
    std::vector<std::uint32_t> tokens(16 * 10);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::uint32_t>(i);
    auto const chain = catena::hash_chain(space, tokens);

    std::vector<catena::location> mine;
    for (std::size_t i = 0; i < chain.size(); ++i) mine.emplace_back(std::uint16_t{1}, i);
    auto const published = client->publish(chain, mine);
    if (!published || published->inserted != chain.size()) return 2;

    std::vector<catena::location> found(chain.size());
    auto const matched = client->match(chain, found);
    if (!matched || matched->blocks != chain.size() || found != mine) return 3;
    return 0;
}
