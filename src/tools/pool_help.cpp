// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_help.hpp"

namespace catena::tools {

// Each text begins where its lines do.
// clang-format off

pool_help const program_help{
.name = "catena-pool",
.description =
R"(catena-pool - makes pools of remote memory, shows what is in them, and removes them

A pool is memory on one or several memory nodes, with indexes in it that many processes share.
Engines open it with the same URI; this program is for who operates it.
)",
.footer = R"(
URIs:
  shm:NAME?size=1GiB&nodes=2&keep=yes    shared memory of this machine, /dev/shm/catena.NAME
  verbs://HOST:PORT,HOST:PORT            servers catena-memd, in the order of the pool
    size    bytes of each memory node: K, M, G, KiB, MiB, GiB, powers of 1024 (shm: to create)
    nodes   memory nodes, 1 to 64 (shm: to create; default 1)
    keep    yes: the segment stays when no process uses it (shm)
    lease   milliseconds after which a silent member counts as dead (to create; default 1000)
    access  read: nothing is written (info, list and check never write)
    secret  a file with the secret of the servers (verbs)
    device  the RDMA device to use: mlx5_0, mlx5_0:PORT, mlx5_0:PORT:GID (verbs)
  Quote them: & and ? mean something to shells. What a URI says and the pool contradicts is refused.

Examples:
  catena-pool create 'shm:demo?size=1GiB&keep=yes'   make a pool
  catena-pool info shm:demo                          how full it is, and who uses it
  catena-pool list shm:demo                          its indexes
  catena-pool check shm:demo                         is every index sound?
  catena-pool drop shm:demo --index old              one index less
  catena-pool drop shm:demo --all                    no pool any more
  catena-pool create --help                          more about a command

Exit status: 0 done, 1 it failed or a check found something, 2 wrong usage.
)"};

pool_help const create_help{
    .name = "create",
.description = "Makes a pool on memory nodes that hold none",
.footer = R"(
The memory must be zero, as it is in new shared memory, in a server that was just started, and
after drop --all. A pool that is there is left alone: then this ends with status 1.

Shared memory: keep=yes is needed, as the segment would be gone with this program otherwise.
(Engines that open shm:NAME?size=1GiB make the pool themselves, and the last one takes it away.)
The memory is reserved at once: df /dev/shm says how much there is.
Servers: they have the size, so a URI needs none. Their order is a part of the pool: every client
names all of them, in that order.

Examples:
  catena-pool create 'shm:demo?size=1GiB&nodes=2&keep=yes'
  catena-pool create 'verbs://10.0.0.1:7474,10.0.0.2:7474?secret=/etc/catena/secret&lease=2000'
)"};

pool_help const info_help{
.name = "info",
.description = "What a pool is, how full, and who uses it",
.footer = R"(
taken    what was handed out to clients in chunks since the pool was made. It never shrinks: what an
         index frees is used again by other clients.
members  clients that may write, one slot each. Who is at work, or idle (every engine that uses the
         catena client keeps its lease), renews its lease four times a lease. Who did not while this
         program watched is dead, suspended, or hangs. That needs no hand: its locks are taken over
         by whoever needs them, its slot by whoever joins when all are taken.
         Who only reads is no member and is not counted; neither is this program.

Examples:
  catena-pool info shm:demo
  catena-pool info shm:demo --watch 5000             watch the members for 5 seconds
  catena-pool info shm:demo --watch 0 --json - 2>/dev/null | jq .bytes_taken
)"};

pool_help const list_help{
.name = "list",
.description = "The indexes of a pool",
.footer = R"(
type    chime, learned, sherman: from keys to values. extents: chains of blocks stored in runs; what
        finds the runs is an index of its own in the catalog, NAME/heads.
key, value, node, layout   bytes of a key, of a value and of a node; the version of the format
state   "being dropped": somebody is at it, or died while he was; then drop it again

Examples:
  catena-pool list shm:demo
  catena-pool list shm:demo --json - 2>/dev/null | jq -r '.indexes[].name'
)"};

pool_help const check_help{
.name = "check",
.description = "Walks every index of a pool and verifies it",
.footer = R"(
Reads every node, so it takes a while where there is much: one round trip a node. It writes nothing.
Whoever writes to an index meanwhile can make a sound one look damaged: check again when it is quiet
(catena-pool info shows who is there).

An index that this program does not know is skipped, and the pool does not count as sound then: name
those that are to be checked with --index. It knows indexes of chains of blocks, of every type that
catena::client offers.

Exit status: 0 all is sound, 1 there is a violation, or an index was skipped.

Examples:
  catena-pool check shm:demo
  catena-pool check shm:demo --index prefix
  catena-pool check shm:demo --json - 2>/dev/null | jq '.indexes[] | select(.sound | not)'
)"};

pool_help const drop_help{
.name = "drop",
.description = "Drops an index, or removes the whole pool",
.footer = R"~(
--index NAME  takes the index off the catalog and frees its memory for others. Calls of clients that
        use it end with the error "dropped". One that was interrupted is gone on with by another.
--all   shuts every member out first, so that none of them writes any more, then makes all memory
        zero. Clients get the error "fenced" from their next write on. Who only reads is not told:
        end it before. Interrupted, it leaves a pool that nobody can open, and in place of which no
        other can be made, until drop --all ran again. A damaged pool can be removed as well.
        The shared memory segment or the servers stay, for another create.

It asks before it does it, on a terminal. Elsewhere say --yes, or it ends with status 2.

Examples:
  catena-pool drop shm:demo --index prefix
  catena-pool drop 'verbs://10.0.0.1,10.0.0.2?secret=/etc/catena/secret' --all --yes
)~"};

// clang-format on

} // namespace catena::tools
