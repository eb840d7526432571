// SPDX-License-Identifier: Apache-2.0
#include <catena/fabric/verbs_fabric.hpp>

#include <utility>

#include "fabric/verbs/channel.hpp"
#include "fabric/verbs/cluster.hpp"

namespace catena {

class verbs_fabric::implementation {
public:
    explicit implementation(std::shared_ptr<verbs::cluster> all) noexcept : nodes(std::move(all)) {}
    std::shared_ptr<verbs::cluster> nodes;
};

setup_result<verbs_fabric> verbs_fabric::open(std::span<std::string const> memory_nodes, verbs_options const& options) {
    auto nodes = verbs::cluster::open(memory_nodes, options);
    if (!nodes) return nodes.error();
    return verbs_fabric(std::make_shared<implementation>(std::move(*nodes)));
}

verbs_fabric::verbs_fabric(std::shared_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}
verbs_fabric::verbs_fabric(verbs_fabric&&) noexcept = default;
verbs_fabric::~verbs_fabric() = default;

std::uint16_t verbs_fabric::node_count() const noexcept { return impl_->nodes->node_count(); }
std::uint64_t verbs_fabric::node_bytes() const noexcept { return impl_->nodes->node_bytes(); }
bool verbs_fabric::formatted() const noexcept { return impl_->nodes->formatted(); }

setup_result<any_channel> verbs_fabric::connect(client_id id) {
    auto made = verbs::verbs_channel::open(impl_->nodes, id);
    if (!made) return made.error();
    return any_channel(std::move(*made));
}

} // namespace catena
