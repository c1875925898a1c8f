#include "data/dataset.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

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
  for (std::uint64_t value : {set.size(), static_cast<std::size_t>(set.pictures.height()),
                              static_cast<std::size_t>(set.pictures.width()),
                              set.class_names.size(), set.pictures.pixels().size()}) {
    append(bytes, value);
  }
  for (const auto& name : set.class_names) {
    append(bytes, name.size());
    bytes.insert(bytes.end(), name.begin(), name.end());
  }
  for (auto label : set.labels) append(bytes, static_cast<std::uint64_t>(label));
  return bytes;
}

template <class... Values>
[[noreturn]] void refuse(const Dataset& set, const char* part, fmt::format_string<Values...> format,
                         Values&&... values) {
  fail(ErrorCode::BadData, "data set '{}' ({}): {}", set.name, part,
       fmt::format(format, std::forward<Values>(values)...));
}

void check_part(const Dataset& set, const char* part) {
  if (set.size() == 0) refuse(set, part, "no pictures; at least one is needed");
  if (set.pictures.count() != set.size()) {
    refuse(set, part, "{} pictures and {} labels; equally many are needed", set.pictures.count(),
           set.size());
  }
  for (std::size_t i = 0; i < set.size(); ++i) {
    const auto label = set.labels[i];
    if (label < 0 || static_cast<std::size_t>(label) >= set.class_names.size()) {
      refuse(set, part, "label {} of picture {} is not in [0, {})", label, i,
             set.class_names.size());
    }
  }
}

}  // namespace

std::string TrainTest::hash() const {
  const auto train_description = describe(train), test_description = describe(test);
  std::vector<std::uint8_t> split_description;
  if (split) {
    append(split_description, split->train.size());
    for (const auto& positions : {split->train, split->validation}) {
      for (const auto i : positions) append(split_description, i);
    }
  }
  const std::span<const std::uint8_t> parts[] = {train_description, train.pictures.pixels(),
                                                 test_description, test.pictures.pixels(),
                                                 split_description};
  return sha256_hex(parts);
}

void check(const TrainTest& data) {
  const auto &train = data.train, &test = data.test;
  check_part(train, "train");
  check_part(test, "test");
  if (!train.pictures.same_size(test.pictures)) {
    refuse(test, "test", "picture size {}x{} differs from train's {}x{}", test.pictures.width(),
           test.pictures.height(), train.pictures.width(), train.pictures.height());
  }
  if (train.class_names != test.class_names)
    refuse(test, "test", "class names differ from train's");
  const auto first = train.labels.front();
  if (std::all_of(train.labels.begin(), train.labels.end(),
                  [&](auto label) { return label == first; })) {
    refuse(train, "train", "only one class occurs: '{}'; at least two are needed",
           train.class_names[static_cast<std::size_t>(first)]);
  }
}

void check_class_name(std::string_view name, std::string_view where) {
  constexpr std::size_t max_bytes = 100;
  const bool plain = printable(name, max_bytes) == name && name.find_first_of("/\\") == name.npos;
  if (plain && !name.empty() && name != "." && name != "..") return;
  fail(ErrorCode::BadData,
       "{}: \"{}\" cannot name a class; allowed are 1 to {} bytes of UTF-8 without slashes, "
       "backslashes and control characters, other than \".\" and \"..\"",
       where, printable(name, max_bytes), max_bytes);
}

}  // namespace veilnet::data
