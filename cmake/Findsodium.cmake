# SPDX-License-Identifier: Apache-2.0
# Finds libsodium, which ships no CMake config; this module is installed beside catenaConfig.cmake.
#   target    sodium::sodium
#   variables sodium_FOUND

find_path(sodium_INCLUDE_DIR NAMES sodium.h)
find_library(sodium_LIBRARY NAMES sodium)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(sodium REQUIRED_VARS sodium_LIBRARY sodium_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "libsodium is needed (Debian: libsodium-dev)")
mark_as_advanced(sodium_INCLUDE_DIR sodium_LIBRARY)

if(sodium_FOUND AND NOT TARGET sodium::sodium)
  add_library(sodium::sodium UNKNOWN IMPORTED)
  set_target_properties(sodium::sodium PROPERTIES
    IMPORTED_LOCATION "${sodium_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${sodium_INCLUDE_DIR}")
endif()
