#include "data/batches.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "core/error.h"

namespace veilnet::data {

Split stratified_split(std::span<const std::int32_t> labels, double fraction, std::uint64_t seed) {
  if (!(fraction > 0 && fraction < 1)) {
    fail(ErrorCode::InvalidArgument,
         "validation fraction {}; it must be greater than 0 and less than 1", fraction);
  }
  std::map<std::int32_t, std::vector<std::uint32_t>> by_class;
  for (std::size_t i = 0; i < labels.size(); ++i)
    by_class[labels[i]].push_back(static_cast<std::uint32_t>(i));

  Split split;
  for (auto& [label, members] : by_class) {
    Random random({seed, static_cast<std::uint64_t>(label)});
    random.shuffle(std::span(members));
    const auto count = static_cast<std::int64_t>(members.size());
    auto wanted = std::llround(fraction * static_cast<double>(count));
    wanted = count < 2 ? 0 : std::clamp<std::int64_t>(wanted, 1, count - 1);
    split.validation.insert(split.validation.end(), members.begin(), members.begin() + wanted);
    split.train.insert(split.train.end(), members.begin() + wanted, members.end());
  }
  if (split.validation.empty()) {
    fail(ErrorCode::InvalidArgument,
         "cannot split {} pictures into train and validation: no class has two or more",
         labels.size());
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

Draw draw(const Augmentation& augmentation, int height, int width, Random& random) {
  Draw drawn;
  drawn.flip = augmentation.horizontal_flip && random.below(2) == 1;
  if (const int padding = augmentation.crop_padding; padding > 0) {
    const auto choices = 2 * static_cast<std::uint64_t>(padding) + 1;
    drawn.top = static_cast<int>(random.below(choices)) - padding;
    drawn.left = static_cast<int>(random.below(choices)) - padding;
  }
  if (const int side = augmentation.cutout; side > 0) {
    const auto place = [&](int of) {
      return static_cast<int>(random.below(static_cast<std::uint64_t>(of))) - side / 2;
    };
    drawn.cut = side;
    drawn.cut_top = place(height);
    drawn.cut_left = place(width);
  }
  return drawn;
}

void augment(std::span<const std::uint8_t> image_hwc, int height, int width, const Draw& drawn,
             std::uint8_t* out) {
  const auto& [flip, top, left, cut, cut_top, cut_left] = drawn;
  auto* const begin = out;
  const auto row_bytes = static_cast<std::size_t>(width) * 3;
  for (int y = 0; y < height; ++y, out += row_bytes) {
    std::memset(out, 0, row_bytes);
    const int from_y = y + top;
    if (from_y < 0 || from_y >= height) continue;
    const auto* row = image_hwc.data() + static_cast<std::size_t>(from_y) * row_bytes;
    for (int x = std::max(0, -left); x < std::min(width, width - left); ++x) {
      const int from_x = flip ? width - 1 - (x + left) : x + left;
      std::memcpy(out + 3 * x, row + 3 * from_x, 3);
    }
  }
  for (int y = std::max(0, cut_top); y < std::min(height, cut_top + cut); ++y)
    for (int x = std::max(0, cut_left); x < std::min(width, cut_left + cut); ++x)
      std::memset(begin + 3 * (static_cast<std::ptrdiff_t>(y) * width + x), kCutGrey, 3);
}

/// Where a loader draws from: pictures with labels, or with their plain versions.
struct BatchLoader::Source {
  std::string text;
  const image::Batch& pictures;
  const image::Batch* plain = nullptr;
  std::span<const std::int32_t> labels;
};

struct BatchLoader::Impl {
  const Source source;
  const std::vector<std::uint32_t> indices;
  const Options options;
  const std::uint64_t steps_per_epoch;

  // Belong to the worker.
  std::vector<std::uint32_t> order;
  std::uint64_t order_epoch = std::numeric_limits<std::uint64_t>::max();

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Minibatch> ready;
  std::exception_ptr failure;
  bool stopping = false;
  std::thread worker;

  Impl(const Source& from, std::vector<std::uint32_t> given, const Options& given_options,
       std::uint64_t steps)
      : source(from), indices(std::move(given)), options(given_options), steps_per_epoch(steps) {
    worker = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    worker.join();
  }

  void run() {
    try {
      for (auto step = options.start_step;; ++step) {
        auto batch = make(step);
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] {
          return stopping || ready.size() < std::max<std::size_t>(1, options.prefetch);
        });
        if (stopping) return;
        ready.push_back(std::move(batch));
        changed.notify_all();
      }
    } catch (...) {
      std::lock_guard lock(mutex);
      failure = std::current_exception();
      changed.notify_all();
    }
  }

  Minibatch make(std::uint64_t step) {
    const auto epoch = step / steps_per_epoch;
    if (epoch != order_epoch) {
      order = indices;
      // No picture has the largest position, so this stream is the epoch's own.
      Random random({options.seed, epoch, std::numeric_limits<std::uint64_t>::max()});
      random.shuffle(std::span(order));
      order_epoch = epoch;
    }
    const auto begin = static_cast<std::size_t>(step % steps_per_epoch) * options.batch_size;
    const auto whole = std::min(options.batch_size, order.size() - begin);
    const auto first = static_cast<std::size_t>(options.part.first),
               stride = static_cast<std::size_t>(options.part.step);
    const auto count = static_cast<std::size_t>(options.part.of(static_cast<std::int64_t>(whole)));
    Minibatch batch;
    for (std::size_t i = first; i < whole; i += stride) batch.indices.push_back(order[begin + i]);
    const auto black = [&](const image::Batch& like) {
      return image::Batch(like.height(), like.width(), options.pixels ? count : 0);
    };
    batch.pictures = black(source.pictures);
    if (source.plain) batch.plain = black(*source.plain);
    // The pictures of a pair are turned alike.
    const auto copy = [&](const image::Batch& from, std::uint32_t index,
                          std::span<std::uint8_t> out) {
      if (options.augmentation)
        augment(from.picture(index), from.height(), from.width(), batch.draws.back(), out.data());
      else
        std::ranges::copy(from.picture(index), out.begin());
    };
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = batch.indices[i];
      if (index >= source.pictures.count()) {
        fail(ErrorCode::InvalidArgument, "picture index {} for {}, which has {} pictures", index,
             source.text, source.pictures.count());
      }
      if (options.augmentation) {
        Random random({options.seed, epoch, begin + first + i * stride});
        batch.draws.push_back(
            draw(*options.augmentation, source.pictures.height(), source.pictures.width(), random));
      }
      if (!source.plain) batch.labels.push_back(source.labels[index]);
      if (!options.pixels) continue;
      copy(source.pictures, index, batch.pictures.picture(i));
      if (source.plain) copy(*source.plain, index, batch.plain.picture(i));
      if (options.encrypt) options.encrypt(batch.pictures.picture(i));
    }
    return batch;
  }
};

