#include "cipher/mixing.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "pictures.h"
#include "support.h"

namespace veilnet::cipher {
namespace {

using test::Bytes;
using test::expect_error;
using test::noise_picture;

constexpr int kHeight = 8, kWidth = 10;
constexpr std::size_t kBytes = 3 * kHeight * kWidth;

struct Set {
  Bytes images;
  std::vector<std::int64_t> labels;
  PictureSet view() const { return {images, labels, kHeight, kWidth, 3}; }
};

/// Picture i is filled with the value i, its label is i % 3.
Set numbered(std::size_t count) {
  Set set;
  for (std::size_t i = 0; i < count; ++i) {
    set.images.insert(set.images.end(), kBytes, static_cast<std::uint8_t>(i));
    set.labels.push_back(static_cast<std::int64_t>(i % 3));
  }
  return set;
}

TEST(Pbm, ReplacesTheShareOfBlocksByBlocksOfTheSameLabel) {
  const auto set = numbered(30);
  const auto mixed = mix_blocks(set.view(), {.block_height = 4, .block_width = 4, .share = 0.5}, 1);
  std::set<int> donors;
  for (std::size_t i = 0; i < 30; ++i) {
    int replaced = 0;
    for (std::size_t top = 0; top < 8; top += 4) {
      for (std::size_t left = 0; left < 10; left += 4) {
        const int value = mixed[i * kBytes + (top * kWidth + left) * 3];
        EXPECT_EQ(value % 3, static_cast<int>(i % 3));
        replaced += value != static_cast<int>(i);
        if (value != static_cast<int>(i)) donors.insert(value);
        for (std::size_t y = top; y < top + 4; ++y)
          for (std::size_t x = left; x < std::min<std::size_t>(left + 4, kWidth); ++x)
            ASSERT_EQ(mixed[i * kBytes + (y * kWidth + x) * 3 + 2], value)
                << "blocks are not whole";
      }
    }
    EXPECT_EQ(replaced, 3);  // of 6
  }
  EXPECT_GT(donors.size(), 20u);
}

TEST(Pbm, KeepsPlacesAndIsReproducible) {
  // Pixels of each column name the column, so a moved block shows.
  auto set = numbered(12);
  for (std::size_t i = 0; i < set.images.size(); ++i)
    set.images[i] = static_cast<std::uint8_t>(i / 3 % kWidth);
  EXPECT_EQ(mix_blocks(set.view(), {}, 1), set.images);
  set = {noise_picture(kHeight * 12, kWidth, 1), set.labels};
  EXPECT_EQ(mix_blocks(set.view(), {.share = 0}, 1), set.images);
  EXPECT_EQ(mix_blocks(set.view(), {}, 1), mix_blocks(set.view(), {}, 1));
  EXPECT_NE(mix_blocks(set.view(), {}, 1), mix_blocks(set.view(), {}, 2));
}

TEST(Pbm, Refuses) {
  const auto set = numbered(6);
  const auto refuse = [&](const PictureSet& view, const PbmOptions& options,
                          std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { mix_blocks(view, options, 1); });
  };
  refuse(set.view(), {.share = 1.5}, {"share", "1.5"});
  refuse(set.view(), {.block_width = 0}, {"8x0"});
  refuse({set.images, set.labels, kHeight, kWidth + 1, 3}, {}, {"bytes", "6 labels"});
  refuse({set.images, set.labels, 0, kWidth, 3}, {}, {"0x10"});
  refuse({set.images, set.labels, kHeight, kWidth, 2}, {}, {"label 2", "0 to 1"});
  refuse(numbered(4).view(), {}, {"label 1 has one picture"});
}

TEST(InstaHide, MixesItselfWithOthersAndSignsEveryValue) {
  Set set{noise_picture(kHeight * 40, kWidth, 3), numbered(40).labels};
  const InstaHideOptions options{.mean_rgb = {0.5f, 0.5f, 0.5f}, .std_rgb = {0.25f, 0.25f, 0.25f}};
  const auto mixed = mix_instahide(set.view(), options, 1);
  EXPECT_FLOAT_EQ(mixed.limit, 2);
  ASSERT_EQ(mixed.images_nhwc.size(), set.images.size());
  ASSERT_EQ(mixed.soft_labels.size(), 120u);
  double own = 0, positive = 0, other = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    float sum = 0;
    for (std::size_t label = 0; label < 3; ++label) sum += mixed.soft_labels[i * 3 + label];
    EXPECT_NEAR(sum, 1, 1e-5);
    for (std::size_t v = 0; v < kBytes; ++v) {
      // Signs hide the correlation with the picture, absolute values do not.
      const double x = set.images[i * kBytes + v] / 127.5 - 1,
                   y = mixed.images_nhwc[i * kBytes + v] / 127.5 - 1;
      own += (std::abs(x) - 0.5) * std::abs(y);
      other += x * y;
      positive += y > 0;
    }
  }
  const double n = 40.0 * kBytes;
  EXPECT_GT(own / n, 0.003);
  EXPECT_NEAR(other / n, 0, 0.006);
  EXPECT_NEAR(positive / n, 0.5, 0.02);
}

TEST(InstaHide, WeightsStayBelowTheLimit) {
  // One label each for picture 0 and for all others: the soft label of picture 0 is its own weight.
  Set set{noise_picture(kHeight * 8, kWidth, 4), {0, 1, 1, 1, 1, 1, 1, 1}};
  float least = 1, most = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const float own = mix_instahide(set.view(), {.max_weight = 0.5}, seed).soft_labels[0];
    least = std::min(least, own);
    most = std::max(most, own);
  }
  EXPECT_LE(most, 0.5f);
  EXPECT_GT(most, 0.4f);
  EXPECT_LT(least, 0.1f);
}

TEST(InstaHide, FlatPicturesKeepTheirAbsoluteValue) {
  Set set{Bytes(4 * kBytes, 255), {0, 1, 2, 0}};
  const auto mixed = mix_instahide(set.view(), {.mean_rgb = {0, 0, 0}, .std_rgb = {1, 1, 1}}, 1);
  for (const int v : mixed.images_nhwc) EXPECT_TRUE(v == 0 || v == 255) << v;
}

TEST(InstaHide, IsReproducible) {
  Set set{noise_picture(kHeight * 6, kWidth, 5), numbered(6).labels};
  EXPECT_EQ(mix_instahide(set.view(), {}, 1).images_nhwc,
            mix_instahide(set.view(), {}, 1).images_nhwc);
  EXPECT_NE(mix_instahide(set.view(), {}, 1).images_nhwc,
            mix_instahide(set.view(), {}, 2).images_nhwc);
}

TEST(InstaHide, Refuses) {
  const auto set = numbered(6);
  const auto refuse = [&](const PictureSet& view, const InstaHideOptions& options,
                          std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { mix_instahide(view, options, 1); });
  };
  refuse(set.view(), {.pictures = 1}, {"1 pictures", "2 to 16"});
  refuse(set.view(), {.pictures = 7}, {"6 pictures", "7"});
  refuse(set.view(), {.max_weight = 0.25}, {"weight", "0.25", "0.3"});
  refuse(set.view(), {.std_rgb = {1, 0, 1}}, {"deviation"});
  refuse({set.images, set.labels, kHeight, kWidth, 1}, {}, {"label 1", "0 to 0"});
}

}  // namespace
}  // namespace veilnet::cipher
