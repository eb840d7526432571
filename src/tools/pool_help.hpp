// SPDX-License-Identifier: Apache-2.0
// pool_help: what catena-pool says of itself and of each of its commands. At most 100 columns wide.
// Thread safety: constants.
#pragma once

#include <string_view>

namespace catena::tools {

struct pool_help {
    std::string_view name;
    std::string_view description;
    std::string_view footer;
};

extern pool_help const program_help;
extern pool_help const create_help;
extern pool_help const info_help;
extern pool_help const list_help;
extern pool_help const check_help;
extern pool_help const drop_help;

} // namespace catena::tools
