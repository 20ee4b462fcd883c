// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <filesystem>
#include <string>
#include <string_view>

/// Small files, read and written whole.
namespace coppice::wire {

/// No file of certificates is larger: what is, is something else.
inline constexpr std::size_t largest_file = std::size_t{1} << 20;

/// Regular files only, so that it never waits for a pipe.
result<std::string> read_whole(const std::filesystem::path& path);

/// Readable by the owner alone. Written beside, brought to the disk, then renamed: whoever reads
/// `path` sees all of it or what was there before. Unless `overwrite`, fails if `path` exists.
result<void> write_whole(const std::filesystem::path& path, std::string_view content,
                         bool overwrite);

/// Creates what is missing of it, for the owner alone.
result<void> make_private_folder(const std::filesystem::path& folder);

}  // namespace coppice::wire
