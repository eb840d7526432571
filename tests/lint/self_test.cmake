# SPDX-License-Identifier: Apache-2.0
# Makes a small sound tree, which lint_layers must accept, and then breaks one rule at a time, which it must refuse for
# the right reason.   cmake -Dlint=PROGRAM -Dwork=DIR -P self_test.cmake

set(spdx "// SPDX-License-Identifier: Apache-2.0\n")

function(header name)
  set(text "${spdx}#pragma once\n")
  foreach(include IN LISTS ARGN)
    string(APPEND text "#include ${include}\n")
  endforeach()
  file(WRITE "${work}/include/catena/${name}" "${text}")
endfunction()

function(sound_tree)
  file(REMOVE_RECURSE "${work}")
  header(client.hpp "<catena/prefix/chain.hpp>" "<catena/version.hpp>" "<span>")
  header(prefix/chain.hpp "<catena/index/tree.hpp>" "<catena/fabric/op.hpp>")
  header(index/tree.hpp "<catena/index/detail/descent.hpp>")
  header(index/detail/descent.hpp "<catena/protocol/lock.hpp>")
  header(protocol/lock.hpp "<catena/layout/leaf.hpp>" "<catena/pool/session.hpp>")
  header(layout/leaf.hpp "<catena/core/error.hpp>")
  header(pool/session.hpp "<catena/fabric/op.hpp>")
  header(fabric/op.hpp "<catena/core/error.hpp>")
  header(core/error.hpp "<cstdint>")
  header(version.hpp)
  file(WRITE "${work}/src/client/client.cpp" "${spdx}#include <catena/client.hpp>\n#include \"private.hpp\"\n")
  file(WRITE "${work}/src/fabric/verbs/device.cpp" "${spdx}#include <infiniband/verbs.h>\n")
  file(WRITE "${work}/include/catena/README.md" "# Reading order\n\
Prose may name `core/error.hpp` anywhere.\n\
| `client.hpp` | front door, over `prefix/chain.hpp` |\n\
| `prefix/chain.hpp` | x |\n\
| `index/tree.hpp` | x |\n\
- `index/detail/descent.hpp`: x\n\
1. `protocol/lock.hpp` x\n\
| `layout/leaf.hpp` | x |\n\
| `catena/pool/session.hpp` | x |\n\
| `fabric/op.hpp` | x |\n\
| `core/error.hpp` | x |\n\
| `version.hpp` | x |\n")
endfunction()

