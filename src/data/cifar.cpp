// CIFAR-10 and CIFAR-100 as Krizhevsky (2009) distributes them in binary form.
#include <sstream>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/files.h"
#include "data/sources.h"

namespace veilnet::data {
namespace fs = std::filesystem;
namespace {

constexpr int kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::uint64_t kMaxFileBytes = 2ull << 30;

/// What distinguishes the two sets.
struct Format {
  const char* name;
  const char* folder;  ///< inside the official archive
  struct Names {
    const char* file;
    std::vector<std::string> official;
  };
  std::vector<Names> labels;  ///< of each label byte, one or two of them
  std::size_t chosen;         ///< which of them is the class
  std::size_t record_bytes() const { return labels.size() + 3 * kPlane; }
};

Format cifar10() {
  return {"cifar10",
          "cifar-10-batches-bin",
          {{"batches.meta.txt",
            {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
             "truck"}}},
          0};
}

constexpr std::size_t kCoarse = 0, kFine = 1;

Format cifar100(const char* name, std::size_t chosen) {
  return {
      name,
      "cifar-100-binary",
      {{"coarse_label_names.txt",
        {"aquatic_mammals",
         "fish",
         "flowers",
         "food_containers",
         "fruit_and_vegetables",
         "household_electrical_devices",
         "household_furniture",
         "insects",
         "large_carnivores",
         "large_man-made_outdoor_things",
         "large_natural_outdoor_scenes",
         "large_omnivores_and_herbivores",
         "medium_mammals",
         "non-insect_invertebrates",
         "people",
         "reptiles",
         "small_mammals",
         "trees",
         "vehicles_1",
         "vehicles_2"}},
       {"fine_label_names.txt",
        {"apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
         "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
         "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
         "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
         "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
         "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
         "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
         "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
         "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
         "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
         "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
         "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
         "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
         "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
         "table",       "tank",          "telephone", "television", "tiger",        "tractor",
         "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
         "willow_tree", "wolf",          "woman",     "worm"}}},
      chosen};
}

fs::path find_folder(const fs::path& folder, const Format& format) {
  if (!fs::is_directory(folder)) fail(ErrorCode::NotFound, "no such folder: {}", folder.string());
  const auto inner = folder / format.folder;
  return fs::is_directory(inner) ? inner : folder;
}

/// The names the folder gives, or the official ones.
std::vector<std::string> read_class_names(const fs::path& folder, const Format::Names& known) {
  const auto path = folder / known.file;
  if (!fs::exists(path)) return known.official;
  const auto text = read_text(path, 1 << 20);
  std::vector<std::string> names;
  std::istringstream lines(text);
  int number = 0;
  for (std::string name; std::getline(lines, name);) {
    ++number;
    if (!name.empty() && name.back() == '\r') name.pop_back();
    if (name.empty()) continue;
    check_class_name(name, fmt::format("{}, line {}", path.string(), number));
    names.push_back(name);
  }
  if (names.size() != known.official.size()) {
    fail(ErrorCode::BadData, "{}: {} class names; {} are needed", path.string(), names.size(),
         known.official.size());
  }
  return names;
}

void append_file(const fs::path& path, const Format& format, Dataset& set) {
  const auto bytes = read_file(path, kMaxFileBytes);
  const auto record_bytes = format.record_bytes(), label_bytes = format.labels.size();
  if (bytes.empty() || bytes.size() % record_bytes != 0) {
    fail(ErrorCode::BadData,
         "{}: {} bytes; a {} file holds one or more records of {} bytes, so this one is truncated "
         "or in another format",
         path.string(), bytes.size(), format.name, record_bytes);
  }
  const auto count = bytes.size() / record_bytes;
  image::Batch pictures(kSide, kSide, count);
  auto out = pictures.pixels().begin();
  set.labels.reserve(set.labels.size() + count);
  for (std::size_t record = 0; record < count; ++record) {
    const auto* at = bytes.data() + record * record_bytes;
    for (std::size_t i = 0; i < label_bytes; ++i) {
      const auto classes = format.labels[i].official.size();
      if (at[i] >= classes) {
        fail(ErrorCode::BadData, "{}: record {} has label {}; allowed is 0 to {}", path.string(),
             record, at[i], classes - 1);
      }
    }
    set.labels.push_back(at[format.chosen]);
    if (set.other) set.other->labels.push_back(at[1 - format.chosen]);
    const auto* planes = at + label_bytes;
    for (std::size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (std::size_t channel = 0; channel < 3; ++channel)
        *out++ = planes[channel * kPlane + pixel];
    }
  }
  set.pictures.append(pictures.pixels());
}

TrainTest load(const fs::path& given, const Format& format, std::vector<std::string> train_files,
               const std::string& test_file) {
  TrainTest data;
  fs::path folder;
  if (fs::is_regular_file(given)) {
    folder = given.parent_path();
    train_files = {given.filename().string()};
    data.notes.push_back(fmt::format("the training set is {} alone", given.string()));
  } else {
    folder = find_folder(given, format);
  }
  for (auto* set : {&data.train, &data.test}) {
    set->name = format.name;
    set->pictures = image::Batch(kSide, kSide);
    set->class_names = read_class_names(folder, format.labels[format.chosen]);
    if (format.labels.size() > 1)
      set->other = Labelling{read_class_names(folder, format.labels[1 - format.chosen]), {}};
  }
  for (const auto& file : train_files) {
    const auto path = folder / file;
    if (!fs::exists(path) && train_files.size() == 1)
      fail(ErrorCode::NotFound, "no such file: {}; {} needs {} and {} in {} or in its {}",
           path.string(), format.name, train_files.front(), test_file, given.string(),
           format.folder);
    if (!fs::exists(path)) {
      fail(ErrorCode::NotFound,
           "no such file: {}; {} needs {} to {} (to train on one of them alone, give its path)",
           path.string(), format.name, train_files.front(), train_files.back());
    }
    append_file(path, format, data.train);
  }
  append_file(folder / test_file, format, data.test);
  check(data);
  return data;
}

}  // namespace

TrainTest load_cifar10(const fs::path& folder) {
  return load(folder, cifar10(),
              {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
               "data_batch_5.bin"},
              "test_batch.bin");
}

TrainTest load_cifar100(const fs::path& folder) {
  return load(folder, cifar100("cifar100", kFine), {"train.bin"}, "test.bin");
}

TrainTest load_cifar100_coarse(const fs::path& folder) {
  return load(folder, cifar100("cifar100-coarse", kCoarse), {"train.bin"}, "test.bin");
}

}  // namespace veilnet::data
