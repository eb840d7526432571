// SPDX-License-Identifier: Apache-2.0
// result<T, E>: a value or an error, for C++20 (std::expected is C++23).
// Thread safety: a plain value.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <catena/core/config.hpp>
#include <catena/core/error.hpp>

namespace catena {

/// A T, or the reason why there is none. Converts from both. Reading the wrong side is a contract violation.
template <typename T, typename E = error>
class [[nodiscard]] result {
public:
    using value_type = T;
    using error_type = E;

    constexpr result(T value) : state_(std::in_place_index<0>, std::move(value)) {}     // NOLINT: implicit by design
    constexpr result(E failure) : state_(std::in_place_index<1>, std::move(failure)) {} // NOLINT

    [[nodiscard]] constexpr bool has_value() const noexcept { return state_.index() == 0; }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] constexpr T& value() & {
        CATENA_ASSERT(has_value());
        return *std::get_if<0>(&state_);
    }
    [[nodiscard]] constexpr T const& value() const& {
        CATENA_ASSERT(has_value());
        return *std::get_if<0>(&state_);
    }
    [[nodiscard]] constexpr T&& value() && {
        CATENA_ASSERT(has_value());
        return std::move(*std::get_if<0>(&state_));
    }
    [[nodiscard]] constexpr E const& error() const& {
        CATENA_ASSERT(!has_value());
        return *std::get_if<1>(&state_);
    }

    constexpr T& operator*() & { return value(); }
    constexpr T const& operator*() const& { return value(); }
    constexpr T&& operator*() && { return std::move(*this).value(); }
    constexpr T* operator->() { return &value(); }
    constexpr T const* operator->() const { return &value(); }

private:
    std::variant<T, E> state_;
};

/// Success carries nothing: `return {};`.
template <typename E>
class [[nodiscard]] result<void, E> {
public:
    using value_type = void;
    using error_type = E;

    constexpr result() noexcept = default;
    constexpr result(E failure) : failure_(std::move(failure)) {} // NOLINT: implicit by design

    [[nodiscard]] constexpr bool has_value() const noexcept { return !failure_.has_value(); }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] constexpr E const& error() const& {
        CATENA_ASSERT(!has_value());
        return *failure_;
    }

private:
    std::optional<E> failure_;
};

/// Set-up calls explain themselves in words.
template <typename T>
using setup_result = result<T, setup_error>;

} // namespace catena
