// SPDX-License-Identifier: Apache-2.0
// Opens what a URI names: the run-time choice of index (open_index.hpp has that of the fabric). Everything behind it is chosen at
// compile time.
#include <catena/client.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/implementation.hpp"
#include "client/known_index.hpp"
#include "client/open_index.hpp"
#include "client/pool_uri.hpp"

namespace catena {

setup_result<client> client::open(std::string_view uri, client_options options) {
    auto const parsed = parse_pool_uri(uri);
    if (!parsed) return parsed.error();
    for (auto const* type : all_index_types()) {
        if (options.index != type->name) continue;
        auto const open = options.strategy == match_strategy::extents ? type->by_extents : type->by_block;
        auto opened = open(*parsed, options);
        if (!opened) return opened.error();
        return client(std::shared_ptr<implementation>(std::move(*opened)));
    }
    std::string known;
    for (auto const* type : all_index_types()) known.append(known.empty() ? "" : ", ").append(type->name);
    return setup_error(errc::invalid_argument, "unknown index type '" + options.index + "'; this build has " + known);
}

std::vector<std::string_view> client::index_types() {
    std::vector<std::string_view> names;
    for (auto const* type : all_index_types()) names.push_back(type->name);
    return names;
}

client::client(std::shared_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() = default;

result<match_result> client::match(std::span<block_hash const> chain, std::span<location> locations,
                                   std::chrono::nanoseconds within) const {
    return impl_->match(chain, locations, within);
}
result<fabric_stats> client::match_many(std::span<std::span<block_hash const> const> chains,
                                        std::span<std::size_t> matched) const {
    return impl_->match_many(chains, matched);
}
result<publish_result> client::publish(std::span<block_hash const> chain, std::span<location> locations,
                                       std::size_t from, match_end const& after) const {
    return impl_->publish(chain, locations, from, after);
}
result<forget_result> client::forget(std::span<block_hash const> chain, std::size_t keep,
                                     std::span<location const> expected) const {
    return impl_->forget(chain, keep, expected);
}
result<bool> client::contains(std::span<block_hash const> chain) const { return impl_->contains(chain); }
result<index_report> client::inspect() const { return impl_->inspect(); }
client_report client::report() const { return impl_->report(); }

} // namespace catena
