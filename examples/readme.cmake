# SPDX-License-Identifier: Apache-2.0
# cmake -Dreadme=README.md -Dexample=hello_prefix.cpp -P readme.cmake: the code on the README's first screen must be the
# example that ctest runs, from its first #include on.
file(READ "${readme}" page)
file(READ "${example}" code)
string(FIND "${code}" "#include" begin)
string(SUBSTRING "${code}" ${begin} -1 code)
string(FIND "${page}" "```cpp\n${code}```" found)
if(found EQUAL -1)
  message(FATAL_ERROR "${readme} does not show the code of ${example}; paste it from its first #include on")
endif()
