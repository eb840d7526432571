// SPDX-License-Identifier: Apache-2.0
// Two processes over shared memory, one of which is killed at any moment: the other goes on with all that does not hang
// on the dead one's locks, gets errc::contended there within its patience, and finds whatever the dead one had reported.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/client.hpp>
#include <catena/core/hash.hpp>
#include <catena/fabric/shm_fabric.hpp>

#include "index/indexes.hpp"

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

using shm_client = basic_client<shm_fabric>;
constexpr std::uint64_t pool_bytes = 16U << 20U;

/// What a child reports while it lives; survives it.
struct shared_progress {
    std::atomic<std::uint64_t> ready{0};
    std::atomic<std::uint64_t> started{0};  ///< operations begun
    std::atomic<std::uint64_t> finished{0}; ///< operations acknowledged
};
class progress_page {
public:
    progress_page()
        : page_(new (::mmap(nullptr, sizeof(shared_progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                            0)) shared_progress) {}
    progress_page(progress_page const&) = delete;
    progress_page& operator=(progress_page const&) = delete;
    ~progress_page() { ::munmap(page_, sizeof(shared_progress)); }
    [[nodiscard]] shared_progress* operator->() const noexcept { return page_; }
    [[nodiscard]] shared_progress& operator*() const noexcept { return *page_; }

private:
    shared_progress* page_;
};

/// A process that runs `work` and ends with status 0, or 1 after an exception. Killed when the test ends.
class child_process {
public:
    explicit child_process(std::function<void()> const& work) : pid_(::fork()) {
        if (pid_ != 0) return;
        try {
            work();
        } catch (...) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    child_process(child_process const&) = delete;
    child_process& operator=(child_process const&) = delete;
    ~child_process() {
        if (pid_ > 0) kill();
    }

    void kill() {
        ::kill(pid_, SIGKILL);
        (void)wait();
    }
    /// Exit status; nothing if it was killed.
    std::optional<int> wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
    }

private:
    pid_t pid_;
};

[[nodiscard]] std::string shm_name(std::string const& purpose) {
    return "test-" + purpose + "-" + std::to_string(::getpid());
}

/// This process as a client of a shared pool.
template <typename Index>
struct shm_world {
    shm_world(std::string const& name, pool_options const& options, bool create)
        : fabric(ok(shm_fabric::open(name, {.node_bytes = create ? pool_bytes : 0, .nodes = 0}))),
          client(create ? shm_client::create(fabric, options) : shm_client::join(fabric, options)),
          tree(create ? ok(Index::create(client.s, "t", 1U << 20U)) : ok(Index::open(client.s, "t", 1U << 20U))),
          t(tree, client.s) {}

    shm_fabric fabric;
    shm_client client;
    Index tree;
    calls<Index, shm_client::session_type> t;
};

[[nodiscard]] constexpr std::uint64_t mine(std::uint64_t i) { return mix64(2 * i + 2); }
[[nodiscard]] constexpr std::uint64_t theirs(std::uint64_t i) { return mix64(2 * i + 3); }

} // namespace

