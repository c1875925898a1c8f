#include "report/pictures.h"

#include <string_view>

#include "core/error.h"
#include "record/io.h"

namespace veilnet::report {
namespace {

namespace fs = std::filesystem;

/// Labels become folders, and must not lead out of theirs.
fs::path folder_of(const fs::path& root, const std::string& protection, const std::string& attack) {
  for (const auto& name : {protection, attack})
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      fail(ErrorCode::InvalidArgument,
           "pictures of '{}' on '{}': allowed are names that can be names of a folder", attack,
           protection);
  return root / protection / attack;
}

fs::path numbered(const fs::path& folder, const char* kind, std::size_t k) {
  return folder / fmt::format("{}-{}.png", kind, k);
}

}  // namespace

void check(const CellPictures& p) {
  const auto n = p.plain.size();
  if (p.protected_pictures.size() != n || p.recovered.size() != n || p.labels.size() != n)
    fail(ErrorCode::InvalidArgument,
         "pictures of {} on {}: {} plain, {} protected, {} recovered, {} labels; allowed are equal "
         "numbers",
         p.attack, p.protection, n, p.protected_pictures.size(), p.recovered.size(),
         p.labels.size());
  for (std::size_t k = 0; k < n; ++k)
    for (const auto* other : {&p.protected_pictures[k], &p.recovered[k]})
      if (other->height != p.plain[k].height || other->width != p.plain[k].width)
        fail(ErrorCode::InvalidArgument,
             "pictures of {} on {}: plain picture {} is {} x {} and its counterpart {} x {}",
             p.attack, p.protection, k, p.plain[k].width, p.plain[k].height, other->width,
             other->height);
}

void write_pictures(const fs::path& root, const CellPictures& p, Overwrite overwrite) {
  check(p);
  const auto folder = folder_of(root, p.protection, p.attack);
  for (std::size_t k = 0; k < p.plain.size(); ++k) {
    image::write_png(numbered(folder, "plain", k), p.plain[k], overwrite);
    image::write_png(numbered(folder, "protected", k), p.protected_pictures[k], overwrite);
    image::write_png(numbered(folder, "recovered", k), p.recovered[k], overwrite);
  }
  // Written last: its length is what read_pictures goes by.
  record::write(folder / "labels.json", p.labels, overwrite);
}

CellPictures read_pictures(const fs::path& root, const std::string& protection,
                           const std::string& attack) {
  const auto folder = folder_of(root, protection, attack);
  CellPictures p{protection, attack, {}, {}, {}, {}};
  p.labels = record::read<std::vector<std::string>>(folder / "labels.json");
  for (std::size_t k = 0; k < p.labels.size(); ++k) {
    p.plain.push_back(image::read_image(numbered(folder, "plain", k)));
    p.protected_pictures.push_back(image::read_image(numbered(folder, "protected", k)));
    p.recovered.push_back(image::read_image(numbered(folder, "recovered", k)));
  }
  check(p);
  return p;
}

}  // namespace veilnet::report
