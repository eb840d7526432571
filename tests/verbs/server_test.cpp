// SPDX-License-Identifier: Apache-2.0
// Who may connect, what read-only clients may do, who is shut out, what happens when a memory node ends: on real queue pairs.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <infiniband/verbs.h>

#include <support/catch.hpp>

#include <tools/run_program.hpp>

#include "fabric/verbs/connection_manager.hpp"
#include "fabric/verbs/device.hpp"
#include "fabric/verbs/secret.hpp"
#include "verbs/rdma.hpp"

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t node_bytes = 2U << 20U;

[[nodiscard]] std::string secret_file(scratch_folder const& folder, std::string const& name, std::string const& text) {
    auto path = folder.file(name, text);
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    return path;
}
[[nodiscard]] verbs::deadline soon() { return std::chrono::steady_clock::now() + 5s; }

/// What a server says to a request that our client would not make.
[[nodiscard]] verbs::answer answer_to(memory_node_here const& node, verbs::request const& r) {
    auto const at = ok(verbs::resolve_name(node.name()));
    auto link = ok(verbs::cm_link::to(at, nullptr, node.name(), soon()));
    auto const reply = ok(link.ask(r, soon()));
    REQUIRE_FALSE(reply.accepted);
    return reply.said;
}
/// A client that does what it wants with its queue pair, and hears no goodbye.
class disobedient_client {
public:
    disobedient_client(memory_node_here const& node, verbs::request r)
        : link_(ok(verbs::cm_link::to(ok(verbs::resolve_name(node.name())), nullptr, node.name(), soon()))) {
        auto* const device = ok(devices_.of(link_.id().verbs));
        done_.reset(ibv_create_cq(device->context, 8, nullptr, nullptr, 0));
        ibv_qp_init_attr wanted{};
        wanted.send_cq = wanted.recv_cq = done_.get();
        wanted.qp_type = IBV_QPT_RC;
        wanted.cap = {.max_send_wr = 8, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 64};
        REQUIRE(rdma_create_qp(&link_.id(), device->domain.get(), &wanted) == 0);
        r.what = verbs::purpose::connect;
        auto const reply = ok(link_.ask(r, soon()));
        REQUIRE(reply.accepted);
        said = reply.said;
    }
    disobedient_client(disobedient_client const&) = delete;
    disobedient_client& operator=(disobedient_client const&) = delete;
    ~disobedient_client() {
        rdma_disconnect(&link_.id());
        rdma_destroy_qp(&link_.id());
    }
    /// What became of a WRITE there.
    [[nodiscard]] ibv_wc_status write(std::uint64_t at, word value, std::uint32_t key) {
        ibv_sge what{.addr = reinterpret_cast<std::uintptr_t>(&value), .length = sizeof value, .lkey = 0};
        ibv_send_wr one{};
        one.sg_list = &what;
        one.num_sge = 1;
        one.opcode = IBV_WR_RDMA_WRITE;
        one.send_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE;
        one.wr.rdma.remote_addr = said.region_address + at;
        one.wr.rdma.rkey = key;
        ibv_send_wr* refused = nullptr;
        REQUIRE(ibv_post_send(link_.id().qp, &one, &refused) == 0);
        ibv_wc completion{};
        auto const until = soon();
        int done = 0;
        while (done == 0 && std::chrono::steady_clock::now() < until) done = ibv_poll_cq(done_.get(), 1, &completion);
        REQUIRE(done == 1);
        return completion.status;
    }
    verbs::answer said;

private:
    verbs::device_table devices_;
    verbs::completion_queue done_;
    verbs::cm_link link_;
};
[[nodiscard]] result<void> add(any_channel& c, remote_ptr at = {0, 0}) {
    op one = op::faa(at, 1);
    return run(c, one);
}
[[nodiscard]] word word_at(memory_node_here const& node, std::size_t at) {
    word w = 0;
    std::memcpy(&w, node.raw() + at, sizeof w);
    return w;
}
[[nodiscard, gnu::noinline]] task<result<void>> add_until_refused(any_channel& c, std::uint64_t& done) {
    for (;;) {
        op one = op::faa({0, 0}, 1);
        if (auto const r = co_await c.submit(batch(&one, 1)); !r) co_return r.error();
        ++done;
    }
}

} // namespace

