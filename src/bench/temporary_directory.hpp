// SPDX-License-Identifier: Apache-2.0
// temporary_directory: a directory of this object's own, gone with all that is in it.
// Thread safety: a plain value.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace catena::bench {

class temporary_directory {
public:
    temporary_directory() {
        auto pattern = (std::filesystem::temp_directory_path() / "catena-bench-XXXXXX").string();
        if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    temporary_directory(temporary_directory const&) = delete;
    temporary_directory& operator=(temporary_directory const&) = delete;
    ~temporary_directory() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }

    /// Empty if none could be made.
    [[nodiscard]] std::string const& path() const noexcept { return path_; }

private:
    std::string path_;
};

} // namespace catena::bench
