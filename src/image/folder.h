// Finding the picture files below a folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace veilnet::image {

/// True for the extensions .png .jpg .jpeg .webp in any case.
bool has_picture_extension(const std::filesystem::path& path);

/// "BMP", "GIF", "TIFF", "HEIC", ... for the extension of a kind of picture that is known and not
/// read; empty for any other.
std::string_view unread_picture_kind(const std::filesystem::path& path);

/// True for names that begin with a dot: not for people, and what macOS leaves beside a.png on
/// foreign disks (._a.png) is no picture.
bool is_hidden(const std::filesystem::path& path);

struct FoundPictures {
  std::vector<std::filesystem::path> pictures;  ///< sorted, each below the folder as it was given
  std::map<std::string, std::size_t> left_out;  ///< count by kind (unread_picture_kind)
  struct Unreadable {
    std::filesystem::path path;
    std::string why;
  };
  std::vector<Unreadable> unreadable;  ///< links that lead nowhere, folders that cannot be listed
};

/// Walks the folder and all folders in it, hidden ones excepted. Linked folders are followed, each
/// folder once however many links lead to it, under its own name where that is below `folder`: no
/// loop is walked twice. What is no picture of any kind is not mentioned.
/// @param skip true for folders that are not entered, or none.
/// @throws Error{NotFound} if there is no such folder, Error{Io} if it cannot be listed.
FoundPictures find_pictures(const std::filesystem::path& folder,
                            const std::function<bool(const std::filesystem::path&)>& skip = {});

}  // namespace veilnet::image
