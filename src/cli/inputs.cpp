#include "cli/inputs.h"

#include <fmt/format.h>
#include <set>
#include <system_error>

#include "image/folder.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;

/// Of a file or folder that was named in vain, for that cause.
std::string missing(const fs::path& path, std::error_code cause) {
  if (cause && !is_absence(cause)) return fmt::format("{}: {}", path.string(), cause.message());
  const auto from = path.is_relative() ? fmt::format(" (in {})", fs::current_path(cause).string())
                                       : std::string();
  return fmt::format("{}: no such file or folder{}", path.string(), from);
}

void find_in_folder(const fs::path& folder, const fs::path& aside, Inputs& found) {
  const auto skip = [&](const fs::path& below) { return is_same_folder(below, aside); };
  try {
    auto in_folder = image::find_pictures(folder, skip);
    for (auto& path : in_folder.pictures) {
      auto name = path.lexically_relative(folder);
      found.pictures.push_back({std::move(path), std::move(name)});
    }
    for (const auto& [path, why] : in_folder.unreadable)
      found.failures.push_back({path, ErrorCode::Io, fmt::format("{}: {}", path.string(), why)});
    for (const auto& [kind, count] : in_folder.left_out) found.left_out[kind] += count;
    if (in_folder.pictures.empty() && in_folder.unreadable.empty())
      fail(ErrorCode::NotFound, "{}: holds no .png, .jpg, .jpeg or .webp file", folder.string());
  } catch (const Error& e) {
    found.failures.push_back({folder, e.code(), e.what()});
  }
}

}  // namespace

bool is_absence(const std::error_code& cause) {
  return cause == std::errc::no_such_file_or_directory || cause == std::errc::not_a_directory;
}

bool is_same_folder(const fs::path& a, const fs::path& b) {
  std::error_code cause;
  return fs::is_directory(a, cause) && fs::equivalent(a, b, cause);
}

Inputs find_inputs(const std::vector<std::string>& paths, const fs::path& aside) {
  Inputs found;
  for (const fs::path path : paths) {
    std::error_code cause;
    const auto status = fs::status(path, cause);
    if (path == "-") {
      found.pictures.push_back({path, "standard input"});
    } else if (fs::is_directory(status)) {
      find_in_folder(path, aside, found);
    } else if (fs::exists(status)) {
      found.pictures.push_back({path, path.filename()});
    } else {
      found.failures.push_back({path, ErrorCode::NotFound, missing(path, cause)});
    }
  }
  return found;
}

std::vector<fs::path> png_names(const std::vector<Input>& inputs) {
  const auto plain_name = [](const Input& input) {
    return fs::path(input.name).replace_extension(".png");
  };
  std::map<fs::path, std::size_t> wanted;
  for (const auto& input : inputs) ++wanted[plain_name(input)];
  const auto keeps = [&](const Input& input) {
    return plain_name(input) == input.name && wanted[input.name] == 1;
  };
  std::set<fs::path> taken;
  for (const auto& input : inputs)
    if (keeps(input)) taken.insert(input.name);
  std::vector<fs::path> names;
  for (const auto& input : inputs) {
    auto name = plain_name(input);
    if (keeps(input)) {
      names.push_back(name);
      continue;
    }
    // All of them, a PNG too: a name that one had alone would pass to another when that comes.
    if (wanted[name] > 1) name = fs::path(input.name) += ".png";
    for (int copy = 2; !taken.insert(name).second; ++copy)
      name = plain_name(input).replace_filename(
          fmt::format("{}-{}.png", input.name.stem().string(), copy));
    names.push_back(name);
  }
  return names;
}

}  // namespace veilnet::cli