TEST_CASE("only who knows the secret may connect", "[verbs]") {
    scratch_folder const folder;
    auto const right = secret_file(folder, "right", "a secret of many words");
    auto const wrong = secret_file(folder, "wrong", "another one of many words");
    cluster_here const cluster(node_bytes, 2, {.secret_file = right});
    auto const without = cluster.try_open();
    REQUIRE((!without && without.error().code == errc::invalid_argument));
    REQUIRE_THAT(without.error().message, has_text("asks for a secret"));
    auto const with_wrong = cluster.try_open({.secret_file = wrong});
    REQUIRE((!with_wrong && with_wrong.error().code == errc::invalid_argument));
    REQUIRE_THAT(with_wrong.error().message, has_text(wrong));
    auto fabric = cluster.open({.secret_file = right});
    auto c = ok(fabric.connect(client_id{5}));
    ok(add(c));
    REQUIRE(cluster.node().counters().refused_secret == 2);
    // A request that somebody overheard and repeats with another subject, or to fence somebody, proves nothing.
    auto const said = answer_to(cluster.node(), {.what = verbs::purpose::fence, .client = 6, .subject = 5});
    REQUIRE(said.what == verbs::verdict::stale_challenge);
    REQUIRE(answer_to(cluster.node(),
                      {.what = verbs::purpose::fence, .client = 6, .subject = 5, .challenge = said.challenge})
                .what == verbs::verdict::wrong_secret);
    ok(add(c));
}

TEST_CASE("a stranger learns nothing of the region, not even by repeating what he overheard", "[verbs]") {
    scratch_folder const folder;
    auto const file = secret_file(folder, "secret", "a secret of many words");
    cluster_here const cluster(node_bytes, 1, {.secret_file = file});
    auto const tells_nothing = [](verbs::answer const& a) {
        return a.run == 0 && a.region_bytes == 0 && a.region_address == 0 && a.region_key == 0 &&
               a.most_connections == 0 && a.pool_uuid_high == 0 && a.pool_uuid_low == 0 && a.incarnation == 0;
    };
    verbs::request hello{.what = verbs::purpose::hello, .subject = 77};
    auto const stale = answer_to(cluster.node(), hello);
    REQUIRE((stale.what == verbs::verdict::stale_challenge && stale.wants_secret == 1 && tells_nothing(stale)));
    hello.challenge = stale.challenge;
    auto const wrong = answer_to(cluster.node(), hello);
    REQUIRE((wrong.what == verbs::verdict::wrong_secret && tells_nothing(wrong)));
    auto const newer = answer_to(cluster.node(), {.version = verbs::handshake_version + 1});
    REQUIRE((newer.what == verbs::verdict::wrong_version && tells_nothing(newer)));

    hello.proof = ok(verbs::secret::from_file(file)).proof_of(hello);
    auto const known = answer_to(cluster.node(), hello);
    REQUIRE((known.what == verbs::verdict::ok && known.region_bytes == node_bytes && known.run != 0));
    REQUIRE((known.region_address == 0 && known.region_key == 0)); // who only asks needs none
    auto const repeated = answer_to(cluster.node(), hello);
    REQUIRE((repeated.what == verbs::verdict::stale_challenge && tells_nothing(repeated)));
}

TEST_CASE("who knows the secret of readers alone may read", "[verbs]") {
    scratch_folder const folder;
    auto const writers = secret_file(folder, "writers", "a secret of many words");
    auto const readers = secret_file(folder, "readers", "another one of many words");
    cluster_here const cluster(node_bytes, 1, {.secret_file = writers, .readers_secret_file = readers});
    auto const refused = cluster.try_open({.secret_file = readers});
    REQUIRE((!refused && refused.error().code == errc::invalid_argument));
    REQUIRE_THAT(refused.error().message, has_text("access=read"));
    auto w = ok(cluster.open({.secret_file = writers}).connect(client_id{1}));
    ok(add(w));
    for (auto const& file : {readers, writers}) {
        auto r = ok(cluster.open({.secret_file = file, .read_only = true}).connect(client_id{2}));
        word seen = 0;
        op read = op::read({0, 0}, &seen, sizeof seen);
        ok(run(r, read));
        REQUIRE(seen == 1);
    }
    REQUIRE(cluster.node().counters().accepted == 3);
    // Nor may they shut anybody out, whatever right they ask for.
    auto const challenge = answer_to(cluster.node(), {.what = verbs::purpose::hello}).challenge;
    auto const key = ok(verbs::secret::from_file(readers));
    for (auto const access : {verbs::access_rights::write, verbs::access_rights::read}) {
        verbs::request fence{
            .what = verbs::purpose::fence, .access = access, .client = 2, .subject = 1, .challenge = challenge};
        fence.proof = key.proof_of(fence);
        auto const said = answer_to(cluster.node(), fence).what;
        REQUIRE((said == verbs::verdict::wrong_secret || said == verbs::verdict::malformed));
    }
    ok(add(w));
}

