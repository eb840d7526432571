# SPDX-License-Identifier: Apache-2.0
# What every page must be; included by the tests of pages. Stops the script, as skipped, if there is nothing to test with.
# What a page says about itself is in page.js: attributes data-... of its root element.

macro(skip_without_browser)
  if(NOT charts)
    message("skipped: the programs are built without charts (CATENA_CHARTS)")
    return()
  endif()
  if(NOT browser)
    message("skipped: there is no chromium")
    return()
  endif()
  file(REMOVE_RECURSE "${work}")
  file(MAKE_DIRECTORY "${work}")
  # Windows of a browser cannot be as narrow as a phone's, but a frame in one can.
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/frame.html" DESTINATION "${work}")
endmacro()

# run(PROGRAM ARGUMENT...): must end well.
function(run program)
  execute_process(COMMAND "${programs}/${program}" ${ARGN} WORKING_DIRECTORY "${work}"
    OUTPUT_QUIET ERROR_VARIABLE said RESULT_VARIABLE status TIMEOUT 60)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${program} ${ARGN} ended with ${status}: ${said}")
  endif()
endfunction()

# check_self_contained(PAGE): refers to nothing outside.
function(check_self_contained page)
  file(READ "${work}/${page}" text)
  foreach(pattern IN ITEMS "<link" "<img" "<iframe" "[ \n](src|href)=[\"']?[^#\"'{ ]" "@import" "url\\((https?:|//|[\"'])")
    if(text MATCHES "${pattern}")
      message(FATAL_ERROR "${page} refers to something outside: ${CMAKE_MATCH_0}")
    endif()
  endforeach()
endfunction()

# check_page(PAGE WIDTH THEME CHARTS DRAWN): opened that wide it has CHARTS charts, in DRAWN of which data is to be seen, nothing
# went wrong, and nothing is wider than the window.
function(check_page page width theme expected_charts expected_drawn)
  execute_process(
    COMMAND "${browser}" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-extensions
      --disable-background-networking "--host-resolver-rules=MAP * ~NOTFOUND" "--user-data-dir=${work}/profile"
      --allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=10000 --window-size=1400,900 --dump-dom
      "file://${work}/frame.html#${page},${width},${theme},check"
    OUTPUT_VARIABLE dom ERROR_VARIABLE log RESULT_VARIABLE status TIMEOUT 60)
  set(opened "${page}, ${width} wide, ${theme}")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${opened}: the browser ended with ${status}: ${log}")
  endif()
  if(log MATCHES "[^\n]*CONSOLE[^\n]*")
    message(FATAL_ERROR "${opened}: the console is not empty: ${CMAKE_MATCH_0}")
  endif()
  foreach(expected IN ITEMS "done=yes" "errors=0" "theme=${theme}" "width=${width}" "overflow=0" "charts=${expected_charts}"
                            "drawn=${expected_drawn}")
    string(REPLACE "=" ";" expected "${expected}")
    list(GET expected 0 name)
    list(GET expected 1 value)
    if(NOT dom MATCHES "<html[^>]* data-${name}=\"([^\"]*)\"")
      message(FATAL_ERROR "${opened}: no data-${name}; it did not get to its end, or there is no page")
    endif()
    set(found "${CMAKE_MATCH_1}")
    if(NOT found MATCHES "^(${value})$")
      message(FATAL_ERROR "${opened}: ${name} is ${found}, not ${value}")
    endif()
  endforeach()
endfunction()
