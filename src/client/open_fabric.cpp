// SPDX-License-Identifier: Apache-2.0
#include "client/open_fabric.hpp"

#include <catena/fabric/local_fabric.hpp>
#include <catena/fabric/shm_fabric.hpp>
#ifdef CATENA_WITH_VERBS
#include <catena/fabric/verbs_fabric.hpp>
#endif

namespace catena {

namespace {

[[nodiscard]] setup_result<opened_fabric> open_local(pool_uri const& uri) {
    constexpr std::uint64_t default_size = std::uint64_t{1} << 30U;
    auto opened =
        local_fabric::create(uri.size == 0 ? default_size : uri.size, uri.nodes == 0 ? std::uint16_t{1} : uri.nodes);
    if (!opened) return opened.error();
    return opened_fabric{.fabric = any_fabric(std::move(*opened)), .fresh = true, .formatted = false};
}

[[nodiscard]] setup_result<opened_fabric> open_shm(pool_uri const& uri, std::chrono::milliseconds patience) {
    auto opened = shm_fabric::open(
        uri.name, {.node_bytes = uri.size, .nodes = uri.nodes, .keep = uri.keep, .patience = patience});
    if (!opened) return opened.error();
    bool const fresh = opened->created();
    return opened_fabric{.fabric = any_fabric(std::move(*opened)), .fresh = fresh, .formatted = !fresh};
}

[[nodiscard]] setup_result<opened_fabric> open_verbs([[maybe_unused]] pool_uri const& uri,
                                                     [[maybe_unused]] std::chrono::milliseconds patience) {
#ifdef CATENA_WITH_VERBS
    auto opened = verbs_fabric::open(
        uri.memory_nodes,
        {.secret_file = uri.secret_file, .device = uri.device, .read_only = uri.read_only, .patience = patience});
    if (!opened) return opened.error();
    if (uri.size != 0 && uri.size != opened->node_bytes())
        return setup_error(errc::bad_format, "size is " + std::to_string(opened->node_bytes()) + ", expected " +
                                                 std::to_string(uri.size));
    bool const formatted = opened->formatted();
    return opened_fabric{.fabric = any_fabric(std::move(*opened)), .fresh = false, .formatted = formatted};
#else
    return setup_error(errc::unsupported, "this build has no verbs fabric: build catena with -DCATENA_VERBS=ON (needs "
                                          "libibverbs, librdmacm and libsodium)");
#endif
}

} // namespace

setup_result<opened_fabric> open_fabric(pool_uri const& uri, std::chrono::milliseconds patience) {
    if (uri.scheme == "local") return open_local(uri);
    if (uri.scheme == "shm") return open_shm(uri, patience);
    return open_verbs(uri, patience);
}

} // namespace catena
