// SPDX-License-Identifier: Apache-2.0
// catena-pool: see --help, which pool_help.cpp holds.
#include <cstdio>
#include <exception>

#include "tools/output.hpp"
#include "tools/pool_commands.hpp"
#include "tools/pool_options.hpp"

namespace {

using namespace catena::tools;

exit_code run(pool_settings const& s) {
    constexpr complainer complain{pool_program};
    switch (s.command) {
    case pool_command::create: return create_pool(s, complain);
    case pool_command::info: return show_pool(s, complain);
    case pool_command::list: return list_pool(s, complain);
    case pool_command::check: return check_pool(s, complain);
    case pool_command::drop: return s.all ? drop_whole_pool(s, complain) : drop_one_index(s, complain);
    }
    return exit_usage;
}

} // namespace

int main(int argc, char** argv) {
    try {
        auto const s = parse_pool_arguments(argc, argv);
        return s ? run(*s) : s.error();
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "catena-pool: %s\n", failure.what());
        return exit_failed;
    }
}
