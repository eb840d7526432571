// SPDX-License-Identifier: Apache-2.0
// Memory nodes over RDMA inside a test: a server on a thread of this process. Addresses of RDMA devices come from
// CATENA_RDMA_ADDRESSES ("10.77.0.1,10.77.0.2", those of the virtual machine of tests/verbs/in-vm); tests that need them end at once,
// saying so, where there are none: outside of that machine nothing registers them with ctest.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catena/fabric/any_fabric.hpp>
#include <catena/fabric/verbs_fabric.hpp>
#include <catena/pool/superblock.hpp>

#include <support/world.hpp>

#include "fabric/verbs/memory_server.hpp"

namespace catena::test {

/// Of RDMA devices of this machine, in turn.
[[nodiscard]] inline std::string rdma_address(std::size_t i) {
    auto const* const given = std::getenv("CATENA_RDMA_ADDRESSES");
    std::string all = given != nullptr ? given : "10.77.0.1,10.77.0.2";
    std::vector<std::string> each;
    for (std::size_t at = 0; at <= all.size();) {
        auto const end = std::min(all.find(',', at), all.size());
        each.push_back(all.substr(at, end - at));
        at = end + 1;
    }
    return each[i % each.size()];
}

/// Zeroed memory of a memory node, used again by the next test: mapping and touching it is what takes long.
class node_memory {
public:
    explicit node_memory(std::size_t bytes) : bytes_(round_up(bytes, 4096)) {
        auto const known = idle().lower_bound(bytes_);
        if (known != idle().end()) {
            at_ = known->second;
            capacity_ = known->first;
            idle().erase(known);
            std::memset(at_, 0, bytes_);
            return;
        }
        capacity_ = bytes_;
        void* const p =
            ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        expect(p != MAP_FAILED, "mmap"); // NOLINT: the macro casts
        at_ = static_cast<std::byte*>(p);
    }
    node_memory(node_memory const&) = delete;
    node_memory& operator=(node_memory const&) = delete;
    ~node_memory() { idle().emplace(capacity_, at_); }

    [[nodiscard]] std::byte* begin() const noexcept { return at_; }

private:
    static std::multimap<std::size_t, std::byte*>& idle() {
        static std::multimap<std::size_t, std::byte*> all;
        return all;
    }
    std::size_t bytes_;
    std::size_t capacity_ = 0;
    std::byte* at_ = nullptr;
};

class memory_node_here {
public:
    explicit memory_node_here(std::uint64_t bytes, std::size_t i = 0, verbs::memory_server_options options = {})
        : memory_(std::make_unique<node_memory>(bytes)), bytes_(bytes), options_(std::move(options)) {
        static std::uint16_t port = 20000;
        options_.listen = rdma_address(i) + ":" + std::to_string(++port);
        start();
    }
    memory_node_here(memory_node_here const&) = delete;
    memory_node_here& operator=(memory_node_here const&) = delete;
    ~memory_node_here() { stop(); }

    /// As a server that dies and comes back: with the memory as it was.
    void start() {
        auto const who = [at = memory_->begin()]() -> verbs::pool_identity {
            superblock s{};
            std::memcpy(&s, at, sizeof s);
            if (s.magic != pool_magic) return {};
            return {.uuid_high = s.uuid.high, .uuid_low = s.uuid.low, .incarnation = s.incarnation};
        };
        server_.emplace(ok(verbs::memory_server::start(memory_->begin(), bytes_, who, options_)));
        thread_ = std::thread([this] {
            std::array<pollfd, 2> both{{{.fd = server_->descriptor(), .events = POLLIN, .revents = 0},
                                        {.fd = stop_, .events = POLLIN, .revents = 0}}};
            while ((both[1].revents & POLLIN) == 0) {
                server_->serve();
                ::poll(both.data(), both.size(), -1);
            }
        });
    }
    void stop() {
        if (!server_) return;
        std::uint64_t n = 1;
        expect(::write(stop_, &n, sizeof n) == sizeof n, "eventfd");
        thread_.join();
        expect(::read(stop_, &n, sizeof n) == sizeof n, "eventfd");
        server_.reset();
    }
    [[nodiscard]] std::byte* raw() const noexcept { return memory_->begin(); }
    [[nodiscard]] std::string const& name() const noexcept { return options_.listen; }
    /// Of a server that has stopped, or that serves nobody at the moment.
    [[nodiscard]] verbs::memory_server_counters const& counters() const { return server_->counters(); }

private:
    std::unique_ptr<node_memory> memory_;
    std::uint64_t bytes_;
    verbs::memory_server_options options_;
    int stop_ = ::eventfd(0, EFD_CLOEXEC);
    std::optional<verbs::memory_server> server_;
    std::thread thread_;
};

/// Several of them, and a fabric to them.
class cluster_here {
public:
    explicit cluster_here(std::uint64_t node_bytes, std::size_t nodes = 1,
                          verbs::memory_server_options const& options = {}) {
        for (std::size_t i = 0; i < nodes; ++i) {
            nodes_.push_back(std::make_unique<memory_node_here>(node_bytes, i, options));
            names_.push_back(nodes_.back()->name());
        }
    }
    [[nodiscard]] setup_result<verbs_fabric> try_open(verbs_options const& options = {}) const {
        return verbs_fabric::open(names_, options);
    }
    [[nodiscard]] verbs_fabric open(verbs_options const& options = {}) const { return ok(try_open(options)); }
    [[nodiscard]] memory_node_here& node(std::size_t i = 0) const { return *nodes_[i]; }

private:
    std::vector<std::unique_ptr<memory_node_here>> nodes_;
    std::vector<std::string> names_;
};

/// Drives tasks on one channel until all are done.
template <typename Task>
void drive(any_channel& c, std::vector<Task>& all) {
    for (auto& t : all) t.start();
    for (bool more = true; more;) {
        more = false;
        for (auto& t : all) more |= !t.done();
        if (more) c.poll();
    }
}
[[nodiscard, gnu::noinline]] inline task<result<void>> submitted(any_channel& c, batch ops) {
    co_return co_await c.submit(ops);
}
[[nodiscard]] inline result<void> run(any_channel& c, batch ops) {
    std::vector<task<result<void>>> one;
    one.push_back(submitted(c, ops));
    drive(c, one);
    return one.front().take();
}
[[nodiscard]] inline result<void> run(any_channel& c, op& single) { return run(c, batch(&single, 1)); }

} // namespace catena::test
