// A labelled set of pictures of one size, in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/batch.h"

namespace veilnet::data {

/// Other names of the pictures of a set, one each.
struct Labelling {
  std::vector<std::string> class_names;
  std::vector<std::int32_t> labels;
};

/// As many labels as pictures, each in [0, class_names.size()).
struct Dataset {
  std::string name;  ///< a name of sources.h, or the folder's
  std::vector<std::string> class_names;
  image::Batch pictures;
  std::vector<std::int32_t> labels;
  /// What else the data call the pictures: of CIFAR-100 superclass or class.
  std::optional<Labelling> other = {};

  std::size_t size() const { return labels.size(); }
  std::size_t image_bytes() const { return pictures.picture_bytes(); }
  std::span<const std::uint8_t> image(std::size_t i) const { return pictures.picture(i); }
};

/// Positions in a training set.
struct Split {
  std::vector<std::uint32_t> train;       ///< ascending
  std::vector<std::uint32_t> validation;  ///< ascending
};

/// What every loader returns: the official training and test sets.
struct TrainTest {
  Dataset train;  ///< with the pictures of the validation set, where the data bring one
  Dataset test;
  std::optional<Split> split = {};  ///< of train, where the data bring a validation set
  /// What a user should know: what was left out, of which kind and how many; what serves as
  /// validation and test set where that is not plain. Short lines without a full stop, to be shown.
  std::vector<std::string> notes = {};
  /// SHA-256 over sizes, class names, pixels and labels of both sets, and the split where the data
  /// bring one: names the data in model files and results.
  std::string hash() const;
};

/// @throws Error{BadData} unless every set has pictures, sizes agree, labels are in range and at
/// least two classes occur in train.
void check(const TrainTest& data);

/// @throws Error{BadData} beginning with `where` unless `name` may name a class, and thereby a
/// folder: UTF-8 of 1 to 100 bytes without slashes, backslashes and control characters, and neither
/// "." nor "..".
void check_class_name(std::string_view name, std::string_view where);

}  // namespace veilnet::data
