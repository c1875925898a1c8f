#include "data/dataset.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"

namespace veilnet::data {
namespace {

void append(std::vector<std::uint8_t>& bytes, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8)
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// Everything but the pixels, every part with its length in front, so that no two sets give the
/// same bytes.
std::vector<std::uint8_t> describe(const Dataset& set) {
  std::vector<std::uint8_t> bytes;
  for (std::uint64_t value :
       {set.size(), static_cast<std::size_t>(set.height), static_cast<std::size_t>(set.width),
        set.class_names.size(), set.images_nhwc.size()}) {
    append(bytes, value);
  }
  for (const auto& name : set.class_names) {
    append(bytes, name.size());
    bytes.insert(bytes.end(), name.begin(), name.end());
  }
  for (auto label : set.labels) append(bytes, static_cast<std::uint64_t>(label));
  return bytes;
}

[[noreturn]] void refuse(const Dataset& set, const char* part, const std::string& what) {
  throw Error(ErrorCode::BadData, "data set '" + set.name + "' (" + part + "): " + what);
}

void check_part(const Dataset& set, const char* part) {
  if (set.size() == 0) refuse(set, part, "no pictures; at least one is needed");
  if (set.height < 1 || set.width < 1) {
    refuse(set, part,
           "picture size " + std::to_string(set.height) + "x" + std::to_string(set.width) +
               "; both sides must be at least 1");
  }
  if (set.images_nhwc.size() != set.size() * set.image_bytes()) {
    refuse(set, part,
           std::to_string(set.images_nhwc.size()) + " bytes of pixels; " +
               std::to_string(set.size()) + " pictures need " +
               std::to_string(set.size() * set.image_bytes()));
  }
  for (std::size_t i = 0; i < set.size(); ++i) {
    const auto label = set.labels[i];
    if (label < 0 || static_cast<std::size_t>(label) >= set.class_names.size()) {
      refuse(set, part,
             "label " + std::to_string(label) + " of picture " + std::to_string(i) +
                 " is not in [0, " + std::to_string(set.class_names.size()) + ")");
    }
  }
}

}  // namespace

std::string TrainTest::hash() const {
  const auto train_description = describe(train), test_description = describe(test);
  const std::span<const std::uint8_t> parts[] = {train_description, train.images_nhwc,
                                                 test_description, test.images_nhwc};
  return sha256_hex(parts);
}

void check(const TrainTest& data) {
  const auto& [train, test] = data;
  check_part(train, "train");
  check_part(test, "test");
  if (train.height != test.height || train.width != test.width) {
    refuse(test, "test",
           "picture size " + std::to_string(test.height) + "x" + std::to_string(test.width) +
               " differs from train's " + std::to_string(train.height) + "x" +
               std::to_string(train.width));
  }
  if (train.class_names != test.class_names)
    refuse(test, "test", "class names differ from train's");
  const auto first = train.labels.front();
  if (std::all_of(train.labels.begin(), train.labels.end(),
                  [&](auto label) { return label == first; })) {
    refuse(train, "train",
           "only one class occurs: '" + train.class_names[static_cast<std::size_t>(first)] +
               "'; at least two are needed");
  }
}

}  // namespace veilnet::data
