# SPDX-License-Identifier: Apache-2.0
# Finds the verbs libraries of rdma-core, which ships no CMake config; this module is installed beside catenaConfig.cmake.
#   targets   IBVerbs::ibverbs, IBVerbs::rdmacm (the connection manager; links the former)
#   variables IBVerbs_FOUND

find_path(IBVerbs_INCLUDE_DIR NAMES infiniband/verbs.h)
find_path(IBVerbs_RDMACM_INCLUDE_DIR NAMES rdma/rdma_cma.h)
find_library(IBVerbs_LIBRARY NAMES ibverbs)
find_library(IBVerbs_RDMACM_LIBRARY NAMES rdmacm)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(IBVerbs
  REQUIRED_VARS IBVerbs_LIBRARY IBVerbs_RDMACM_LIBRARY IBVerbs_INCLUDE_DIR IBVerbs_RDMACM_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "libibverbs and librdmacm of rdma-core are needed (Debian: libibverbs-dev librdmacm-dev)")
mark_as_advanced(IBVerbs_INCLUDE_DIR IBVerbs_RDMACM_INCLUDE_DIR IBVerbs_LIBRARY IBVerbs_RDMACM_LIBRARY)

if(IBVerbs_FOUND AND NOT TARGET IBVerbs::ibverbs)
  add_library(IBVerbs::ibverbs UNKNOWN IMPORTED)
  set_target_properties(IBVerbs::ibverbs PROPERTIES
    IMPORTED_LOCATION "${IBVerbs_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${IBVerbs_INCLUDE_DIR}")
  add_library(IBVerbs::rdmacm UNKNOWN IMPORTED)
  set_target_properties(IBVerbs::rdmacm PROPERTIES
    IMPORTED_LOCATION "${IBVerbs_RDMACM_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${IBVerbs_RDMACM_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES IBVerbs::ibverbs)
endif()
