// SPDX-License-Identifier: Apache-2.0
// arena: a simulated pool, clients that live in it as coroutines, and the run from their birth to the last one's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catena/core/task.hpp>
#include <catena/fabric/sim_fabric.hpp>
#include <catena/pool/memory_pool.hpp>

#include <support/world.hpp>
#include <torture/scenario.hpp>

namespace catena::torture {

using pool_type = memory_pool<sim_fabric>;
using session_type = pool_type::session_type;

/// One client of the pool: what dies or stalls as a whole.
struct member {
    member(sim_network& network, pool_options const& options, bool creates, unsigned session_count)
        : fabric(network),
          pool(test::ok(creates ? pool_type::create(fabric, options) : pool_type::open(fabric, options))) {
        for (unsigned i = 0; i < session_count; ++i) sessions.push_back(test::ok(pool.open_session()));
    }
    sim_fabric fabric;
    pool_type pool;
    std::vector<session_type> sessions;
};

class arena {
public:
    static constexpr std::uint64_t node_bytes = std::uint64_t{1} << 18U;
    static constexpr std::uint64_t chunk_bytes = 4096;

    arena(scenario const& s, std::vector<sim_event>* log)
        : network_(s.nodes, node_bytes, s.seed, schedule_of(s)), seed_(s.seed), faults_(s.faults) {
        network_.set_log(log);
        (void)join(true, 1);
    }

    [[nodiscard]] adversarial_network& network() noexcept { return network_; }
    /// Who made the pool, and audits it in the end. No fault strikes it.
    [[nodiscard]] session_type& keeper() noexcept { return members_.front()->sessions.front(); }

    /// The next client: host 1, 2, ...
    member& join(bool creates, unsigned sessions) {
        auto const calm = network_.calm();
        network_.set_calm(true);
        pool_options const options{.lease = lease,
                                   .chunk_bytes = chunk_bytes,
                                   .patience = patience,
                                   .seed = seed_ * 1000 + members_.size() + 1};
        members_.push_back(std::make_unique<member>(network_, options, creates, sessions));
        network_.set_calm(calm);
        return *members_.back();
    }

    void add_life(task<result<void>> life) { lives_.push_back(std::move(life)); }

    /// Lets all lives run to their end under the schedule and its faults. Words if they do not end.
    [[nodiscard]] std::optional<std::string> run() {
        network_.set_faults(faults_);
        network_.set_calm(false);
        for (auto& life : lives_) life.start();
        for (unsigned idle = 0;;) {
            bool all = true;
            for (auto const& life : lives_) all &= life.done();
            if (all) break;
            for (auto& m : members_)
                for (auto& s : m->sessions) s.resume_granted();
            idle = network_.step() ? 0 : idle + 1;
            if (idle > 2 || network_.steps() > most_steps) { // a grant of the last step may wait for one more look
                abandon();
                return std::string(idle > 2 ? "a client waits for something that nobody will do"
                                            : "the run does not end");
            }
        }
        network_.set_calm(true);
        network_.set_faults({});
        return std::nullopt;
    }

private:
    /// Lets every coroutine come to its end: nothing that a dead host does takes effect.
    void abandon() {
        for (std::uint32_t h = 0; h < network_.host_count(); ++h) network_.kill(h);
        for (unsigned i = 0; i < 100'000; ++i) {
            for (auto& m : members_)
                for (auto& s : m->sessions) s.resume_granted();
            (void)network_.step();
        }
    }

    adversarial_network network_;
    std::uint64_t seed_;
    std::vector<sim_fault> faults_;
    std::vector<std::unique_ptr<member>> members_;
    std::vector<task<result<void>>> lives_; ///< after members_: frames go before the sessions that they use
};

} // namespace catena::torture
