// SPDX-License-Identifier: Apache-2.0
// Several processes on one segment. Children do their work right after fork(), before this process has any thread, and
// leave with _exit; what they think of it is their exit status.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <csignal>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catena/fabric/shm_fabric.hpp>

#include <fabric/processes.hpp>
#include <support/catch.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::child_process;
using test::has_text;
using test::ok;
using test::segment_name;

namespace {

constexpr std::uint64_t size = 64 * 1024;

shm_options sized(std::uint64_t node_bytes, std::uint16_t nodes = 0, bool keep = false) {
    return {.node_bytes = node_bytes, .nodes = nodes, .keep = keep, .patience = 2000ms};
}

setup_error refusal(std::string_view name, shm_options const& o) {
    auto const r = shm_fabric::open(name, o);
    test::expect(!r, "should have been refused");
    return r.error();
}

word add(shm_fabric& f, remote_ptr at, word what) {
    auto c = ok(f.connect());
    op one = op::faa(at, what);
    ok(c.submit(batch(&one, 1)).await_resume());
    return one.fetched;
}

} // namespace

TEST_CASE("the first process creates the segment, a second one joins it and both see the same words") {
    segment_name const name;
    child_process child([&](auto meet) {
        meet();
        auto f = ok(shm_fabric::open(name, sized(0)));
        test::expect(!f.created(), "must have joined");
        test::expect(f.node_count() == 3 && f.node_bytes() == size, "geometry");
        test::expect(add(f, {2, 8}, 5) == 37, "the parent's word");
        meet();
    });
    auto f = ok(shm_fabric::open(name, sized(size, 3)));
    REQUIRE(f.created());
    REQUIRE(f.node_count() == 3);
    REQUIRE(f.node_bytes() == size);
    REQUIRE(add(f, {2, 8}, 37) == 0); // the memory was zero
    child.arrived();
    child.go_on();
    child.arrived();
    REQUIRE(add(f, {2, 8}, 0) == 42);
    child.go_on();
    REQUIRE(child.join() == 0);
}

TEST_CASE("the last process out removes the segment, whoever created it") {
    segment_name const name;
    child_process child([&](auto meet) {
        auto f = ok(shm_fabric::open(name, sized(size)));
        test::expect(f.created(), "must have created");
        meet();
    });
    child.arrived();
    {
        auto f = ok(shm_fabric::open(name, sized(0)));
        REQUIRE_FALSE(f.created());
        REQUIRE(add(f, {0, 0}, 1) == 0);
        child.go_on();
        REQUIRE(child.join() == 0); // _exit runs no destructor of ours, but the one at the end of its work did run
        REQUIRE(name.exists());     // we are still here
        REQUIRE(add(f, {0, 0}, 1) == 1);
    }
    REQUIRE_FALSE(name.exists());
}

TEST_CASE("many processes that open at once agree on one creator and leave nothing behind") {
    segment_name const name;
    for (int round = 0; round < 5; ++round) {
        std::vector<std::unique_ptr<child_process>> children;
        for (int i = 0; i < 6; ++i)
            children.push_back(std::make_unique<child_process>([&](auto meet) {
                meet();
                auto f = ok(shm_fabric::open(name, sized(size, 2)));
                if (f.created()) (void)add(f, {0, 8}, 1);
                (void)add(f, {1, 0}, 1);
                meet();
                if (add(f, {1, 0}, 0) != 6 || add(f, {0, 8}, 0) != 1) ::_exit(2);
            }));
        for (auto& c : children) c->arrived();
        for (auto& c : children) c->go_on();
        for (auto& c : children) c->arrived();
        for (auto& c : children) c->go_on();
        for (auto& c : children) REQUIRE(c->join() == 0);
        REQUIRE_FALSE(name.exists());
    }
}

