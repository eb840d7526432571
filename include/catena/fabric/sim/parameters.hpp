// SPDX-License-Identifier: Apache-2.0
// What the simulated network is made of: figures of NICs and wires, with their units and where presets have them from.
// Thread safety: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace catena {

/// One port. Both directions are independent (full duplex) and have these limits each.
struct sim_nic {
    double operations_per_second = 0; ///< messages that it can send, and as many that it can take
    double bytes_per_second = 0;      ///< on the wire, headers included
};

struct sim_parameters {
    std::string_view name = "custom";
    std::chrono::nanoseconds propagation{};    ///< one way: PCIe, wires and switch, without serialisation
    std::chrono::nanoseconds batch_overhead{}; ///< of the client for each batch: doorbell, completion
    sim_nic client;                            ///< of each host
    sim_nic memory_node;
    double atomics_per_second = 0;  ///< CAS and FAA that one memory node executes, all words together
    std::uint32_t header_bytes = 0; ///< of each message, each way

    /// 100 Gbit/s class of 2020, RoCEv2.
    /// Port rate    ConnectX-6 adapters are sold for 100 Gbit/s (ConnectX-6 EN product brief).
    /// Messages     an assumption: 75 million a second each way. The brief claims 215 million a second for up to two ports
    ///              of 200 Gbit/s; the brief of the older ConnectX-4 Lx (50 Gbit/s) claims 75 million.
    /// Atomics      an assumption, meant to be on the low side: 2.7 million a second, all words of a memory node in one
    ///              queue, since each is a read and a write over PCIe that the NIC keeps others away from. That this is slow
    ///              is why Sherman (SIGMOD 2022) keeps its locks in the NIC's own memory; the rate is not from that paper.
    ///              A NIC that works on different words at the same time does several times as many: catena-sim
    ///              --atomic-mops asks what that changes.
    /// Latency      an assumption: propagation and overhead make a READ of 1 KiB take 2.1 us.
    /// Header       Ethernet 18, IPv4 20, UDP 8, BTH 12, RETH 16, ICRC 4. An answer has AETH (4) in place of RETH, and each
    ///              frame a preamble and a gap (20): neither is counted.
    [[nodiscard]] static constexpr sim_parameters connectx6_100g() noexcept {
        return {.name = "connectx6-100g",
                .propagation = std::chrono::nanoseconds(850),
                .batch_overhead = std::chrono::nanoseconds(200),
                .client = {.operations_per_second = 75e6, .bytes_per_second = 12.5e9},
                .memory_node = {.operations_per_second = 75e6, .bytes_per_second = 12.5e9},
                .atomics_per_second = 2.7e6,
                .header_bytes = 78};
    }
    /// 25 Gbit/s Ethernet of an older generation, for what a slower network changes. Port rate: ConnectX-4 Lx EN product
    /// brief; the rest are assumptions: the brief's 75 million messages a second cut to 20 million, a longer way.
    [[nodiscard]] static constexpr sim_parameters ethernet_25g() noexcept {
        return {.name = "ethernet-25g",
                .propagation = std::chrono::nanoseconds(1800),
                .batch_overhead = std::chrono::nanoseconds(300),
                .client = {.operations_per_second = 20e6, .bytes_per_second = 3.125e9},
                .memory_node = {.operations_per_second = 20e6, .bytes_per_second = 3.125e9},
                .atomics_per_second = 1.5e6,
                .header_bytes = 78};
    }
};

} // namespace catena
