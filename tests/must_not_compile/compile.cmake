# SPDX-License-Identifier: Apache-2.0
# Compiles one snippet and compares with its `// expect:` line.
#   cmake -Dcompiler= -Dinclude=DIR|DIR -Dimplicit=DIR|DIR -Dsnippet=FILE -P compile.cmake

file(STRINGS "${snippet}" expect REGEX "^// expect: .")
list(LENGTH expect lines)
if(NOT lines EQUAL 1)
  message(FATAL_ERROR "${snippet}: needs exactly one line `// expect: REGEX`, has ${lines}")
endif()
string(REGEX REPLACE "^// expect: " "" expect "${expect}")

# A directory that the compiler searches anyway must not be named again: it would move in the search order.
string(REPLACE "|" ";" include "${include}")
string(REPLACE "|" ";" implicit "${implicit}")
list(REMOVE_DUPLICATES include)
list(REMOVE_ITEM include ${implicit})
list(TRANSFORM include PREPEND "-I")

execute_process(
  COMMAND "${compiler}" -std=c++20 -fsyntax-only -Werror=unused-result ${include} "${snippet}"
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(expect STREQUAL "nothing")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "the control must compile, else the refusals prove nothing:\n${output}")
  endif()
elseif(status EQUAL 0)
  message(FATAL_ERROR "${snippet} compiles, but it must not (expected: ${expect})")
elseif(NOT output MATCHES "${expect}")
  message(FATAL_ERROR "${snippet} is refused for another reason than expected (${expect}):\n${output}")
endif()
