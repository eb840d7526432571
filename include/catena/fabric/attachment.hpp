// SPDX-License-Identifier: Apache-2.0
// attachment: which open files use a shared segment, and whether their processes still live.
//
// Attachment i is an exclusive lock on byte i of the segment's file, of the kind that belongs to an open file description
// (F_OFD_SETLK): the kernel takes it back when the last descriptor of that description is closed, which for a process
// that dies, however it dies, is after the last of its threads ran. No number is compared that could be used again, as a
// process id is, and containers that share the file see the same locks. A lock says nothing to its own description: an
// attachment that asks about itself must know the answer.
// fork    The child shares the open file and with it the lock. A parent that dies counts as alive until the child, too,
//         exits or closes the file (exec closes it): it is taken for dead too late, never too early.
// Thread safety: any thread.
#pragma once

#include <optional>

#include <fcntl.h>
#include <unistd.h>

namespace catena::attachment {

inline constexpr unsigned slots = 1024; ///< open files at once

[[nodiscard]] inline struct ::flock lock_on(unsigned slot) noexcept {
    struct ::flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(slot);
    lock.l_len = 1;
    return lock;
}

/// Attaches an open file: the lowest free slot, held until the file is closed. Nothing if all are taken, or the file
/// system has no such locks.
[[nodiscard]] inline std::optional<unsigned> take(int fd) noexcept {
    for (unsigned slot = 0; slot < slots; ++slot) {
        auto lock = lock_on(slot);
        if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return slot; // NOLINT: fcntl is what it is
    }
    return std::nullopt;
}

/// Does another open file than `fd` hold the slot? True where the system does not say: better to wait in vain than to
/// take what somebody uses.
[[nodiscard]] inline bool taken_by_another(int fd, unsigned slot) noexcept {
    auto lock = lock_on(slot);
    return ::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK; // NOLINT
}

} // namespace catena::attachment
