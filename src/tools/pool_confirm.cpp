// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_confirm.hpp"

#include <cstdio>
#include <iostream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace catena::tools {

std::optional<exit_code> ask_before(pool_settings const& s, std::string_view what, std::string_view answer,
                                    complainer complain) {
    if (s.yes) return std::nullopt;
    if (isatty(STDIN_FILENO) == 0) {
        complain("{}: {}. Nobody can be asked, as standard input is no terminal: say --yes if that is what you want",
                 s.uri, what);
        return exit_usage;
    }
    fmt::print(stderr, "{}: {}.\nType {} to go on: ", s.uri, what, answer);
    std::fflush(stderr);
    std::string typed;
    std::getline(std::cin, typed);
    if (typed == answer) return std::nullopt;
    complain("nothing was dropped");
    return exit_failed;
}

} // namespace catena::tools
