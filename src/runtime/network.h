// A model that computes: pictures in, logits or pictures out, without LibTorch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "model/prepare.h"
#include "runtime/plan.h"

namespace veilnet::runtime {

/// How the way to compute each convolution in float32 is chosen.
enum class Choice {
  Estimate,  ///< by what each is expected to cost
  Try,       ///< by trying each when a size is planned
  OneDnn     ///< oneDNN's own, for comparisons
};

struct Options {
  /// Of one call; 0 for the physical cores. Where there is a batch for each, every thread computes
  /// batches of its own; with fewer pictures they share one.
  int threads = 0;
  int64_t largest_batch = 32;  ///< pictures that go through the layers at once
  /// What convolutions compute in where they can. Int8 needs a model that was calibrated.
  Type precision = Type::Float32;
  Choice choice = Choice::Estimate;
};

/// The layers of one model, fused and packed for this processor. All functions may be called from
/// several threads at once; each call then computes with `threads` threads of its own.
///
/// The first call with a size and number of pictures plans it; later ones of that kind take no
/// memory but for what they return. Results agree with LibTorch's within 1e-4 of the largest value;
/// they may differ in the last bits between numbers of pictures, which are computed differently.
class Network {
 public:
  /// @throws Error{InvalidArgument} for Int8 and a model without kRangesNote, and as ranges_of.
  explicit Network(model::Model model, const Options& options = {});
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  const model::Card& card() const;

  /// Logits [pictures, classes] of a Classifier. images_nhwc: uint8 RGB pictures of one size.
  /// @throws Error{InvalidArgument} for another role, for bytes that are no whole pictures, and for
  /// sizes that the network cannot take (model::padded_shape); Error{BadData} if a logit is not
  /// finite.
  std::vector<float> logits(std::span<const uint8_t> images_nhwc, int64_t height,
                            int64_t width) const;

  /// Protected (of an Inverse: reconstructed) pictures, uint8 NHWC of the same size.
  /// @throws as logits.
  std::vector<uint8_t> transform(std::span<const uint8_t> images_nhwc, int64_t height,
                                 int64_t width) const;

  /// What logits returns, or what transform returns before it is rounded: float32 NHWC in [0, 1].
  /// @throws as logits.
  std::vector<float> outputs(std::span<const uint8_t> images_nhwc, int64_t height,
                             int64_t width) const;

  /// The output of the last layer for the first layer's input (model::network_input).
  model::Activations forward(const model::Activations& input) const;

  /// Raises `ranges` to what these pictures reach: calibration for Int8, by a Float32 network.
  /// @throws as logits.
  void calibrate(std::span<const uint8_t> images_nhwc, int64_t height, int64_t width,
                 Ranges& ranges) const;

  /// Mean times of the steps over `repeats` runs of `count` pictures of this size.
  std::vector<StepTime> profile(int64_t count, int64_t height, int64_t width, int repeats) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The instruction set that computes in this precision: "avx512", "avx2", "avx512_vnni",
/// "avx512_bf16" or "portable".
std::string_view instruction_set(Type precision = Type::Float32);

}  // namespace veilnet::runtime
