# SPDX-License-Identifier: Apache-2.0
# cmake -Dsource=DIR -Doutput=FILE -P commit.cmake: writes a C++ file that says which commit of the checkout `source` is compiled.
# Run with every build; the file changes only when that does.

execute_process(COMMAND git -C "${source}" rev-parse --short=8 HEAD
  OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
else()
  execute_process(COMMAND git -C "${source}" status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(NOT changes STREQUAL "")
    string(APPEND commit "+")
  endif()
endif()
set(text "#include \"bench/machine.hpp\"

std::string_view catena::bench::commit() noexcept { return \"${commit}\"; }
")
set(before "")
if(EXISTS "${output}")
  file(READ "${output}" before)
endif()
if(NOT before STREQUAL text)
  file(WRITE "${output}" "${text}")
endif()
