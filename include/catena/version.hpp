// SPDX-License-Identifier: Apache-2.0
// The version of the library. While it is 0.x, a new minor version may change the API and the remote format.
#pragma once

#include <string_view>

namespace catena {

inline constexpr std::string_view version_string = "0.1.0";

} // namespace catena