TEMPLATE_TEST_CASE("two processes that insert at the same time see each other's keys", "[stress][processes]",
                   sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    auto const name = shm_name("two");
    auto const n = scaled(20'000);
    progress_page progress;
    shm_world<TestType> here(name, {}, true);
    child_process child([&] {
        shm_world<TestType> there(name, {}, false);
        progress->ready = 1;
        for (std::uint64_t i = 0; i < n; ++i) {
            expect(there.t.insert(theirs(i), i), "a new key was there");
            progress->finished = i + 1;
        }
        while (progress->ready == 1) std::this_thread::sleep_for(1ms);
        for (std::uint64_t i = 0; i < n; ++i) expect(there.t.find(mine(i)) == i, "the other process' key is missing");
        ok(sync_wait(there.client.s, release_all(there.client.s)));
    });
    while (progress->ready == 0) std::this_thread::sleep_for(1ms);
    for (std::uint64_t i = 0; i < n; ++i) {
        REQUIRE(here.t.insert(mine(i), i));
        auto const known = progress->finished.load();
        if (known > 0) REQUIRE(here.t.find(theirs(i % known)) == i % known);
    }
    progress->ready = 2;
    REQUIRE(child.wait() == 0);
    for (std::uint64_t i = 0; i < n; ++i) REQUIRE(here.t.find(theirs(i)) == i);
    REQUIRE(here.t.sound().entries == 2 * n);
}

TEMPLATE_TEST_CASE("a process that is killed in the middle of its writes takes nothing with it but the locks it held",
                   "[stress][processes]", sherman_8_8_small, chime_8_8_small, learned_8_8_small) {
    auto const seed = test_seed(13);
    random_source random(seed);
    std::size_t runs_with_contention = 0;
    for (std::size_t run = 0; run < (sanitized ? 8 : 25); ++run) {
        CAPTURE(seed, run);
        auto const name = shm_name("killed");
        constexpr std::uint64_t before = 500;
        constexpr pool_options options{.patience = 30ms};
        progress_page progress;
        shm_world<TestType> here(name, options, true);
        for (std::uint64_t i = 0; i < before; ++i) here.t.insert(mine(i), i);
        child_process child([&] {
            shm_world<TestType> there(name, {}, false);
            for (std::uint64_t i = 0;; ++i) { // grows, and its own early keys shrink again: splits and merges
                progress->started = i + 1;
                there.t.insert(theirs(i), i);
                progress->finished = i + 1;
                if (i % 2 == 0) there.t.upsert(theirs(i), i);
            }
        });
        while (progress->finished == 0) std::this_thread::sleep_for(100us);
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(3000)));
        child.kill();
        auto const acknowledged = progress->finished.load();
        auto const started = progress->started.load();
        std::size_t contended = 0;
        auto const begin = std::chrono::steady_clock::now();
        std::size_t calls_made = 0;
        auto const answer = [&](auto const& r) {
            ++calls_made;
            if (r) return true;
            REQUIRE(r.error().code == errc::contended);
            ++contended;
            return false;
        };
        auto& s = here.client.s;
        for (std::uint64_t i = 0; i < before; ++i) {
            auto const found = sync_wait(s, here.tree.find(s, mine(i)));
            if (answer(found)) REQUIRE(*found == i);
        }
        for (std::uint64_t i = 0; i < acknowledged && contended < 40; ++i) {
            auto const found = sync_wait(s, here.tree.find(s, theirs(i)));
            if (answer(found)) REQUIRE(*found == i);
        }
        if (started > acknowledged) {
            auto const found = sync_wait(s, here.tree.find(s, theirs(acknowledged)));
            if (answer(found)) REQUIRE((!*found || **found == acknowledged));
        }
        for (std::uint64_t i = 0; i < before && contended < 80; ++i) {
            auto const written = sync_wait(s, here.tree.upsert(s, mine(i), i + 7));
            if (!answer(written)) continue;
            auto const found = sync_wait(s, here.tree.find(s, mine(i)));
            if (answer(found)) REQUIRE(*found == i + 7);
        }
        std::vector<entry<std::uint64_t, std::uint64_t>> out(100);
        (void)answer(sync_wait(s, here.tree.scan(s, {.from = 0, .to = {}}, out)));
        // A third of what was asked for and more goes on; nobody waited longer than the patience allows.
        REQUIRE(contended < before);
        REQUIRE(std::chrono::steady_clock::now() - begin < 60s); // not a time to be met: a hang to be caught
        REQUIRE(calls_made > before);
        (void)sync_wait(s, here.tree.verify(s));
        runs_with_contention += contended > 0 ? 1 : 0;
    }
    std::cout << "killed writers that left a lock behind: " << runs_with_contention << '\n';
}

TEST_CASE("a pool whose creator was killed is used, or refused with what to do about it", "[stress][processes]") {
    auto const seed = test_seed(14);
    random_source random(seed);
    client_options options;
    options.patience = 200ms;
    std::size_t used = 0;
    for (std::size_t run = 0; run < (sanitized ? 6 : 20); ++run) {
        CAPTURE(seed, run);
        auto const name = shm_name("creator");
        std::string const path = "/dev/shm/catena." + name;
        progress_page progress;
        child_process child([&] {
            progress->ready = 1;
            auto const c = client::open("shm:" + name + "?size=2MiB");
            if (!c) ::_exit(1);
            for (;;) ::pause();
        });
        while (progress->ready == 0) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(4000)));
        bool const attached = random.one_in(2);
        std::optional<setup_result<client>> early;
        if (attached) early.emplace(client::open("shm:" + name + "?size=2MiB", options)); // while it is at it
        child.kill();
        auto const late = client::open("shm:" + name + "?size=2MiB", options);
        for (auto const* const opened : {early ? &std::as_const(*early) : nullptr, &late}) {
            if (opened == nullptr) continue;
            if (*opened) {
                block_hash const block{.high = 1, .low = run};
                location where(1, run);
                (void)ok((*opened)->publish(std::span(&block, 1), std::span(&where, 1)));
                REQUIRE(ok((*opened)->contains(std::span(&block, 1))));
                ++used;
            } else {
                CAPTURE(opened->error().message);
                auto const code = opened->error().code;
                REQUIRE((code == errc::already_exists || code == errc::bad_format || code == errc::timed_out ||
                         code == errc::contended));
                if (code == errc::already_exists) REQUIRE_THAT(opened->error().message, has_text("rm " + path));
            }
        }
        ::unlink(path.c_str());
    }
    REQUIRE(used > 0);
}
