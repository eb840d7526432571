# SPDX-License-Identifier: Apache-2.0
# catena-bench compare --report: its page of a comparison with all that it shows, of one round, and with parts left out.
include("${CMAKE_CURRENT_LIST_DIR}/page_checks.cmake")
skip_without_browser()

set(systems map extents/chime batched/chime@shm)
find_program(redis NAMES redis-server)
if(redis)
  list(APPEND systems redis-mget redis-get@unix)
endif()
list(JOIN systems "," systems)
set(measured 8) # charts: 2 of speed without the one below, 2 of latency, 4 of cost
if(NOT redis)
  math(EXPR measured "${measured} - 2") # nothing to be so many times as fast as, and no server that computes
endif()
set(small --requests 300 --rounds 2)

# More systems than are chosen for the first sections, so that there is a chart of all; and two charts of nodes, two of what is busy.
run(catena-bench compare ${small} --systems ${systems} --clients 1,4 --nodes 1,2 --report all.html)
math(EXPR charts "${measured} + 4 + 1")
check_self_contained(all.html)
check_page(all.html 1280 light ${charts} ${charts})
check_page(all.html 390 dark ${charts} ${charts})

# One round has no spread, one number of clients no line, and one system nothing beside it.
run(catena-bench compare --requests 300 --rounds 1 --systems extents/chime@local --simulate extents/chime --clients 2 --nodes 1
  --report one.html)
check_page(one.html 390 light 9 9)

run(catena-bench compare ${small} --systems map,extents/chime --against map@process --simulate none --report measured.html)
check_page(measured.html 390 dark 8 8)
run(catena-bench compare --requests 300 --systems none --simulate extents/chime,batched/learned --clients 1,3 --nodes 1,2,4,8
  --report simulated.html)
check_page(simulated.html 390 light 6 6)
