// What can be measured of guesses at plain pictures: numbers out, no files and no words. What the
// figures are called and how they are printed says record/measures.h.
//
// A new measure is a file of this folder and its line in measures.cpp (and in record/measures.cpp).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "nn/model.h"
#include "record/measures.h"

namespace veilnet::measure {

/// Guesses at the first pictures of a set.
struct Guesses {
  const data::Dataset& plain;
  const image::Batch& recovered;

  size_t count() const { return recovered.count(); }
};

/// Who names and compares pictures; what is not there measures nothing.
struct Judges {
  const nn::Model* psi = nullptr;  ///< a classifier of plain pictures
  std::shared_ptr<nn::FeatureExtractor> phi = {};
  torch::Device device = torch::kCPU;
};

/// A value a picture, or a share of the pictures; nothing without the judge that it takes.
using Values = std::vector<double>;
using Measured = std::optional<std::variant<double, Values>>;

/// All of them.
struct Leak {
  record::Figures figures;
  std::map<std::string, Values> values;  ///< of those that have a value a picture
};

/// @throws Error{InvalidArgument} without a guess, for more guesses than pictures, and for another
/// size.
Leak measure_all(const Guesses& guesses, const Judges& judges);

/// How much the guesses differ from each other: the mean over values of their standard deviation
/// between pictures, in terms of what plain pictures do.
double diversity(const Guesses& guesses);

/// The mean of the pictures as the guess at each of `count`: what needs no look at the protected
/// picture.
image::Batch mean_picture(const image::Batch& pictures, size_t count);

}  // namespace veilnet::measure
