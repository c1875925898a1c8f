// Schemes that mix several pictures of a training set: nothing is encrypted, and test pictures stay
// plain.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace veilnet::cipher {

/// A set of pictures of one size, uint8 NHWC, with a label below `classes` for each.
struct PictureSet {
  std::span<const std::uint8_t> images_nhwc;
  std::span<const std::int64_t> labels;
  int height = 0, width = 0;
  std::int64_t classes = 0;
};

struct PbmOptions {
  int block_height = 8, block_width = 8;  ///< blocks at the right and lower edge may be smaller
  double share = 0.5;  ///< of a picture's blocks that are replaced, rounded; 0 to 1
};

/// Pixel-block mixing (Xiang et al. 2021, arXiv 2105.08876): in each picture, randomly chosen
/// blocks are replaced by the blocks at the same place of other pictures of the same label, drawn
/// anew for each block. The paper's exact rule of substitution (its N_t and N_s) is not known to
/// us. Labels stay. What is visible is real pixels: protection is weak by design. Deterministic in
/// the seed.
/// @throws Error{InvalidArgument} for options out of range, sizes that do not fit, a label outside
/// the classes, or a label that has one picture only.
std::vector<std::uint8_t> mix_blocks(const PictureSet& plain, const PbmOptions& options,
                                     std::uint64_t seed);

struct InstaHideOptions {
  int pictures = 4;          ///< k, in each mixture; 2 to 16
  double max_weight = 0.65;  ///< coefficients are drawn again while one is above; above 1/k
  std::array<float, 3> mean_rgb{0.4914f, 0.4822f, 0.4465f};
  std::array<float, 3> std_rgb{0.2023f, 0.1994f, 0.2010f};
};

struct InstaHideSet {
  /// 127.5 + 127.5 v / limit, rounded, for the signed mixture v of normalised pictures.
  std::vector<std::uint8_t> images_nhwc;
  std::vector<float> soft_labels;  ///< [n, classes], rows sum to 1
  float limit = 0;  ///< the largest |v| that options allow, so that nothing is clipped
};

/// InstaHide "inside" (Huang et al. 2020): picture i is sigma * sum of lambda_j x_j over itself and
/// k-1 other pictures of the set, x normalised per component, lambda = |N(0,1)| scaled to sum 1,
/// sigma a random sign per value. An epoch is a seed. Rounding to 8 bits and the absence of public
/// pictures are ours. Broken by Carlini et al. (arXiv 2011.05315). Deterministic in the seed, on
/// one machine.
/// @throws Error{InvalidArgument} for options out of range, sizes that do not fit, a label outside
/// the classes, or fewer than k pictures.
InstaHideSet mix_instahide(const PictureSet& plain, const InstaHideOptions& options,
                           std::uint64_t seed);

}  // namespace veilnet::cipher
