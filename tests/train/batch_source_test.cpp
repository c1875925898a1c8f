#include "train/batch_source.h"

#include <numeric>
#include <torch/torch.h>

#include "core/random.h"
#include "data/pairs.h"
#include "data/sources.h"
#include "nn/model.h"
#include "support.h"

namespace veilnet::train {
namespace {

image::Batch noise(int height, int width, size_t count) {
  image::Batch out(height, width, count);
  Random random(5);
  for (auto& value : out.pixels()) value = static_cast<uint8_t>(random.below(256));
  return out;
}

torch::Tensor as_tensor(const image::Batch& pictures) {
  return nn::to_tensor(pictures.pixels(), static_cast<int64_t>(pictures.count()), pictures.height(),
                       pictures.width());
}

// What the device does with a draw is what data::augment does, to the bit.
TEST(DevicePictures, AreTurnedAsThePicturesOfALoader) {
  for (const auto& [height, width] : {std::pair(8, 12), {12, 8}, {5, 5}}) {
    const auto pictures = noise(height, width, 6);
    const DevicePictures kept(pictures, torch::kCPU);
    std::vector<uint32_t> indices;
    std::vector<data::Draw> draws;
    image::Batch expected(height, width, 40);
    Random random(7);
    for (size_t i = 0; i < expected.count(); ++i) {
      indices.push_back(static_cast<uint32_t>(random.below(pictures.count())));
      draws.push_back(
          data::draw({true, i % 2 == 0 ? 3 : 5, i % 3 == 0 ? 0 : 4}, height, width, random));
      data::augment(pictures.picture(indices[i]), height, width, draws[i],
                    expected.picture(i).data());
    }
    const auto found = kept.take(indices, draws), wanted = as_tensor(expected);
    EXPECT_TRUE(torch::equal(found, wanted)) << height << 'x' << width;
    EXPECT_EQ(found.strides(), wanted.strides()) << "channels last";
    EXPECT_TRUE(torch::equal(kept.take(indices, {}), as_tensor(pictures.subset(indices))));
  }
}

TEST(BatchLoader, WithoutPixelsSaysWhichAndHow) {
  const auto set = data::make_synthetic({1, 50, 10}).train;
  std::vector<uint32_t> indices(set.size());
  std::iota(indices.begin(), indices.end(), 0u);
  data::BatchLoader::Options options;
  options.batch_size = 16;
  options.augmentation = data::Augmentation{};
  options.start_step = 2;
  options.part = {1, 3};
  data::BatchLoader whole(set, indices, options);
  options.pixels = false;
  data::BatchLoader named(set, indices, options);
  const DevicePictures kept(set.pictures, torch::kCPU);
  for (int step = 0; step < 5; ++step) {
    const auto a = whole.next(), b = named.next();
    EXPECT_EQ(a.indices, b.indices);
    EXPECT_EQ(a.labels, b.labels);
    EXPECT_TRUE(b.pictures.empty());
    EXPECT_TRUE(torch::equal(kept.take(b.indices, b.draws), as_tensor(a.pictures)));
  }
  options.encrypt = [](std::span<uint8_t>) {};
  test::expect_error(ErrorCode::InvalidArgument, {"without its pixels"},
                     [&] { data::BatchLoader(set, indices, options); });
}

TEST(BatchLoader, WithoutPixelsTurnsPairsAlike) {
  const auto one = noise(8, 12, 20);
  std::vector<uint32_t> order(20);
  std::iota(order.rbegin(), order.rend(), 0u);
  const data::Pairs pairs(one.subset(order), one);
  data::BatchLoader::Options options;
  options.batch_size = 6;
  options.augmentation = data::Augmentation{};
  options.part = {1, 2};
  options.start_step = 3;
  data::BatchLoader whole(pairs, order, options);
  options.pixels = false;
  data::BatchLoader named(pairs, order, options);
  const DevicePictures hidden(pairs.protected_pictures(), torch::kCPU),
      plain(pairs.plain(), torch::kCPU);
  for (int step = 0; step < 5; ++step) {
    const auto a = whole.next(), b = named.next();
    EXPECT_TRUE(torch::equal(hidden.take(b.indices, b.draws), as_tensor(a.pictures)));
    EXPECT_TRUE(torch::equal(plain.take(b.indices, b.draws), as_tensor(a.plain)));
    EXPECT_TRUE(b.labels.empty());
  }
}

}  // namespace
}  // namespace veilnet::train