TEST_CASE("a segment whose only process was killed is refused, with a message that says what to do") {
    segment_name const name;
    {
        child_process child([&](auto meet) {
            auto f = ok(shm_fabric::open(name, sized(size)));
            meet();
        });
        child.arrived();
        child.kill();
    }
    REQUIRE(name.exists());
    auto const e = refusal(name, sized(size));
    REQUIRE(e.code == errc::already_exists);
    REQUIRE_THAT(e.message, has_text("stale"));
    REQUIRE_THAT(e.message, has_text("rm " + name.path()));
    REQUIRE(refusal(name, sized(0)).code == errc::already_exists);
    REQUIRE(name.exists());                      // refusing removes nothing
    REQUIRE(::unlink(name.path().c_str()) == 0); // as the message says
    auto const f = ok(shm_fabric::open(name, sized(size)));
    REQUIRE(f.created());
}

TEST_CASE("a killed process does not take the segment from those who live") {
    segment_name const name;
    auto f = ok(shm_fabric::open(name, sized(size)));
    {
        child_process child([&](auto meet) {
            auto joined = ok(shm_fabric::open(name, sized(0)));
            meet();
        });
        child.arrived();
        child.kill();
    }
    REQUIRE(add(f, {0, 0}, 1) == 0);
    auto const again = ok(shm_fabric::open(name, sized(0)));
    REQUIRE_FALSE(again.created());
}

TEST_CASE("a segment that is to be kept survives its processes, with its contents, even a killed one") {
    segment_name const name;
    {
        auto f = ok(shm_fabric::open(name, sized(size, 1, true)));
        (void)add(f, {0, 16}, 7);
    }
    REQUIRE(name.exists());
    {
        child_process child([&](auto meet) {
            auto f = ok(shm_fabric::open(name, sized(0)));
            test::expect(!f.created() && add(f, {0, 16}, 1) == 7, "contents");
            meet();
        });
        child.arrived();
        child.kill();
    }
    REQUIRE(name.exists());
    auto f = ok(shm_fabric::open(name, sized(size)));
    REQUIRE_FALSE(f.created());
    REQUIRE(add(f, {0, 16}, 0) == 8);
}

TEST_CASE("joining with another size or number of memory nodes is refused and names the field") {
    segment_name const name;
    auto const f = ok(shm_fabric::open(name, sized(size, 2)));
    auto const by_size = refusal(name, sized(2 * size));
    REQUIRE(by_size.code == errc::bad_format);
    REQUIRE_THAT(by_size.message, has_text("size is 65536, expected 131072"));
    auto const by_nodes = refusal(name, sized(size, 3));
    REQUIRE(by_nodes.code == errc::bad_format);
    REQUIRE_THAT(by_nodes.message, has_text("nodes is 2, expected 3"));
    REQUIRE(ok(shm_fabric::open(name, sized(size, 2))).node_count() == 2);
    REQUIRE(ok(shm_fabric::open(name, sized(size))).node_count() == 2); // nodes not given: any
    REQUIRE(ok(shm_fabric::open(name, sized(0, 2))).node_bytes() == size);
}

TEST_CASE("there is nothing to join and no size to create it with") {
    segment_name const name;
    auto const e = refusal(name, sized(0));
    REQUIRE(e.code == errc::not_found);
    REQUIRE_THAT(e.message, has_text(name.path()));
    REQUIRE_THAT(e.message, has_text("size"));
    REQUIRE_FALSE(name.exists());
}

TEST_CASE("names and sizes outside their range are refused before anything is made") {
    for (std::string const& name :
         {std::string(), std::string("a/b"), std::string("/"), std::string(201, 'n'), std::string("a\0b", 3)}) {
        CAPTURE(name);
        auto const e = refusal(name, sized(size));
        REQUIRE(e.code == errc::invalid_argument);
        REQUIRE_THAT(e.message, has_text("name"));
    }
    segment_name const name;
    REQUIRE(refusal(name, sized(size, 65)).code == errc::invalid_argument);
    REQUIRE_THAT(refusal(name, sized(size, 65)).message, has_text("not 65"));
    REQUIRE(refusal(name, sized(remote_ptr::max_offset + 1)).code == errc::invalid_argument);
    REQUIRE_FALSE(name.exists());
}

