// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <catena/fabric/any_fabric.hpp>
#include <catena/fabric/local_fabric.hpp>
#include <catena/pool/memory_pool.hpp>

#include <support/catch.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace catena::test;

namespace {

/// A driver that ends nothing before it is polled, as one over a network does.
class slow_driver final : public channel_driver {
public:
    explicit slow_driver(immediate_channel c) : inner_(std::move(c)) {}
    void submit(flight& f) noexcept override { under_way_.push_back(&f); }
    void fence(flight& f, client_id whom) noexcept override { f.end(inner_.fence(whom).await_resume()); }
    void pause(flight& f, std::chrono::nanoseconds) noexcept override { under_way_.push_back(&f); }
    void poll() noexcept override {
        auto const now = std::exchange(under_way_, {});
        for (auto* f : now) {
            f->end(f->ops.empty() ? result<void>{} : inner_.submit(f->ops).await_resume());
            f->waiting.resume();
        }
    }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept override { return inner_.now(); }
    [[nodiscard]] fabric_stats& stats() noexcept override { return inner_.stats(); }
    [[nodiscard]] std::pmr::memory_resource* memory() noexcept override { return &buffers_; }

    std::pmr::monotonic_buffer_resource buffers_;

private:
    immediate_channel inner_;
    std::vector<flight*> under_way_;
};

[[gnu::noinline]] task<result<void>> add_twice(any_channel& c, word& seen) {
    for (int i = 0; i < 2; ++i) {
        op add = op::faa({0, 64}, 3);
        if (auto const r = co_await c.submit(batch(&add, 1)); !r) co_return r.error();
        seen = add.fetched;
        if (auto const r = co_await c.pause(std::chrono::microseconds(1)); !r) co_return r.error();
    }
    co_return result<void>{};
}

} // namespace

TEST_CASE("an any_fabric is the fabric that it holds", "[fabric]") {
    any_fabric f(ok(local_fabric::create(8U << 20U, 2)));
    REQUIRE(f.kind() == "local");
    REQUIRE(f.node_count() == 2);
    REQUIRE(f.node_bytes() == 8U << 20U);
    auto c = ok(f.connect(client_id{7}));
    word seen = 0;
    auto work = add_twice(c, seen);
    work.start();
    REQUIRE(work.done()); // nothing suspends on local memory
    ok(work.take());
    REQUIRE(seen == 3);
    REQUIRE(c.stats().round_trips == 2);
    REQUIRE(c.stats().faa == 2);
    op outside = op::faa({2, 0}, 1);
    auto refused = [](any_channel& on, op& o) -> task<result<void>> {
        co_return co_await on.submit(batch(&o, 1));
    }(c, outside);
    refused.start();
    auto const r = refused.take();
    REQUIRE((!r && r.error() == make_error(errc::invalid_argument, 2)));
}

TEST_CASE("what does not end at once suspends until it is polled, and takes buffers from its channel", "[fabric]") {
    auto local = ok(local_fabric::create(8U << 20U));
    auto driver = std::make_unique<slow_driver>(ok(local.connect()));
    auto* const buffers = &driver->buffers_;
    any_channel c(std::move(driver));
    word seen = 0;
    auto work = add_twice(c, seen);
    work.start();
    int polls = 0;
    for (; !work.done(); ++polls) c.poll();
    REQUIRE(polls == 4);
    ok(work.take());
    REQUIRE(seen == 3);
    REQUIRE(c.memory() == buffers);

    pool_state state;
    state.geometry.node_count = 1;
    session<any_channel> s(std::move(c), state);
    REQUIRE(s.scratches().memory() == buffers);
}

TEST_CASE("a pool works over an any_fabric as over what it holds", "[fabric]") {
    any_fabric f(ok(local_fabric::create(8U << 20U)));
    auto first = basic_client<any_fabric>::create(f);
    auto second = basic_client<any_fabric>::join(f);
    auto const gone = sync_wait(second.s, is_gone(second.s, member_name::of_tag(first.pool.self().tag())));
    REQUIRE_FALSE(ok(gone));
    pool_options reading;
    reading.read_only = true;
    auto reader = basic_client<any_fabric>::join(f, reading);
    auto const kept = sync_wait(reader.s, keep_lease(reader.s));
    REQUIRE((!kept && kept.error().code == errc::read_only));
}
