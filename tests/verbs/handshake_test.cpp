// SPDX-License-Identifier: Apache-2.0
// What needs no RDMA device: the bytes of requests and answers, secrets.
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>

#include <support/catch.hpp>
#include <support/world.hpp>

#include <tools/run_program.hpp>

#include "fabric/verbs/challenges.hpp"
#include "fabric/verbs/handshake.hpp"
#include "fabric/verbs/secret.hpp"

using namespace catena;
using namespace catena::test;
using namespace catena::verbs;

namespace {

[[nodiscard]] std::string secret_file(scratch_folder const& folder, std::string const& text,
                                      std::string const& name = "secret") {
    auto path = folder.file(name, text);
    std::filesystem::permissions(path, std::filesystem::perms(0640));
    return path;
}

} // namespace

TEST_CASE("a request is read back from padded bytes, and from nothing else", "[handshake]") {
    request const sent{.what = purpose::connect, .client = 7, .challenge = 9};
    std::array<std::byte, 64> bytes{};
    std::memcpy(bytes.data(), &sent, sizeof sent);
    auto const r = parse<request>(bytes.data(), bytes.size());
    REQUIRE(r);
    REQUIRE(r->what == purpose::connect);
    REQUIRE(r->client == 7);
    REQUIRE(r->version == handshake_version);
    REQUIRE_FALSE(parse<request>(bytes.data(), sizeof sent - 1));
    REQUIRE_FALSE(parse<request>(nullptr, 64));
    bytes[0] ^= std::byte{1};
    REQUIRE_FALSE(parse<request>(bytes.data(), bytes.size()));
}

TEST_CASE("a proof holds for the secret and the request that it was made for", "[handshake]") {
    scratch_folder const folder;
    auto const ours = ok(secret::from_file(secret_file(folder, "0123456789abcdef")));
    auto const same =
        ok(secret::from_file(secret_file(folder, "\n 0123456789abcdef\n", "same"))); // blanks around it do not count
    auto const other = ok(secret::from_file(secret_file(folder, "0123456789abcdeg", "other")));
    request r{.what = purpose::fence, .client = 1, .subject = 2, .run = 3, .challenge = 4};
    r.proof = ours.proof_of(r);
    REQUIRE(ours.proves(r));
    REQUIRE(same.proves(r));
    REQUIRE_FALSE(other.proves(r));
    REQUIRE(secret().proves(r)); // who has no secret asks for none
    auto const no_longer = [&](auto change) {
        auto altered = r;
        change(altered);
        return !ours.proves(altered);
    };
    REQUIRE(no_longer([](request& x) { x.what = purpose::connect; }));
    REQUIRE(no_longer([](request& x) { x.access = access_rights::read; }));
    REQUIRE(no_longer([](request& x) { ++x.client; }));
    REQUIRE(no_longer([](request& x) { ++x.subject; }));
    REQUIRE(no_longer([](request& x) { ++x.run; }));
    REQUIRE(no_longer([](request& x) { ++x.challenge; }));
    REQUIRE(no_longer([](request& x) { x.proof[15] ^= 1U; }));
    REQUIRE(no_longer([](request& x) { x.proof = {}; }));
}

TEST_CASE("a challenge holds for two minutes at most, and a request of it counts once", "[handshake]") {
    using namespace std::chrono_literals;
    auto const start = challenges::time{} + 1h;
    challenges all(start);
    request const first{.what = purpose::connect, .subject = 1, .challenge = all.current(start)};
    REQUIRE(all.holds(first));
    REQUIRE_FALSE(all.holds({.what = purpose::connect, .subject = 1})); // of no challenge
    REQUIRE(all.first_time(first));
    REQUIRE_FALSE(all.first_time(first));
    auto another = first;
    another.subject = 2;
    REQUIRE(all.first_time(another));
    request const fence{.what = purpose::fence, .subject = 1, .challenge = first.challenge};
    REQUIRE(all.first_time(fence)); // the subject is whom it shuts out
    REQUIRE(all.first_time(fence));

    REQUIRE(all.current(start + 59s) == first.challenge);
    request const second{.what = purpose::connect, .subject = 1, .challenge = all.current(start + 61s)};
    REQUIRE(second.challenge != first.challenge);
    REQUIRE(all.holds(first)); // still
    REQUIRE_FALSE(all.first_time(first));
    REQUIRE(all.first_time(second));
    auto const third = all.current(start + 122s);
    REQUIRE_FALSE(all.holds(first));
    REQUIRE(all.holds(second));
    REQUIRE_FALSE(all.first_time(second));
    REQUIRE(all.current(start + 10h) != third); // nobody asked for a long time
    REQUIRE_FALSE(all.holds({.challenge = third}));
    REQUIRE_FALSE(all.holds(second));
}

TEST_CASE("a secret that is none, too short or everybody's is refused", "[handshake]") {
    scratch_folder const folder;
    auto const refusal = [](std::string const& path) {
        auto const read = secret::from_file(path);
        REQUIRE_FALSE(read);
        REQUIRE(read.error().code == errc::invalid_argument);
        return read.error().message;
    };
    REQUIRE_THAT(refusal(folder / "nothing"), has_text("cannot be read"));
    REQUIRE_THAT(refusal(secret_file(folder, "")), has_text("holds 0 bytes"));
    REQUIRE_THAT(refusal(secret_file(folder, "   0123456789abcde  \n")), has_text("holds 15 bytes"));
    auto const open = secret_file(folder, "0123456789abcdef", "open");
    std::filesystem::permissions(open, std::filesystem::perms(0644));
    REQUIRE_THAT(refusal(open), has_text("everybody"));
    REQUIRE(unguessable() != unguessable());
}
