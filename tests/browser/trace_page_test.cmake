# SPDX-License-Identifier: Apache-2.0
# catena-trace analyze --report: its page for a trace, for several, and for one in which nothing happens.
include("${CMAKE_CURRENT_LIST_DIR}/page_checks.cmake")
skip_without_browser()

# request(TIME ID...): a line of blocks of 512 tokens, the last one partial.
function(request time)
  list(LENGTH ARGN count)
  math(EXPR tokens "512 * ${count} - 2")
  list(JOIN ARGN "," ids)
  set(line "{\"timestamp\":${time},\"input_length\":${tokens},\"output_length\":1,\"hash_ids\":[${ids}]}\n" PARENT_SCOPE)
endfunction()

# Seven conversations in turn that begin with the same block; each turn is three blocks longer than the one before.
set(trace "")
foreach(number RANGE 0 76)
  math(EXPR time "700 * ${number}")
  math(EXPR first "1000 * (${number} % 7) + 1")
  math(EXPR last "${first} + 3 * (${number} / 7)")
  set(ids 0)
  foreach(id RANGE ${first} ${last})
    list(APPEND ids ${id})
  endforeach()
  request(${time} ${ids})
  string(APPEND trace "${line}")
endforeach()
file(WRITE "${work}/conversations.jsonl" "${trace}")
request(0 1)
file(WRITE "${work}/one <b>request.jsonl" "${line}") # names cannot become markup

set(charts_of_page 13)
run(catena-trace analyze conversations.jsonl --report one.html)
check_self_contained(one.html)
check_page(one.html 1280 light ${charts_of_page} ${charts_of_page})
check_page(one.html 390 dark ${charts_of_page} ${charts_of_page})

run(catena-trace analyze conversations.jsonl "one <b>request.jsonl" --block-tokens 16 --report two.html)
check_page(two.html 390 light ${charts_of_page} ${charts_of_page})
check_page(two.html 1280 dark ${charts_of_page} ${charts_of_page})

run(catena-trace analyze "one <b>request.jsonl" --report nothing.html) # charts without data are empty, and no errors
check_page(nothing.html 390 light ${charts_of_page} "[0-9]+")
