// Whether a transformation network hides anything: a quick look by who trains it, long before
// attacks say how much.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "image/batch.h"
#include "nn/model.h"
#include "nn/vgg.h"

namespace veilnet::measure {

struct Hiding {
  /// Mean SSIM of the protected with the plain pictures.
  double ssim = 0;
  /// L_feat, in terms of the same distance between different plain pictures: 1 is as far from its
  /// plain picture as from any other's.
  double feature_distance = 0;
  /// What a network with one hidden layer of random weights makes of how 5x5 protected pixels
  /// differ from their mean: fitted on one half of the pictures, what it rebuilds of the other half
  /// beyond the mean picture, dB of mean squared error. The least that an inverse network can do.
  double probe_gain_db = 0;
  /// What ridge regression of whole plain pictures on whole protected ones rebuilds of a picture
  /// left out, beyond the mean of the true class (that much a service has to learn), dB of mean
  /// squared error. Grows with the number of pictures.
  double ridge_gain_db = 0;
  /// How many times as often as by chance a protected picture's outlines (lengths of brightness
  /// gradients) are likest to its own plain picture's, of all of its class with 4 or more: 1 tells
  /// nothing, and is said where no class has so many. What a person sees where no filter does.
  double outline_gain = 1;

  bool hides() const { return broken_limits().empty(); }
  /// How well the limits are kept that alpha can keep, the worst of them: 1 at a limit, 2 where
  /// every figure is twice as far on the good side, below 1 where one is broken. Without ridge
  /// regression's, which no alpha changes, and the outlines', which takes many pictures
  /// (docs/recipes.md).
  double margin() const;
  /// "protects: ..." or "does not protect: ..." with what decides it, a sentence for people.
  std::string text() const;

 private:
  std::string broken_limits() const;  // for people, empty where all are kept
};

/// Limits that every h of the pattern regime keeps by far and every h that shows its pictures
/// breaks: docs/recipes.md has the figures that they come from.
inline constexpr double kMostSsim = 0.1, kLeastFeatureDistance = 2, kMostProbeGainDb = 0.5,
                        kMostRidgeGainDb = 1, kMostOutlineGain = 3;

/// @param plain pictures that h was not trained on, 20 or more, of 8x8 or more. @param labels their
/// classes. @param card holds the normalisation that phi expects.
/// @throws Error{InvalidArgument} for fewer or smaller ones, or another number of labels.
Hiding look_at(const nn::Model& h, nn::FeatureExtractor& phi, const model::Card& card,
               const image::Batch& plain, std::span<const int32_t> labels);

}  // namespace veilnet::measure
