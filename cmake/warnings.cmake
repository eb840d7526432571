# SPDX-License-Identifier: Apache-2.0
# Two INTERFACE targets that only our own targets link: catena_warnings and catena_sanitize. Nothing here is global, so
# a project that adds catena as a subdirectory keeps its own flags.

add_library(catena_warnings INTERFACE)
target_compile_options(catena_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>
  $<$<BOOL:${CATENA_WARNINGS_AS_ERRORS}>:-Werror>)

add_library(catena_sanitize INTERFACE)
set_property(CACHE CATENA_SANITIZE PROPERTY STRINGS "" "address+undefined" "thread")
if(CATENA_SANITIZE STREQUAL "address+undefined")
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(CATENA_SANITIZE STREQUAL "thread")
  set(flags -fsanitize=thread)
elseif(NOT CATENA_SANITIZE STREQUAL "")
  message(FATAL_ERROR "CATENA_SANITIZE is \"${CATENA_SANITIZE}\"; it can be empty, address+undefined or thread")
endif()
if(CATENA_SANITIZE)
  target_compile_options(catena_sanitize INTERFACE ${flags} -fno-omit-frame-pointer
    # g++ documents that sanitizers make this warning report what is not there
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(catena_sanitize INTERFACE ${flags})
endif()
unset(flags)

# catena_own_target(NAME): warnings and sanitizers for one of our targets; never exported.
function(catena_own_target name)
  target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:catena_warnings> $<BUILD_INTERFACE:catena_sanitize>)
endfunction()
