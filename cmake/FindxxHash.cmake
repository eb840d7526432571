# SPDX-License-Identifier: Apache-2.0
# Finds the header of xxHash (catena inlines it with XXH_INLINE_ALL, so no library is linked).
# Distributions ship no CMake config for xxHash; this module is installed beside catenaConfig.cmake.
#   target    xxHash::headers
#   variables xxHash_FOUND, xxHash_VERSION, xxHash_INCLUDE_DIR

find_path(xxHash_INCLUDE_DIR NAMES xxhash.h)

if(xxHash_INCLUDE_DIR)
  file(STRINGS "${xxHash_INCLUDE_DIR}/xxhash.h" xxHash_lines
    REGEX "^#[ \t]*define[ \t]+XXH_VERSION_(MAJOR|MINOR|RELEASE)[ \t]+[0-9]+")
  set(xxHash_VERSION "")
  foreach(part IN ITEMS MAJOR MINOR RELEASE)
    if("${xxHash_lines}" MATCHES "XXH_VERSION_${part}[ \t]+([0-9]+)")
      list(APPEND xxHash_VERSION "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  list(JOIN xxHash_VERSION "." xxHash_VERSION)
  unset(xxHash_lines)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(xxHash REQUIRED_VARS xxHash_INCLUDE_DIR VERSION_VAR xxHash_VERSION)
mark_as_advanced(xxHash_INCLUDE_DIR)

if(xxHash_FOUND AND NOT TARGET xxHash::headers)
  add_library(xxHash::headers INTERFACE IMPORTED)
  set_target_properties(xxHash::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${xxHash_INCLUDE_DIR}")
endif()
