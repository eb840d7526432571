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
    std::chrono::nanoseconds propagation{};   ///< one way: PCIe, wires and switch, without serialisation
    std::chrono::nanoseconds batch_overhead{}; ///< of the client for each batch: doorbell, completion
    sim_nic client;                           ///< of each host
    sim_nic memory_node;
    double atomics_per_second = 0; ///< CAS and FAA that one memory node executes, all words together
    std::uint32_t header_bytes = 0; ///< of each message, each way

    /// 100 Gbit/s class of 2020. Port rate: NVIDIA ConnectX-6 product brief (100 Gbit/s model). Messages: of the order of
    /// 75 million a second and port for small READs and WRITEs, what one 100 Gbit/s port of this class is measured at
    /// (the brief claims 215 million for two 200 Gbit/s ports, sends and receives together). Atomics: tens of times
    /// fewer, because each is a read-modify-write over PCIe under a lock (Kalia, Kaminsky, Andersen, Design Guidelines for
    /// High Performance RDMA Systems, USENIX ATC 2016, section 3, and Sherman, SIGMOD 2022, section 3.2: a few million
    /// a second on host memory). Round trip about 2 us. Header: RoCEv2 (Ethernet 18, IPv4 20, UDP 8, BTH 12, RETH 16,
    /// ICRC 4).
    [[nodiscard]] static constexpr sim_parameters connectx6_100g() noexcept {
        return {.name = "connectx6-100g",
                .propagation = std::chrono::nanoseconds(850),
                .batch_overhead = std::chrono::nanoseconds(200),
                .client = {.operations_per_second = 75e6, .bytes_per_second = 12.5e9},
                .memory_node = {.operations_per_second = 75e6, .bytes_per_second = 12.5e9},
                .atomics_per_second = 2.7e6,
                .header_bytes = 78};
    }
    /// 25 Gbit/s Ethernet, an older generation (ConnectX-4 Lx: product brief, 25 Gbit/s; the message rate is scaled down
    /// to 20 million a second), for what a slower network changes.
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