TEST_CASE("a name of 200 characters works") {
    segment_name const base;
    std::string const prefix(std::string_view{base});
    std::string const name = prefix + std::string(200 - prefix.size(), 'n');
    {
        auto const f = ok(shm_fabric::open(name, sized(size)));
        REQUIRE(f.created());
    }
    REQUIRE(::access(("/dev/shm/catena." + name).c_str(), F_OK) != 0);
}

TEST_CASE("more memory than there is is refused and leaves no segment behind") {
    segment_name const name;
    auto const e = refusal(name, sized(std::uint64_t{1} << 45U));
    REQUIRE(e.code == errc::out_of_memory);
    REQUIRE_THAT(e.message, has_text("df /dev/shm"));
    REQUIRE_FALSE(name.exists());
}

TEST_CASE("a foreign file is never taken for a segment, nor removed") {
    segment_name const name;
    auto const fill = [&](std::string const& contents) { std::ofstream(name.path(), std::ios::binary) << contents; };
    SECTION("of another format") {
        fill(std::string(3 * 4096, 'x'));
        auto const e = refusal(name, sized(size));
        REQUIRE(e.code == errc::bad_format);
        REQUIRE_THAT(e.message, has_text("not a catena segment"));
    }
    SECTION("too short to be one") {
        fill("short");
        REQUIRE(refusal(name, sized(size)).code == errc::already_exists);
    }
    SECTION("empty, as a creator leaves it that died at once") {
        fill("");
        REQUIRE(refusal(name, sized(size)).code == errc::already_exists);
    }
    SECTION("a segment that was cut off") {
        { auto const f = ok(shm_fabric::open(name, sized(size, 1, true))); }
        REQUIRE(::truncate(name.path().c_str(), 8192) == 0);
        auto const e = refusal(name, sized(0));
        REQUIRE(e.code == errc::bad_format);
        REQUIRE_THAT(e.message, has_text("length is 8192"));
    }
    SECTION("a segment whose header is damaged") {
        { auto const f = ok(shm_fabric::open(name, sized(size, 1, true))); }
        int const field = GENERATE(1, 2, 3); // nodes, node_bytes, stride
        CAPTURE(field);
        std::fstream file(name.path(), std::ios::binary | std::ios::in | std::ios::out);
        word const wrong = std::uint64_t{1} << 60U;
        file.seekp(field * 8).write(reinterpret_cast<char const*>(&wrong), sizeof wrong);
        file.close();
        REQUIRE(refusal(name, sized(0)).code == errc::bad_format);
    }
    REQUIRE(name.exists());
}

TEST_CASE("a shm fabric can be moved; only the last owner leaves") {
    segment_name const name;
    {
        auto first = ok(shm_fabric::open(name, sized(size)));
        {
            auto const second = std::move(first);
            REQUIRE(second.created());
            REQUIRE(name.exists());
        }
        REQUIRE_FALSE(name.exists());
    }
    REQUIRE_FALSE(name.exists());
}

TEST_CASE("two pools of different names do not see each other") {
    segment_name const a, b;
    auto fa = ok(shm_fabric::open(a, sized(size)));
    auto fb = ok(shm_fabric::open(b, sized(size)));
    (void)add(fa, {0, 0}, 1);
    REQUIRE(add(fb, {0, 0}, 1) == 0);
}

TEST_CASE("atomics of two processes lose nothing") {
    segment_name const name;
    constexpr int each = 20'000;
    auto const work = [&](shm_fabric& f) {
        auto c = ok(f.connect());
        for (int i = 0; i < each; ++i) {
            op one = op::faa({0, 0}, 1);
            ok(c.submit(batch(&one, 1)).await_resume());
        }
    };
    child_process child([&](auto meet) {
        auto f = ok(shm_fabric::open(name, sized(size)));
        meet();
        work(f);
        meet();
    });
    child.arrived();
    auto f = ok(shm_fabric::open(name, sized(0)));
    child.go_on();
    work(f);
    child.arrived();
    child.go_on();
    REQUIRE(child.join() == 0);
    REQUIRE(add(f, {0, 0}, 0) == 2 * each);
}
