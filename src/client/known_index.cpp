// SPDX-License-Identifier: Apache-2.0
#include "client/known_index.hpp"

#include <algorithm>
#include <array>

namespace catena {

namespace {

constexpr std::string_view extents_type = "extents";
constexpr std::string_view heads_suffix = "/heads"; // extent_index.hpp: an entry of its own for what finds the extents

// Of the index that finds the extents. One whose drop was left without it may be of any type.
[[nodiscard]] index_type const* type_of_heads(std::span<catalog_listing const> catalog, catalog_listing const& one) {
    auto const* const heads = find_listing(catalog, std::string(one.spec.name_view()).append(heads_suffix));
    for (auto const* type : all_index_types())
        if (heads == nullptr || heads->spec.type_view() == type->name) return type;
    return nullptr;
}

} // namespace

std::span<index_type const* const> all_index_types() noexcept {
    static constexpr std::array types{&chime_index, &learned_index, &sherman_index};
    return types;
}

result<known_index, std::string> recognise(std::span<catalog_listing const> catalog, catalog_listing const& one) {
    auto const type_name = std::string(one.spec.type_view());
    known_index known{.type = nullptr, .by_extents = type_name == extents_type};
    if (known.by_extents) {
        known.type = type_of_heads(catalog, one);
    } else {
        auto const types = all_index_types();
        auto const at = std::find_if(types.begin(), types.end(), [&](auto const* t) { return t->name == type_name; });
        if (at != types.end()) known.type = *at;
    }
    if (known.type == nullptr) return "this program has no index of type '" + type_name + "'";
    if (auto const wrong = mismatch(one.spec, known.calls().spec(one.spec.name_view())))
        return "it is not one of chains of blocks, as this program knows them: " + *wrong;
    return known;
}

std::optional<std::string_view> whole_of(std::span<catalog_listing const> catalog, catalog_listing const& one) {
    auto name = one.spec.name_view();
    if (!name.ends_with(heads_suffix)) return std::nullopt;
    name.remove_suffix(heads_suffix.size());
    auto const* const whole = find_listing(catalog, name);
    if (whole == nullptr || whole->spec.type_view() != extents_type) return std::nullopt;
    return whole->spec.name_view();
}

catalog_listing const* find_listing(std::span<catalog_listing const> catalog, std::string_view name) {
    auto const at =
        std::find_if(catalog.begin(), catalog.end(), [&](auto const& each) { return each.spec.name_view() == name; });
    return at == catalog.end() ? nullptr : &*at;
}

} // namespace catena