BatchLoader::BatchLoader(const Dataset& dataset, std::vector<std::uint32_t> indices,
                         const Options& options)
    : BatchLoader(Source{fmt::format("data set '{}'", dataset.name), dataset.pictures, nullptr,
                         dataset.labels},
                  std::move(indices), options) {}

BatchLoader::BatchLoader(const Pairs& pairs, std::vector<std::uint32_t> indices,
                         const Options& options)
    : BatchLoader(Source{"pairs of pictures", pairs.protected_pictures(), &pairs.plain(), {}},
                  std::move(indices), options) {}

BatchLoader::BatchLoader(const Source& source, std::vector<std::uint32_t> indices,
                         const Options& options) {
  constexpr auto wrong = ErrorCode::InvalidArgument;
  if (indices.empty()) fail(wrong, "no pictures to make batches of from {}", source.text);
  if (options.batch_size == 0) fail(wrong, "batch size 0; it must be at least 1");
  if (source.plain && options.encrypt) fail(wrong, "pairs of pictures cannot be encrypted");
  if (!options.pixels && options.encrypt) fail(wrong, "nothing is encrypted without its pixels");
  if (const auto [first, step] = options.part; first < 0 || first >= step || step < 1)
    fail(wrong, "part {} of {} of every batch; allowed: 0 to the number of parts less 1", first,
         step);
  const int padding = options.augmentation ? options.augmentation->crop_padding : 0;
  if (const int side = std::max(source.pictures.height(), source.pictures.width());
      padding < 0 || padding > side) {
    fail(wrong, "crop padding {}; allowed is 0 to {}, the picture's side", padding, side);
  }
  const auto whole = indices.size() / options.batch_size;
  if (options.drop_last && whole == 0) {
    fail(wrong,
         "batch size {} with {} pictures gives no whole batch; lower it or keep the last, smaller "
         "batch",
         options.batch_size, indices.size());
  }
  const auto steps =
      whole + (!options.drop_last && indices.size() % options.batch_size != 0 ? 1 : 0);
  impl_ = std::make_unique<Impl>(source, std::move(indices), options, steps);
}

BatchLoader::~BatchLoader() = default;

Minibatch BatchLoader::next() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return !impl_->ready.empty() || impl_->failure; });
  if (impl_->ready.empty()) std::rethrow_exception(impl_->failure);
  auto batch = std::move(impl_->ready.front());
  impl_->ready.pop_front();
  impl_->changed.notify_all();
  return batch;
}

std::size_t BatchLoader::steps_per_epoch() const {
  return static_cast<std::size_t>(impl_->steps_per_epoch);
}

}  // namespace veilnet::data
