# SPDX-License-Identifier: Apache-2.0
# One step of the consumer tests; see CMakeLists.txt beside this file for the variables.

function(run out_status out_output)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(${out_status} "${status}" PARENT_SCOPE)
  set(${out_output} "${output}" PARENT_SCOPE)
endfunction()

function(must_succeed)
  run(status output ${ARGN})
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed (${status}): ${command}\n${output}")
  endif()
endfunction()

set(prefix "${work}/prefix")
set(configure ${CMAKE_COMMAND} -S "${source}" -G "${generator}"
  "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}" "-DCMAKE_BUILD_TYPE=${build_type}")

# A find_package that must end with an error that matches.
function(must_be_refused dir expected)
  file(REMOVE_RECURSE "${dir}")
  run(status output ${configure} -B "${dir}" ${ARGN})
  string(REGEX REPLACE "[ \n]+" " " one_line "${output}")
  list(JOIN ARGN " " arguments)
  if(status EQUAL 0)
    message(FATAL_ERROR "accepted, but should not be: ${arguments}")
  elseif(NOT one_line MATCHES "${expected}")
    message(FATAL_ERROR "refused, but not with \"${expected}\": ${arguments}\n${output}")
  endif()
endfunction()

function(build_and_run dir)
  must_succeed(${CMAKE_COMMAND} --build "${dir}" --config "${build_type}")
  must_succeed(${CMAKE_COMMAND} -E chdir "${dir}" ctest -C "${build_type}" --output-on-failure --no-tests=error)
endfunction()

if(step STREQUAL "install")
  # Installed in one place and moved to another: nothing may point back, neither there nor into the source tree.
  file(REMOVE_RECURSE "${prefix}" "${work}/staging")
  must_succeed(${CMAKE_COMMAND} --install "${catena_build}" --config "${build_type}" --prefix "${work}/staging")
  file(RENAME "${work}/staging" "${prefix}")
  file(GLOB_RECURSE configs "${prefix}/*.cmake")
  if(NOT configs)
    message(FATAL_ERROR "no CMake files were installed")
  endif()
  foreach(config IN LISTS configs)
    file(READ "${config}" text)
    foreach(path IN ITEMS "${catena_source}/" "${catena_build}/" "${work}/")
      string(FIND "${text}" "${path}" at)
      if(NOT at EQUAL -1)
        message(FATAL_ERROR "${config} names ${path}: the installation cannot be moved")
      endif()
    endforeach()
  endforeach()

  if(server) # the unit names the program in the place that it was installed to, which was staging
    file(READ "${prefix}/lib/systemd/system/catena-memd.service" unit)
    string(FIND "${unit}" "ExecStart=${work}/staging/" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "the systemd unit does not name ${work}/staging/...:\n${unit}")
    endif()
  endif()

elseif(step STREQUAL "find_package")
  set(dir "${work}/find_package")
  file(REMOVE_RECURSE "${dir}")
  set(arguments "-DCMAKE_PREFIX_PATH=${prefix}" "-DWITH_VERBS=${verbs}")
  if(NOT verbs)
    list(APPEND arguments -DCMAKE_DISABLE_FIND_PACKAGE_IBVerbs=ON) # nothing needs rdma-core then
  endif()
  must_succeed(${configure} -B "${dir}" ${arguments})
  build_and_run("${dir}")

elseif(step STREQUAL "without_rdma_core")
  # Built with verbs, used where rdma-core is missing: the headers work, the compiled parts say what they need.
  set(dir "${work}/without_rdma_core")
  set(no_rdma_core "-DCMAKE_PREFIX_PATH=${prefix}" -DCMAKE_DISABLE_FIND_PACKAGE_IBVerbs=ON)
  file(REMOVE_RECURSE "${dir}")
  must_succeed(${configure} -B "${dir}" ${no_rdma_core} -DWITH_CLIENT=OFF)
  build_and_run("${dir}")
  must_be_refused("${dir}" "component client needs libibverbs" ${no_rdma_core})
  must_be_refused("${dir}" "component verbs needs libibverbs" ${no_rdma_core} -DWITH_CLIENT=OFF -DWITH_VERBS=ON)

elseif(step STREQUAL "built_without_verbs")
  # An installation without verbs; of the headers alone, as nothing needs to be compiled for that.
  set(build "${work}/no_verbs/build")
  set(no_verbs "${work}/no_verbs/prefix")
  set(dir "${work}/no_verbs/consumer")
  file(REMOVE_RECURSE "${work}/no_verbs")
  must_succeed(${CMAKE_COMMAND} -S "${catena_source}" -B "${build}" -G "${generator}" "-DCMAKE_CXX_COMPILER=${compiler}"
    -DCATENA_VERBS=OFF -DCATENA_BUILD_CLIENT=OFF -DCATENA_BUILD_TESTS=OFF)
  must_succeed(${CMAKE_COMMAND} --install "${build}" --prefix "${no_verbs}")
  set(arguments "-DCMAKE_PREFIX_PATH=${no_verbs}" -DCMAKE_DISABLE_FIND_PACKAGE_IBVerbs=ON -DWITH_CLIENT=OFF)
  must_succeed(${configure} -B "${dir}" ${arguments})
  build_and_run("${dir}")
  must_be_refused("${dir}" "built without the component verbs. Build it with -DCATENA_VERBS=ON" ${arguments} -DWITH_VERBS=ON)

elseif(step STREQUAL "add_subdirectory")
  set(dir "${work}/add_subdirectory")
  file(REMOVE_RECURSE "${dir}")
  # Not optimised, as it builds all of catena::client again.
  must_succeed(${configure} -B "${dir}" "-DCATENA_SOURCE_DIR=${catena_source}" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0
    "-DCATENA_VERBS=${verbs}" "-DWITH_VERBS=${verbs}")
  foreach(name IN ITEMS test example bench)
    file(GLOB unwanted "${dir}/catena/*/${name}_*" "${dir}/catena/${name}s")
    if(unwanted)
      message(FATAL_ERROR "a subproject must not bring its ${name}s along: ${unwanted}")
    endif()
  endforeach()
  build_and_run("${dir}")

elseif(step STREQUAL "refuse_versions")
  # 0.x: another minor version may have another remote format, older or newer.
  foreach(version IN ITEMS 9.9 1.0 0.0 0.2 0.1.999)
    must_be_refused("${work}/refuse_${version}" "compatible with requested version \"${version}\""
      "-DCMAKE_PREFIX_PATH=${prefix}" "-DWANTED_VERSION=${version}")
  endforeach()

else()
  message(FATAL_ERROR "unknown step \"${step}\"")
endif()
