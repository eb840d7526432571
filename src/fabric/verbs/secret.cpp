// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/secret.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include <sodium.h>
#include <sys/stat.h>

namespace catena::verbs {

setup_result<secret> secret::from_file(std::string const& path) {
    constexpr std::size_t least = 16;
    auto const wrong = [&](std::string const& why) {
        return setup_error(errc::invalid_argument, "the secret file " + path + " " + why);
    };
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) return wrong(std::string("cannot be read: ") + std::strerror(errno));
    if ((s.st_mode & S_IROTH) != 0) return wrong("may be read by everybody; chmod o-r");
    std::ifstream file(path, std::ios::binary);
    std::string const bytes(std::istreambuf_iterator<char>(file), {});
    if (!file) return wrong(std::string("cannot be read: ") + std::strerror(errno));
    constexpr std::string_view blank = " \t\r\n";
    auto const first = bytes.find_first_not_of(blank);
    auto const text = first == std::string::npos
                          ? std::string_view{}
                          : std::string_view(bytes).substr(first, bytes.find_last_not_of(blank) - first + 1);
    if (text.size() < least)
        return wrong("holds " + std::to_string(text.size()) + " bytes; at least " + std::to_string(least) +
                     " are needed. Make one with: head -c 32 /dev/urandom | base64");
    secret made;
    made.key_.emplace();
    crypto_generichash(made.key_->data(), made.key_->size(), reinterpret_cast<unsigned char const*>(text.data()),
                       text.size(), nullptr, 0);
    return made;
}

mac secret::proof_of(request r) const {
    mac proof{};
    r.proof = proof;
    if (key_)
        crypto_generichash(proof.data(), proof.size(), reinterpret_cast<unsigned char const*>(&r), sizeof r,
                           key_->data(), key_->size());
    return proof;
}

bool secret::proves(request const& r) const {
    auto const right = proof_of(r);
    return !key_ || sodium_memcmp(right.data(), r.proof.data(), right.size()) == 0;
}

std::uint64_t unguessable() {
    std::uint64_t n = 0;
    while (n == 0) randombytes_buf(&n, sizeof n);
    return n;
}

} // namespace catena::verbs
