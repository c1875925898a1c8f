#include "image/folder.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace veilnet::image {
namespace fs = std::filesystem;
namespace {

struct Extension {
  std::string_view extension, kind;
};
/// Kinds without a name are read.
constexpr auto kExtensions = std::to_array<Extension>({
    {".png", ""},           {".jpg", ""},           {".jpeg", ""},          {".webp", ""},
    {".bmp", "BMP"},        {".gif", "GIF"},        {".tif", "TIFF"},       {".tiff", "TIFF"},
    {".heic", "HEIC"},      {".heif", "HEIC"},      {".avif", "AVIF"},      {".jxl", "JPEG XL"},
    {".jp2", "JPEG 2000"},  {".ppm", "PNM"},        {".pgm", "PNM"},        {".pbm", "PNM"},
    {".svg", "SVG"},        {".psd", "PSD"},        {".tga", "TGA"},        {".ico", "ICO"},
    {".dng", "camera raw"}, {".cr2", "camera raw"}, {".nef", "camera raw"}, {".arw", "camera raw"},
});

const Extension* find_extension(const fs::path& path) {
  auto extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  const auto found = std::ranges::find(kExtensions, extension, &Extension::extension);
  return found == kExtensions.end() ? nullptr : &*found;
}

/// What tells a folder from all others, whichever name leads to it.
using Identity = std::pair<dev_t, ino_t>;
std::optional<Identity> identity(const fs::path& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return std::nullopt;
  return Identity(about.st_dev, about.st_ino);
}

class Walk {
 public:
  explicit Walk(const std::function<bool(const fs::path&)>& skip) : skip_(skip) {}

  FoundPictures of(const fs::path& folder) {
    folders_ = {folder};
    // Links wait until all that is really here has been walked.
    while (!folders_.empty() || !links_.empty()) {
      auto& next = folders_.empty() ? links_ : folders_;
      const auto path = next.back();
      next.pop_back();
      const auto id = identity(path);
      if (id && !walked_.insert(*id).second) continue;
      if (!skip_ || !skip_(path)) list(path);
    }
    std::ranges::sort(found_.pictures);
    std::ranges::sort(found_.unreadable, {}, &FoundPictures::Unreadable::path);
    return std::move(found_);
  }

 private:
  void list(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> linked;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
      enter(*at, linked);
    if (error) found_.unreadable.push_back({folder, "cannot be listed: " + error.message()});
    // The last one of a stack is next: in order of names.
    std::ranges::sort(linked, std::ranges::greater());
    links_.insert(links_.end(), linked.begin(), linked.end());
  }

  void enter(const fs::directory_entry& entry, std::vector<fs::path>& linked) {
    const auto& path = entry.path();
    if (is_hidden(path)) return;
    std::error_code error, ignored;
    const auto status = entry.status(error);
    const bool is_link = entry.is_symlink(ignored);
    if (fs::is_directory(status)) {
      (is_link ? linked : folders_).push_back(path);
      return;
    }
    const auto* extension = find_extension(path);
    if (!extension && !is_link) return;
    if (!fs::exists(status)) {
      found_.unreadable.push_back({path, "is a link that leads nowhere: " + error.message()});
    } else if (!extension) {
      return;
    } else if (!fs::is_regular_file(status)) {
      found_.unreadable.push_back({path, "is not a regular file"});
    } else if (extension->kind.empty()) {
      found_.pictures.push_back(path);
    } else {
      ++found_.left_out[std::string(extension->kind)];
    }
  }

  const std::function<bool(const fs::path&)>& skip_;
  FoundPictures found_;
  std::vector<fs::path> folders_, links_;
  std::set<Identity> walked_;
};

}  // namespace

bool has_picture_extension(const fs::path& path) {
  const auto* extension = find_extension(path);
  return extension && extension->kind.empty();
}

std::string_view unread_picture_kind(const fs::path& path) {
  const auto* extension = find_extension(path);
  return extension ? extension->kind : std::string_view();
}

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

FoundPictures find_pictures(const fs::path& folder,
                            const std::function<bool(const fs::path&)>& skip) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    fail(ErrorCode::NotFound, "no such folder: {}", folder.string());
  const fs::directory_iterator listed(folder, error);
  if (error) fail(ErrorCode::Io, "cannot list {}: {}", folder.string(), error.message());
  return Walk(skip).of(folder);
}

}  // namespace veilnet::image
