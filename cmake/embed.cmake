# SPDX-License-Identifier: Apache-2.0
# cmake -Doutput=FILE.cpp -Dfiles=NAME=PATH,NAME=PATH... -P embed.cmake
# Writes the table that src/tools/report_assets.hpp declares: the bytes of files, under their names. Needs no other program.
#
# Bytes are written as \xNN, so no character of a file can mean something to CMake or to C++; in pieces, because compilers need not
# take literals of more than 64 KiB.

set(piece_digits 32000) # two for a byte
string(REPLACE "," ";" files "${files}")
set(tables "")
set(rows "")
set(number 0)
foreach(file IN LISTS files)
  string(REGEX MATCH "^([^=]+)=(.+)$" matched "${file}")
  set(name "${CMAKE_MATCH_1}")
  set(path "${CMAKE_MATCH_2}")
  file(READ "${path}" digits HEX)
  string(LENGTH "${digits}" left)
  set(pieces "")
  set(at 0)
  while(at LESS left)
    string(SUBSTRING "${digits}" ${at} ${piece_digits} piece)
    string(REGEX REPLACE "(..)" "\\\\x\\1" piece "${piece}")
    string(APPEND pieces "    \"${piece}\"sv,\n")
    math(EXPR at "${at} + ${piece_digits}")
  endwhile()
  string(APPEND tables "constexpr std::string_view pieces_${number}[] = {\n${pieces}    \"\"sv};\n")
  string(APPEND rows "    {\"${name}\"sv, pieces_${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${output}" "// SPDX-License-Identifier: Apache-2.0
// Made by cmake/embed.cmake; do not edit.
#include \"tools/report_assets.hpp\"

namespace catena::tools {
namespace {
using namespace std::string_view_literals;
${tables}constexpr report_asset assets[] = {
${rows}};
} // namespace
std::span<report_asset const> report_assets() { return assets; }
} // namespace catena::tools
")
