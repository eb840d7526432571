// SPDX-License-Identifier: Apache-2.0
#include "bench/map_store.hpp"

#include <functional>
#include <unordered_map>
#include <utility>

namespace catena::bench {
namespace {

// Chain hashes are as good as random, so a part of one is a hash.
struct low_word {
    std::size_t operator()(block_hash const& block) const noexcept { return static_cast<std::size_t>(block.low); }
};

// Counts what the map takes; what malloc adds to it is not counted, as it is not of Redis.
template <typename T>
class counting_allocator {
public:
    using value_type = T;

    explicit counting_allocator(std::uint64_t& bytes) noexcept : bytes_(&bytes) {}
    template <typename U>
    explicit counting_allocator(counting_allocator<U> const& other) noexcept : bytes_(other.bytes_) {}

    [[nodiscard]] T* allocate(std::size_t n) {
        *bytes_ += n * sizeof(T);
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* at, std::size_t n) noexcept {
        *bytes_ -= n * sizeof(T);
        std::allocator<T>().deallocate(at, n);
    }
    template <typename U>
    [[nodiscard]] bool operator==(counting_allocator<U> const& other) const noexcept {
        return bytes_ == other.bytes_;
    }

    std::uint64_t* bytes_;
};

class map_store final : public store {
public:
    result<std::size_t, std::string> match(std::span<block_hash const> chain, std::span<location> places) override {
        std::size_t hit = 0;
        for (; hit < chain.size(); ++hit) {
            auto const found = blocks_.find(chain[hit]);
            if (found == blocks_.end()) break;
            places[hit] = found->second;
        }
        return hit;
    }

    result<void, std::string> publish(std::span<block_hash const> chain, std::span<location> places,
                                      std::size_t from) override {
        for (auto i = from; i < chain.size(); ++i) blocks_.try_emplace(chain[i], places[i]);
        return {};
    }

    result<traffic, std::string> sent() override { return traffic{}; }
    result<footprint, std::string> size() override {
        return footprint{.blocks = blocks_.size(), .bytes = bytes_, .client_bytes = 0};
    }

private:
    using entry = std::pair<block_hash const, location>;

    std::uint64_t bytes_ = 0;
    std::unordered_map<block_hash, location, low_word, std::equal_to<>, counting_allocator<entry>> blocks_{
        counting_allocator<entry>(bytes_)};
};

} // namespace

made_store make_map_store() { return std::unique_ptr<store>(std::make_unique<map_store>()); }

} // namespace catena::bench
