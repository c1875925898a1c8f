// One folder per class, any picture sizes.
#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "data/sources.h"
#include "image/folder.h"
#include "image/image.h"

namespace veilnet::data {
namespace fs = std::filesystem;
namespace {

/// Sub-folders, links to folders among them, hidden ones left out, sorted by name.
std::vector<fs::path> list_folders(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code of_link;  // one that leads nowhere is no folder
    if (!image::is_hidden(at->path()) && at->is_directory(of_link)) found.push_back(at->path());
  }
  if (error) fail(ErrorCode::Io, "cannot list {}: {}", folder.string(), error.message());
  std::ranges::sort(found);
  return found;
}

/// What was met on the way and is not read.
struct LeftOut {
  std::map<std::string, std::size_t> kinds;
  std::vector<std::string> unreadable;

  void add(const image::FoundPictures& found) {
    for (const auto& [kind, count] : found.left_out) kinds[kind] += count;
    for (const auto& [path, why] : found.unreadable)
      unreadable.push_back(printable(path.string()) + " " + why);
  }
  std::string kinds_text() const {
    std::string text;
    for (const auto& [kind, count] : kinds)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
    return text;
  }
};

/// The picture files of one class.
struct Class {
  std::size_t label;
  std::vector<fs::path> files;
};

Class read_class(const fs::path& folder, std::size_t label, LeftOut& left_out) {
  LeftOut here;
  auto found = image::find_pictures(folder);
  here.add(found);
  left_out.add(found);
  if (found.pictures.empty()) {
    fail(ErrorCode::BadData,
         "{}: no pictures in this class folder; .png, .jpg, .jpeg or .webp are needed{}{}",
         folder.string(), here.kinds.empty() ? "" : ", there are ", here.kinds_text());
  }
  return {label, std::move(found.pictures)};
}

/// In an order that is drawn, always alike, so that whoever takes the first pictures, or every
/// second, has some of each class.
void append_pictures(const std::vector<Class>& classes, Dataset& set) {
  std::vector<std::pair<std::size_t, const fs::path*>> entries;
  for (const auto& [label, files] : classes)
    for (const auto& file : files) entries.emplace_back(label, &file);
  Random(1).shuffle(std::span(entries));
  const auto& size = set.pictures;
  for (const auto& [label, file] : entries) {
    set.pictures.append(image::read_fitted(*file, size.height(), size.width()));
    set.labels.push_back(static_cast<std::int32_t>(label));
  }
}

/// Moves every fifth file, or the last of fewer than five, from `files` to the result.
std::vector<fs::path> take_every_fifth(std::vector<fs::path>& files, const fs::path& folder) {
  if (files.size() < 2) {
    fail(ErrorCode::BadData,
         "{}: 1 picture; without a test folder a class needs at least 2, one of them for the test "
         "set",
         folder.string());
  }
  std::vector<fs::path> taken, kept;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const bool take = files.size() < 5 ? i + 1 == files.size() : i % 5 == 4;
    (take ? taken : kept).push_back(files[i]);
  }
  files = std::move(kept);
  return taken;
}

/// The loader's state: one data set being read.
class Reader {
 public:
  Reader(const fs::path& folder, int height, int width) : folder_(folder) {
    for (const auto& needed : {folder_, folder_ / "train"}) {
      if (!fs::is_directory(needed))
        fail(ErrorCode::NotFound, "no such folder: {}", needed.string());
    }
    class_folders_ = list_folders(folder_ / "train");
    if (class_folders_.size() < 2) {
      fail(ErrorCode::BadData, "{}: {} class folder(s); at least two classes are needed",
           (folder_ / "train").string(), class_folders_.size());
    }
    for (auto* set : {&data_.train, &data_.test}) {
      set->name = fs::canonical(folder_).filename().string();
      set->pictures = image::Batch(height, width);
      for (const auto& path : class_folders_) {
        set->class_names.push_back(path.filename().string());
        check_class_name(set->class_names.back(), (folder_ / "train").string());
      }
    }
  }

  TrainTest read() {
    const auto validation = part("val"), test = part("test");
    std::vector<Class> train, fifths;
    for (std::size_t label = 0; label < class_folders_.size(); ++label) {
      train.push_back(read_class(class_folders_[label], label, left_out_));
      if (!test)
        fifths.push_back({label, take_every_fifth(train.back().files, class_folders_[label])});
    }
    append_pictures(train, data_.train);
    append_pictures(test ? *test : fifths, data_.test);
    if (!test)
      note(
          "{}/test is not used or not there: every fifth picture of each class of train/ is the "
          "test set, {} in all",
          folder_.string(), data_.test.size());
    if (validation) {
      const auto first = data_.train.size();
      append_pictures(*validation, data_.train);
      auto& split = data_.split.emplace();
      split.train.resize(first);
      split.validation.resize(data_.train.size() - first);
      std::iota(split.train.begin(), split.train.end(), 0u);
      std::iota(split.validation.begin(), split.validation.end(),
                static_cast<std::uint32_t>(first));
      note("{}/val is the validation set, {} pictures", folder_.string(), split.validation.size());
    }
    note_what_is_left_out();
    return std::move(data_);
  }

 private:
  template <class... Values>
  void note(fmt::format_string<Values...> format, Values&&... values) {
    data_.notes.push_back(fmt::format(format, std::forward<Values>(values)...));
  }

  /// The classes of val/ or test/, or nothing where it is not there or has no classes.
  std::optional<std::vector<Class>> part(const std::string& name) {
    const auto place = folder_ / name;
    if (!fs::is_directory(place)) return std::nullopt;
    const auto folders = list_folders(place);
    const auto& names = data_.train.class_names;
    std::vector<Class> classes;
    for (const auto& path : folders) {
      const auto found = std::ranges::find(names, path.filename().string());
      if (found != names.end())
        classes.push_back(
            read_class(path, static_cast<std::size_t>(found - names.begin()), left_out_));
    }
    if (classes.size() == folders.size() && !classes.empty()) return classes;
    if (!classes.empty()) {
      const auto unknown = std::ranges::find_if(folders, [&](const auto& path) {
        return std::ranges::find(names, path.filename().string()) == names.end();
      });
      fail(ErrorCode::BadData, "{}: class '{}' does not occur in {}", unknown->string(),
           unknown->filename().string(), (folder_ / "train").string());
    }
    const auto count = image::find_pictures(place).pictures.size();
    if (count == 0) fail(ErrorCode::BadData, "{}: holds no pictures", place.string());
    note("{} is not used: its {} pictures are in no folder of a class of train/", place.string(),
         count);
    return std::nullopt;
  }

  void note_what_is_left_out() {
    for (const auto& path : list_folders(folder_)) {
      const auto name = path.filename().string();
      if (name != "train" && name != "val" && name != "test")
        note("{} is not used; allowed are train, val and test", printable(path.string()));
    }
    if (!left_out_.kinds.empty())
      note("left out, of kinds that are not read: {}", left_out_.kinds_text());
    if (!left_out_.unreadable.empty()) {
      note("left out, as they cannot be read: {}, the first: {}", left_out_.unreadable.size(),
           left_out_.unreadable.front());
    }
  }

  fs::path folder_;
  std::vector<fs::path> class_folders_;
  LeftOut left_out_;
  TrainTest data_;
};

}  // namespace

TrainTest load_image_folder(const fs::path& folder, int height, int width) {
  auto data = Reader(folder, height, width).read();
  check(data);
  return data;
}

}  // namespace veilnet::data
