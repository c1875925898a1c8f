// From a data set to training batches: split, order, augmentation, prefetching.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/random.h"
#include "data/dataset.h"
#include "data/pairs.h"

namespace veilnet::data {

/// Draws round(fraction * count) pictures of every class for validation; of a class with two or
/// more at least one and never all, of a class with one none. The same labels, fraction and seed
/// give the same split, so psi and h share it.
/// @throws Error{InvalidArgument} unless 0 < fraction < 1 and both parts are non-empty.
Split stratified_split(std::span<const std::int32_t> labels, double fraction, std::uint64_t seed);

struct Augmentation {
  bool horizontal_flip = true;  ///< with probability 1/2
  int crop_padding =
      4;  ///< random crop of the original size from the zero-padded picture; 0 for none
  /// Side of a grey square around a random pixel, what is outside of the picture left out; 0 for
  /// none (Cutout, DeVries and Taylor, arXiv 1708.04552).
  int cutout = 0;
};

/// What is done to one picture: flipped, then cropped from the zero-padded picture, then a square
/// of it made grey.
struct Draw {
  bool flip = false;
  int top = 0, left = 0;                   ///< of the crop, relative to the unpadded picture
  int cut = 0, cut_top = 0, cut_left = 0;  ///< side and place of the square, in the result
};
inline constexpr std::uint8_t kCutGrey = 128;
Draw draw(const Augmentation& augmentation, int height, int width, Random& random);

/// The share of every batch that one of several processes takes: pictures first, first + step, ...
/// of it. All have equally many of any number of first pictures, give or take one.
struct Part {
  std::int64_t first = 0, step = 1;

  /// How many of the batch's first `count` pictures are in it.
  std::int64_t of(std::int64_t count) const { return (count - first + step - 1) / step; }
};

/// The pictures of one training step.
struct Minibatch {
  image::Batch pictures;             ///< of pairs the protected ones; none without Options::pixels
  image::Batch plain;                ///< of pairs the plain ones, augmented alike; else none
  std::vector<std::int32_t> labels;  ///< one a picture; of pairs none
  std::vector<std::uint32_t> indices;  ///< positions in the data set, one a picture
  std::vector<Draw> draws;             ///< one a picture; none without augmentation
};

/// Copies one picture into `out` (height * width * 3 bytes) as the draw says.
void augment(std::span<const std::uint8_t> image_hwc, int height, int width, const Draw& draw,
             std::uint8_t* out);

/// Endless shuffled epochs of equal batches, prepared ahead of use by one background thread.
///
/// The order and the augmentation depend only on (seed, epoch, position), so a loader started at
/// any step yields exactly what one started at step 0 would yield there, and the parts of a batch
/// are together exactly the batch. The last, smaller batch of
/// an epoch is kept unless drop_last.
class BatchLoader {
 public:
  struct Options {
    std::size_t batch_size = 128;
    std::optional<Augmentation> augmentation;
    /// Applied in place to every augmented picture (height * width * 3 bytes), in the background
    /// thread; or none. Must depend on the picture alone.
    std::function<void(std::span<std::uint8_t>)> encrypt;
    std::uint64_t seed = 1;
    bool drop_last = false;
    std::uint64_t start_step = 0;  ///< batches to skip, for resuming
    Part part;                     ///< only these pictures of every batch
    std::size_t prefetch = 4;      ///< batches held ready; 0 counts as 1
    /// False: batches are indices, labels and draws alone, for who keeps the pictures himself.
    bool pixels = true;
  };

  /// What is given must outlive the loader. Both pictures of a pair are flipped and cropped alike.
  /// @throws Error{InvalidArgument} for no indices, batch size 0, drop_last with fewer pictures
  /// than a batch, a crop padding outside 0 to the longer side of a picture, or what is to be
  /// encrypted without pixels or as pairs.
  BatchLoader(const Dataset& dataset, std::vector<std::uint32_t> indices, const Options& options);
  BatchLoader(const Pairs& pairs, std::vector<std::uint32_t> indices, const Options& options);
  ~BatchLoader();
  /// Waits for the next batch. Call from one thread.
  /// @throws what went wrong in the background thread, once the batches before it are used up and
  /// at every call from then on: Error{InvalidArgument} for an index outside the data set, naming
  /// it.
  Minibatch next();
  std::size_t steps_per_epoch() const;

 private:
  struct Source;
  struct Impl;
  BatchLoader(const Source& source, std::vector<std::uint32_t> indices, const Options& options);
  std::unique_ptr<Impl> impl_;
};

}  // namespace veilnet::data
