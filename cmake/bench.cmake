# SPDX-License-Identifier: Apache-2.0
# catena-bench, which compares catena with Redis, and so needs hiredis. CATENA_BENCH: AUTO (if that is there), ON (it must be), OFF.

set(CATENA_BENCH AUTO CACHE STRING "catena-bench (needs hiredis): AUTO, ON or OFF")
set_property(CACHE CATENA_BENCH PROPERTY STRINGS AUTO ON OFF)
if(NOT CATENA_BENCH MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "CATENA_BENCH is \"${CATENA_BENCH}\"; it can be AUTO, ON or OFF")
endif()
if(CATENA_BENCH STREQUAL "OFF")
  return()
endif()
find_path(CATENA_HIREDIS_INCLUDE_DIR hiredis/hiredis.h DOC "Where hiredis/hiredis.h lies")
find_library(CATENA_HIREDIS_LIBRARY hiredis DOC "hiredis, the C client of Redis")
mark_as_advanced(CATENA_HIREDIS_INCLUDE_DIR CATENA_HIREDIS_LIBRARY)
if(NOT CATENA_HIREDIS_INCLUDE_DIR OR NOT CATENA_HIREDIS_LIBRARY)
  if(CATENA_BENCH STREQUAL "ON")
    message(FATAL_ERROR "CATENA_BENCH is ON, but hiredis is missing (Debian: libhiredis-dev)")
  endif()
  message(STATUS "catena: no catena-bench: hiredis is missing (Debian: libhiredis-dev)")
  return()
endif()

# Before everything that is compiled of it, whichever commit it was last time.
set(commit_source "${PROJECT_BINARY_DIR}/generated/commit.cpp")
add_custom_target(catena_commit BYPRODUCTS "${commit_source}"
  COMMAND "${CMAKE_COMMAND}" "-Dsource=${PROJECT_SOURCE_DIR}" "-Doutput=${commit_source}" -P "${PROJECT_SOURCE_DIR}/cmake/commit.cmake")

file(GLOB catena_bench_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/bench/*.cpp")
list(FILTER catena_bench_sources EXCLUDE REGEX "main\\.cpp$")
add_library(catena_bench STATIC ${catena_bench_sources} "${commit_source}")
add_dependencies(catena_bench catena_commit)
target_link_libraries(catena_bench PUBLIC catena_tools catena_report "${CATENA_HIREDIS_LIBRARY}")
target_include_directories(catena_bench SYSTEM PUBLIC "${CATENA_HIREDIS_INCLUDE_DIR}")
catena_own_target(catena_bench)
add_executable(catena-bench "${PROJECT_SOURCE_DIR}/src/bench/main.cpp")
target_link_libraries(catena-bench PRIVATE catena_bench)
catena_own_target(catena-bench)
