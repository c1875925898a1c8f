// One folder per class, any picture sizes.
#include <algorithm>

#include "core/error.h"
#include "data/sources.h"
#include "image/folder.h"
#include "image/image.h"

namespace veilnet::data {
namespace fs = std::filesystem;
namespace {

enum class Kind { Folders, Pictures };

/// Sub-folders or picture files, hidden ones left out, sorted by name.
std::vector<fs::path> list(const fs::path& folder, Kind kind) {
  std::vector<fs::path> found;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with('.')) continue;
      const bool wanted = kind == Kind::Folders ? entry.is_directory()
                                                : entry.is_regular_file() &&
                                                      image::has_picture_extension(entry.path());
      if (wanted) found.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& e) {
    throw Error(ErrorCode::Io, "cannot list " + folder.string() + ": " + e.code().message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> list_pictures(const fs::path& folder) {
  auto pictures = list(folder, Kind::Pictures);
  if (pictures.empty()) {
    throw Error(ErrorCode::BadData,
                folder.string() +
                    ": no pictures in this class folder; .png, .jpg, .jpeg or .webp are needed");
  }
  return pictures;
}

void append_pictures(const std::vector<fs::path>& files, std::size_t label, Dataset& set) {
  for (const auto& file : files) {
    set.pictures.append(image::resize_and_crop(image::read_image(file), set.pictures.height(),
                                               set.pictures.width()));
    set.labels.push_back(static_cast<std::int32_t>(label));
  }
}

/// Moves every fifth file, or the last of fewer than five, from `files` to the result.
std::vector<fs::path> take_every_fifth(std::vector<fs::path>& files, const fs::path& folder) {
  if (files.size() < 2) {
    throw Error(ErrorCode::BadData, folder.string() +
                                        ": 1 picture; without a test folder a class needs at least "
                                        "2, one of them for the test set");
  }
  std::vector<fs::path> taken, kept;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const bool take = files.size() < 5 ? i + 1 == files.size() : i % 5 == 4;
    (take ? taken : kept).push_back(files[i]);
  }
  files = std::move(kept);
  return taken;
}

}  // namespace

TrainTest load_image_folder(const fs::path& folder, int height, int width) {
  if (height < 1 || width < 1) {
    throw Error(ErrorCode::InvalidArgument, "picture size " + std::to_string(height) + "x" +
                                                std::to_string(width) +
                                                "; both sides must be at least 1");
  }
  const auto train_folder = folder / "train", test_folder = folder / "test";
  for (const auto& needed : {folder, train_folder}) {
    if (!fs::is_directory(needed))
      throw Error(ErrorCode::NotFound, "no such folder: " + needed.string());
  }
  const auto classes = list(train_folder, Kind::Folders);
  if (classes.size() < 2) {
    throw Error(ErrorCode::BadData, train_folder.string() + ": " + std::to_string(classes.size()) +
                                        " class folder(s); at least two classes are needed");
  }

  TrainTest data;
  for (auto* set : {&data.train, &data.test}) {
    set->name = fs::canonical(folder).filename().string();
    set->pictures = image::Batch(height, width);
    for (const auto& path : classes) set->class_names.push_back(path.filename().string());
  }
  const auto& names = data.train.class_names;
  const bool has_test = fs::is_directory(test_folder);
  for (std::size_t label = 0; label < classes.size(); ++label) {
    auto files = list_pictures(classes[label]);
    if (!has_test) append_pictures(take_every_fifth(files, classes[label]), label, data.test);
    append_pictures(files, label, data.train);
  }
  if (has_test) {
    for (const auto& path : list(test_folder, Kind::Folders)) {
      const auto found = std::find(names.begin(), names.end(), path.filename().string());
      if (found == names.end()) {
        throw Error(ErrorCode::BadData, path.string() + ": class '" + path.filename().string() +
                                            "' does not occur in " + train_folder.string());
      }
      append_pictures(list_pictures(path), static_cast<std::size_t>(found - names.begin()),
                      data.test);
    }
  }
  check(data);
  return data;
}

}  // namespace veilnet::data