function(run_lint)
  execute_process(COMMAND "${lint}" "${work}" RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(status "${status}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

# refused(REGEX): the tree has exactly one violation, and its message matches.
function(refused regex)
  run_lint()
  if(NOT status EQUAL 1 OR NOT output MATCHES "${regex}" OR NOT output MATCHES ", 1 violations")
    message(SEND_ERROR "expected one violation, \"${regex}\", but lint_layers said (${status}):\n${output}")
  endif()
endfunction()

function(replace_in file from to)
  file(READ "${work}/${file}" text)
  string(REPLACE "${from}" "${to}" text "${text}")
  file(WRITE "${work}/${file}" "${text}")
endfunction()

sound_tree()
run_lint()
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the sound tree is refused:\n${output}")
endif()

# --- back arrows; the page's order is adapted, so that only the layers are wrong ---
sound_tree()
header(core/error.hpp "<catena/fabric/op.hpp>")
header(fabric/op.hpp)
replace_in(include/catena/README.md "| `core/error.hpp` | x |\n" "")
replace_in(include/catena/README.md "| `fabric/op.hpp` | x |\n" "| `core/error.hpp` | x |\n| `fabric/op.hpp` | x |\n")
refused("core/error.hpp:3: back arrow: layer core must not include <catena/fabric/op.hpp> of layer fabric")

sound_tree()
header(layout/leaf.hpp "<catena/fabric/op.hpp>")
refused("layout/leaf.hpp:3: back arrow: layer layout must not include <catena/fabric/op.hpp> of layer fabric")

sound_tree()
header(pool/session.hpp "<catena/layout/leaf.hpp>")
replace_in(include/catena/README.md "| `layout/leaf.hpp` | x |\n" "")
replace_in(include/catena/README.md "| `fabric/op.hpp`" "| `layout/leaf.hpp` | x |\n| `fabric/op.hpp`")
refused("pool/session.hpp:3: back arrow: layer pool must not include <catena/layout/leaf.hpp> of layer layout")

sound_tree()
header(prefix/chain.hpp)
header(index/tree.hpp "<catena/prefix/chain.hpp>")
replace_in(include/catena/README.md "| `prefix/chain.hpp` | x |\n" "")
replace_in(include/catena/README.md "| `version.hpp` | x |\n" "| `version.hpp` | x |\n| `prefix/chain.hpp` | x |\n")
refused("index/tree.hpp:3: back arrow: layer index must not include <catena/prefix/chain.hpp> of layer prefix")

sound_tree()
header(version.hpp "<catena/client.hpp>")
header(client.hpp)
replace_in(include/catena/README.md "| `version.hpp` | x |\n" "")
replace_in(include/catena/README.md "# Reading order\n" "# Reading order\n- `version.hpp`\n")
refused("version.hpp:3: back arrow: layer core must not include <catena/client.hpp> of layer client")

sound_tree()
header(util/misc.hpp)
replace_in(include/catena/README.md "| `version.hpp` | x |\n" "| `version.hpp` | x |\n| `util/misc.hpp` | x |\n")
refused("util/misc.hpp: its folder is no layer")

# --- cycles ---
sound_tree()
header(index/tree.hpp "<catena/index/tree.hpp>")
refused("include cycle: catena/index/tree.hpp -> catena/index/tree.hpp")

sound_tree()
header(index/detail/descent.hpp "<catena/index/tree.hpp>")
run_lint()
if(NOT output MATCHES "include cycle: catena/index/tree.hpp -> catena/index/detail/descent.hpp -> catena/index/tree.hpp")
  message(SEND_ERROR "a cycle of two headers was not found:\n${output}")
endif()

# --- the page in reading order ---
sound_tree()
file(REMOVE "${work}/include/catena/README.md")
refused("README.md: is missing")

sound_tree()
replace_in(include/catena/README.md "| `fabric/op.hpp` | x |\n" "")
refused("README.md: fabric/op.hpp is not listed")

sound_tree()
replace_in(include/catena/README.md "| `fabric/op.hpp` | x |\n" "| `fabric/op.hpp` | x |\n| `fabric/op.hpp` | y |\n")
refused("README.md:11: fabric/op.hpp is listed twice, first in line 10")

sound_tree()
replace_in(include/catena/README.md "| `version.hpp` | x |\n" "| `version.hpp` | x |\n| `core/gone.hpp` | x |\n")
refused("README.md:13: core/gone.hpp is listed but does not exist")

sound_tree()
replace_in(include/catena/README.md "| `index/tree.hpp` | x |\n" "")
replace_in(include/catena/README.md "| `version.hpp` | x |\n" "| `version.hpp` | x |\n- `index/tree.hpp`\n")
run_lint()
if(NOT output MATCHES "index/tree.hpp includes index/detail/descent.hpp, which is printed above it .line 5.")
  message(SEND_ERROR "a wrong reading order was not found:\n${output}")
endif()

# --- single files ---
sound_tree()
header(fabric/op.hpp "<infiniband/verbs.h>")
refused("fabric/op.hpp:3: includes <infiniband/verbs.h>: only src/fabric/verbs/")

sound_tree()
file(WRITE "${work}/src/client/client.cpp" "${spdx}#include <rdma/rdma_cma.h>\n")
refused("src/client/client.cpp:2: includes <rdma/rdma_cma.h>")

sound_tree()
header(fabric/op.hpp "\"catena/core/error.hpp\"")
refused("fabric/op.hpp:3: includes \"catena/core/error.hpp\": public headers are included as")

sound_tree()
header(fabric/op.hpp "<catena/core/gone.hpp>")
refused("fabric/op.hpp:3: includes <catena/core/gone.hpp>, which does not exist")

sound_tree()
file(WRITE "${work}/include/catena/version.hpp" "#pragma once\n")
refused("version.hpp:1: the first line must be")

sound_tree()
file(WRITE "${work}/include/catena/version.hpp" "${spdx}")
refused("version.hpp: a header needs #pragma once")

sound_tree()
string(REPEAT "//\n" 600 many)
file(WRITE "${work}/src/client/client.cpp" "${spdx}${many}")
refused("src/client/client.cpp: has 601 lines, more than 600")