TEST_CASE("many clients of one host may open a pool and shut others out at the same time", "[verbs]") {
    cluster_here const cluster(node_bytes, 2);
    run_threads(8, [&](std::size_t i) {
        for (std::uint64_t n = 0; n < 4; ++n) {
            auto fabric = ok(cluster.try_open({.patience = 10s}));
            auto c = ok(fabric.connect(client_id{1 + i}));
            std::vector<task<result<void>>> fences;
            fences.push_back([&](client_id whom) -> task<result<void>> {
                co_return co_await c.fence(whom);
            }(client_id{1000 + 10 * i + n}));
            drive(c, fences);
            ok(fences.front().take());
        }
    });
    REQUIRE(cluster.node(1).counters().fences == 8 * 4);
}

TEST_CASE("requests of another version, or that make no sense, are refused with an answer", "[verbs]") {
    cluster_here const cluster(node_bytes);
    auto const& node = cluster.node();
    auto const newer = answer_to(node, {.version = verbs::handshake_version + 1, .what = verbs::purpose::hello});
    REQUIRE(newer.what == verbs::verdict::wrong_version);
    REQUIRE(newer.version == verbs::handshake_version);
    REQUIRE(answer_to(node, {.what = static_cast<verbs::purpose>(77)}).what == verbs::verdict::malformed);
    REQUIRE(answer_to(node, {.what = verbs::purpose::fence, .client = 1}).what == verbs::verdict::malformed);
    auto const hello = answer_to(node, {.what = verbs::purpose::hello});
    REQUIRE(hello.what == verbs::verdict::ok);
    REQUIRE(hello.region_bytes == node_bytes);
    REQUIRE(hello.region_key == 0);
    auto const fabric = cluster.open();
    REQUIRE_FALSE(fabric.formatted());
    REQUIRE(node.counters().refused_version == 1);
    REQUIRE(node.counters().refused_other == 2);
}

TEST_CASE("a server has room for so many connections, and for another one when one ended", "[verbs]") {
    cluster_here const cluster(node_bytes, 1, {.most_connections = 2});
    auto fabric = cluster.open();
    auto first = std::make_unique<any_channel>(ok(fabric.connect()));
    auto second = ok(fabric.connect());
    auto const third = fabric.connect();
    REQUIRE((!third && third.error().code == errc::full));
    REQUIRE_THAT(third.error().message, has_text("2 connections"));
    ok(add(*first));
    ok(add(second));
    first.reset();
    for (auto const until = soon(); std::chrono::steady_clock::now() < until;) {
        if (auto again = fabric.connect()) return ok(add(*again));
        std::this_thread::sleep_for(10ms);
    }
    FAIL("the connection that ended keeps its place");
}

TEST_CASE("memory nodes of different sizes are no pool", "[verbs]") {
    memory_node_here const small(node_bytes, 0);
    memory_node_here const large(2 * node_bytes, 1);
    std::array const names{small.name(), large.name()};
    auto const opened = verbs_fabric::open(names);
    REQUIRE((!opened && opened.error().code == errc::bad_format));
    REQUIRE_THAT(opened.error().message, has_text("4194304"));
    any_fabric too_small(ok(verbs_fabric::open(std::span(names).first(1))));
    REQUIRE(too_small.node_bytes() == node_bytes);
}

