// A labelled set of pictures of one size, in memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/batch.h"

namespace veilnet::data {

/// As many labels as pictures, each in [0, class_names.size()).
struct Dataset {
  std::string name;  ///< "cifar10", "cifar100", "synthetic" or the folder's name
  std::vector<std::string> class_names;
  image::Batch pictures;
  std::vector<std::int32_t> labels;

  std::size_t size() const { return labels.size(); }
  std::size_t image_bytes() const { return pictures.picture_bytes(); }
  std::span<const std::uint8_t> image(std::size_t i) const { return pictures.picture(i); }
};

/// What every loader returns: the official training and test sets.
struct TrainTest {
  Dataset train;
  Dataset test;
  /// SHA-256 over sizes, class names, pixels and labels of both sets: names the data in model files
  /// and results.
  std::string hash() const;
};

/// @throws Error{BadData} unless every set has pictures, sizes agree, labels are in range and at
/// least two classes occur in train.
void check(const TrainTest& data);

}  // namespace veilnet::data
