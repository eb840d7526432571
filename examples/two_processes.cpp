// SPDX-License-Identifier: Apache-2.0
// Two processes, one index: the child lists the blocks of a prompt in shared memory, the parent finds them there.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <catena/client.hpp>

namespace {

// The last process out removes the segment; a name of its own keeps this example apart from others.
std::string pool_uri() { return "shm:example-" + std::to_string(::getpid()) + "?size=16MiB"; }

std::vector<catena::block_hash> prompt_chain() {
    std::vector<std::uint32_t> tokens(160);
    std::iota(tokens.begin(), tokens.end(), 1000U);
    return catena::hash_chain({.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = 16}, tokens);
}

int publish(std::string const& uri, int go) {
    char byte = 0;
    if (::read(go, &byte, 1) != 1) return 1;       // the parent is in: what is listed stays when this process leaves
    auto const engine = catena::client::open(uri); // joins what the parent created
    if (!engine) return std::fprintf(stderr, "child: %s\n", engine.error().message.c_str()), 1;
    auto const chain = prompt_chain();
    std::vector<catena::location> where;
    for (std::uint64_t block = 0; block < chain.size(); ++block) where.emplace_back(std::uint16_t{1}, 100 + block);
    auto const done = engine->publish(chain, where);
    return done && done->inserted == chain.size() ? 0 : 1;
}

} // namespace

int main() {
    auto const uri = pool_uri();
    std::array<int, 2> go{};
    if (::pipe(go.data()) != 0) return std::perror("pipe"), 1;
    auto const child = ::fork(); // before the pool is opened: each process opens it for itself
    if (child < 0) return std::perror("fork"), 1;
    if (child == 0) {
        ::close(go[1]); // so that read() ends if the parent does
        std::exit(publish(uri, go[0]));
    }

    auto const engine = catena::client::open(uri);
    if (engine && ::write(go[1], "!", 1) != 1) std::perror("write");
    ::close(go[1]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!engine) return std::fprintf(stderr, "parent: %s\n", engine.error().message.c_str()), 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::fprintf(stderr, "the child failed\n"), 1;

    auto const chain = prompt_chain();
    std::vector<catena::location> found(chain.size());
    auto const match = engine->match(chain, found);
    if (!match) return std::fprintf(stderr, "%s\n", catena::describe(match.error().code).data()), 1;
    std::printf("the other process listed %zu blocks, the last one at segment %d, block %d\n", match->blocks,
                int{found.back().segment()}, static_cast<int>(found.back().block()));
    return match->blocks == chain.size() ? 0 : 1;
}