TEST_CASE("nobody listens, or no host: an error with the step that failed, and no hang", "[verbs]") {
    auto const begin = std::chrono::steady_clock::now();
    std::array const nobody{rdma_address(0) + ":19999"};
    auto const opened = verbs_fabric::open(nobody, {.patience = 1000ms});
    REQUIRE((!opened && opened.error().code == errc::unreachable));
    REQUIRE_THAT(opened.error().message, has_text("no server listens there"));
    std::array const no_host{std::string("10.77.0.99:7474")};
    auto const lost = verbs_fabric::open(no_host, {.patience = 1000ms});
    REQUIRE((!lost && (lost.error().code == errc::unreachable || lost.error().code == errc::timed_out)));
    REQUIRE_THAT(lost.error().message, has_text("no such host, or no RDMA device leads there"));
    std::array const no_device{std::string("127.0.0.1:7474")};
    REQUIRE_FALSE(verbs_fabric::open(no_device, {.patience = 1000ms}));
    std::array const syntax{std::string("host:port")};
    REQUIRE(verbs_fabric::open(syntax).error().code == errc::invalid_argument);
    REQUIRE(verbs_fabric::open({}).error().code == errc::invalid_argument);
    REQUIRE(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("connections leave by the device that was named", "[verbs]") {
    cluster_here const cluster(node_bytes, 2);
    REQUIRE_FALSE(verbs::device_names().empty());
    auto const unknown = cluster.try_open({.device = "mlx9_9"});
    REQUIRE((!unknown && unknown.error().code == errc::invalid_argument));
    REQUIRE_THAT(unknown.error().message, has_text(verbs::device_names()));
    REQUIRE(cluster.try_open({.device = "rxe1:x"}).error().code == errc::invalid_argument);
    REQUIRE(cluster.try_open({.device = "rxe1:9"}).error().code == errc::invalid_argument);
    for (auto const* const device :
         {"rxe1", "rxe2:1", "rxe1:1:1"}) { // each reaches the other one's memory node, over the wire
        CAPTURE(device);
        auto fabric = cluster.open({.device = device});
        auto c = ok(fabric.connect());
        ok(add(c, {0, 0}));
        ok(add(c, {1, 0}));
    }
    REQUIRE(word_at(cluster.node(0), 0) == 3);
    REQUIRE(word_at(cluster.node(1), 0) == 3);
}

TEST_CASE("who may only read has a key and a queue pair that admit nothing else", "[verbs]") {
    cluster_here const cluster(node_bytes);
    auto writers = cluster.open();
    auto writer = ok(writers.connect(client_id{1}));
    ok(add(writer, {0, 8}));
    auto readers = cluster.open({.read_only = true});
    auto reader = ok(readers.connect(client_id{2}));
    word seen = 0;
    op read = op::read({0, 8}, &seen, sizeof seen);
    ok(run(reader, read));
    REQUIRE(seen == 1);
    auto const refused = add(reader, {0, 8});
    REQUIRE((!refused && refused.error().code == errc::read_only));
    ok(run(reader, read)); // it goes on reading
    REQUIRE(cluster.node().counters().read_only == 1);

    // Who does not hold to that, and posts a WRITE all the same, is stopped by the memory node's NIC.
    for (bool const knows_the_other_key : {false, true}) {
        disobedient_client one(cluster.node(), {.access = verbs::access_rights::read, .client = 3});
        auto key = one.said.region_key;
        if (knows_the_other_key) { // overheard, or guessed
            key = disobedient_client(cluster.node(), {.client = 4}).said.region_key;
            REQUIRE(key != one.said.region_key);
        }
        auto const status = one.write(8, 666, key);
        CAPTURE(knows_the_other_key, ibv_wc_status_str(status));
        REQUIRE(status != IBV_WC_SUCCESS);
        REQUIRE(word_at(cluster.node(), 8) == 1);
    }
    ok(add(writer, {0, 8}));
}

TEST_CASE("after a fence nothing of the client lands any more, on no channel, nor on new ones", "[verbs]") {
    cluster_here const cluster(node_bytes, 2);
    auto theirs = cluster.open();
    auto ours = cluster.open();
    client_id const victim{100}, other{101};
    auto mine = ok(ours.connect(other));
    std::uint64_t done = 0;
    std::atomic<bool> busy{false};
    result<void> how_it_ended;
    std::thread thread([&] {
        auto c = ok(theirs.connect(victim));
        auto const idle = ok(theirs.connect(victim)); // a second channel, which does nothing
        std::vector<task<result<void>>> all;
        for (int i = 0; i < 6; ++i) all.push_back(add_until_refused(c, done));
        for (auto& t : all) t.start();
        for (bool more = true; more; busy = done > 50) {
            c.poll();
            more = false;
            for (auto& t : all) more |= !t.done();
        }
        for (auto const& t : all) how_it_ended = t.take();
        auto const again = add(c);
        REQUIRE((!again && again.error().code == errc::fenced));
    });
    disobedient_client third(cluster.node(), {.client = 100});
    REQUIRE(third.write(8, 1, third.said.region_key) == IBV_WC_SUCCESS);
    while (!busy) std::this_thread::yield();
    std::vector<task<result<void>>> fences;
    auto const fence = [&](any_channel& by, client_id whom) -> task<result<void>> {
        co_return co_await by.fence(whom);
    };
    fences.push_back(fence(mine, victim));
    drive(mine, fences);
    ok(fences.front().take());
    auto const then = word_at(cluster.node(), 0);
    std::this_thread::sleep_for(200ms);
    REQUIRE(word_at(cluster.node(), 0) == then);
    thread.join();
    REQUIRE(third.write(8, 2, third.said.region_key) != IBV_WC_SUCCESS);
    REQUIRE(word_at(cluster.node(), 8) == 1);
    REQUIRE((!how_it_ended && how_it_ended.error().code == errc::fenced));
    REQUIRE(word_at(cluster.node(), 0) == then);
    REQUIRE(then >= done); // of those that ended with an error some took effect, none that succeeded was lost
    auto const back = theirs.connect(victim);
    REQUIRE((!back && back.error().code == errc::fenced));
    ok(add(mine));

    fences.clear();
    fences.push_back(fence(mine, victim)); // once more: the same
    fences.push_back(fence(mine, anonymous_client));
    drive(mine, fences);
    ok(fences[0].take());
    REQUIRE(fences[1].take().error().code == errc::invalid_argument);
    for (std::size_t n = 0; n < 2; ++n) {
        REQUIRE(cluster.node(n).counters().fences == 2);
        REQUIRE(cluster.node(n).counters().queue_pairs_torn_down == (n == 0 ? 3 : 2));
        REQUIRE(cluster.node(n).counters().connections == 1); // mine
    }
    // Who was shut out shuts nobody out.
    REQUIRE(answer_to(cluster.node(), {.what = verbs::purpose::fence, .client = 100, .subject = 101}).what ==
            verbs::verdict::fenced);
    ok(add(mine));
}

TEST_CASE("a memory node that ends and comes back: errors, no hang, and a new start for who opens again", "[verbs]") {
    cluster_here const cluster(node_bytes, 2);
    auto fabric = cluster.open({.patience = 1500ms});
    auto busy = ok(fabric.connect(client_id{1}));
    auto idle = ok(fabric.connect(client_id{1}));
    ok(add(busy, {1, 0}));
    cluster.node(1).stop();
    auto const begin = std::chrono::steady_clock::now();
    auto r = add(busy, {1, 0});
    REQUIRE((!r && r.error().code == errc::unreachable && r.error().node == 1));
    ok(add(busy, {0, 0})); // the other one goes on
    for (int i = 0; i < 20; ++i) REQUIRE(add(busy, {1, 0}).error().code == errc::unreachable);
    REQUIRE(std::chrono::steady_clock::now() - begin < 10s);
    cluster.node(1).start(); // another run, with the memory as it was
    for (auto const until = soon(); r.error().code != errc::restarted && std::chrono::steady_clock::now() < until;
         r = add(busy, {1, 0}))
        std::this_thread::sleep_for(20ms);
    REQUIRE(r.error().code == errc::restarted);
    r = add(idle, {1, 0}); // it was idle all the time
    REQUIRE((!r && r.error().code == errc::restarted));
    auto const more = fabric.connect(client_id{1});
    REQUIRE((!more && more.error().code == errc::restarted));
    auto again = cluster.open();
    auto c = ok(again.connect(client_id{2}));
    ok(add(c, {1, 0}));
    REQUIRE(word_at(cluster.node(1), 0) == 2);
}
