# SPDX-License-Identifier: Apache-2.0
# catena_report: pages with charts, for the programs that have --report. CATENA_CHARTS: AUTO (if the chart library is there), ON (it
# must be), OFF. Sets CATENA_HAS_CHARTS. Without charts the library is built all the same, and refuses to write pages.

set(CATENA_CHARTS AUTO CACHE STRING "Pages with charts, --report (needs Chart.js 3 or 4): AUTO, ON or OFF")
set_property(CACHE CATENA_CHARTS PROPERTY STRINGS AUTO ON OFF)
if(NOT CATENA_CHARTS MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "CATENA_CHARTS is \"${CATENA_CHARTS}\"; it can be AUTO, ON or OFF")
endif()

# catena_find_charts(): sets CATENA_HAS_CHARTS, or says why there are none.
function(catena_find_charts)
  set(CATENA_HAS_CHARTS OFF PARENT_SCOPE)
  if(CATENA_CHARTS STREQUAL "OFF")
    return()
  endif()
  # Debian's libjs-chart.js; chart.js of npm, installed for this machine
  find_file(CATENA_CHART_LIBRARY NAMES chart.min.js chart.umd.js Chart.min.js
    PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist /usr/local/lib/node_modules/chart.js/dist
          /usr/lib/node_modules/chart.js/dist
    NO_DEFAULT_PATH DOC "Chart.js 3 or 4 as one file for browsers (chart.min.js, chart.umd.js)")
  mark_as_advanced(CATENA_CHART_LIBRARY)
  set(problem "")
  if(NOT CATENA_CHART_LIBRARY)
    set(problem "Chart.js is missing (Debian: libjs-chart.js)")
  elseif(NOT EXISTS "${CATENA_CHART_LIBRARY}")
    set(problem "there is no ${CATENA_CHART_LIBRARY}")
  else()
    file(READ "${CATENA_CHART_LIBRARY}" text)
    string(SUBSTRING "${text}" 0 400 banner)
    string(TOLOWER "${text}" text)
    if(NOT banner MATCHES "Chart\\.js v[34]\\.")
      set(problem "${CATENA_CHART_LIBRARY} does not begin as Chart.js 3 and 4 do")
    elseif(text MATCHES "</script")
      set(problem "${CATENA_CHART_LIBRARY} cannot stand in a page: it has </script in it")
    endif()
  endif()
  if(NOT problem)
    set(CATENA_HAS_CHARTS ON PARENT_SCOPE)
  elseif(CATENA_CHARTS STREQUAL "ON")
    message(FATAL_ERROR "CATENA_CHARTS is ON, but ${problem}; CATENA_CHART_LIBRARY names another file")
  else()
    message(STATUS "catena: no charts, --report is refused: ${problem}")
  endif()
endfunction()
catena_find_charts()

add_library(catena_report STATIC "${PROJECT_SOURCE_DIR}/src/tools/report_page.cpp")
target_include_directories(catena_report PUBLIC "${PROJECT_SOURCE_DIR}/src")
target_link_libraries(catena_report PUBLIC catena fmt::fmt nlohmann_json::nlohmann_json)
catena_own_target(catena_report)

# Every file of report_page/ goes in, so the script of a new page needs no line here.
set(report_assets_source "${PROJECT_BINARY_DIR}/generated/report_assets.cpp")
set(report_files "")
set(report_names "")
if(CATENA_HAS_CHARTS)
  file(GLOB report_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/tools/report_page/*")
  foreach(file IN LISTS report_files)
    cmake_path(GET file FILENAME name)
    string(APPEND report_names "${name}=${file},")
  endforeach()
  list(APPEND report_files "${CATENA_CHART_LIBRARY}")
  string(APPEND report_names "chart-library=${CATENA_CHART_LIBRARY}")
  add_custom_command(OUTPUT "${report_assets_source}"
    COMMAND ${CMAKE_COMMAND} "-Doutput=${report_assets_source}" "-Dfiles=${report_names}" -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS ${report_files} "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    COMMENT "Embedding the files of report pages" VERBATIM)
  target_sources(catena_report PRIVATE "${report_assets_source}")
  target_compile_definitions(catena_report PRIVATE CATENA_WITH_CHARTS)
endif()
