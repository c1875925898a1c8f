#include "image/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/random.h"
#include "core/safetensors.h"
#include "support.h"

namespace veilnet::image {
namespace {

using veilnet::test::expect_error;
using Bytes = std::vector<std::uint8_t>;

/// SSIM as its definition reads: every window on its own, in double.
double ref_ssim(const Bytes& a, const Bytes& b, int height, int width, SsimWindow window) {
  const bool uniform = window == SsimWindow::Uniform7;
  const int side = uniform ? 7 : 11;
  std::vector<double> weights;
  double weight_sum = 0;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const double dy = y - side / 2, dx = x - side / 2;
      weights.push_back(uniform ? 1 : std::exp(-(dy * dy + dx * dx) / (2 * 1.5 * 1.5)));
      weight_sum += weights.back();
    }
  const double unbiased = uniform ? 49.0 / 48.0 : 1;
  const double c1 = 6.5025, c2 = 58.5225;
  double total = 0;
  for (int c = 0; c < 3; ++c) {
    double channel = 0;
    for (int y = 0; y + side <= height; ++y)
      for (int x = 0; x + side <= width; ++x) {
        const auto mean = [&](auto&& term) {
          double sum = 0;
          for (int k = 0; k < side * side; ++k) {
            const auto i =
                static_cast<std::size_t>(((y + k / side) * width + x + k % side) * 3 + c);
            sum += weights[static_cast<std::size_t>(k)] * term(a[i], b[i]);
          }
          return sum / weight_sum;
        };
        const double ma = mean([](double va, double) { return va; }),
                     mb = mean([](double, double vb) { return vb; });
        const double var_a =
            unbiased * mean([&](double va, double) { return (va - ma) * (va - ma); });
        const double var_b =
            unbiased * mean([&](double, double vb) { return (vb - mb) * (vb - mb); });
        const double cov =
            unbiased * mean([&](double va, double vb) { return (va - ma) * (vb - mb); });
        channel +=
            (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (var_a + var_b + c2));
      }
    total += channel / ((height - side + 1) * (width - side + 1));
  }
  return total / 3;
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  for (auto& value : bytes) value = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

/// A copy with some noise, so that SSIM is neither 0 nor 1.
Bytes disturbed(const Bytes& bytes, int strength, std::uint64_t seed) {
  Random random(seed);
  Bytes result(bytes);
  for (auto& value : result)
    value = static_cast<std::uint8_t>(
        std::clamp(value + static_cast<int>(random.below(2 * strength + 1)) - strength, 0, 255));
  return result;
}

constexpr std::array windows{SsimWindow::Uniform7, SsimWindow::Gaussian11};

TEST(Psnr, KnownValues) {
  const Bytes zero(12, 0), one(12, 1), white(12, 255);
  EXPECT_DOUBLE_EQ(psnr_db(zero, one), 20 * std::log10(255.0));
  EXPECT_DOUBLE_EQ(psnr_db(zero, white), 0);
  EXPECT_EQ(psnr_db(one, one), std::numeric_limits<double>::infinity());
  Bytes single(zero);
  single[3] = 6;
  EXPECT_DOUBLE_EQ(psnr_db(zero, single), 10 * std::log10(255.0 * 255.0 / 3.0));
  EXPECT_DOUBLE_EQ(psnr_db(single, zero), psnr_db(zero, single));
}

TEST(Psnr, LargePicturesDoNotOverflow) {
  const Bytes zero(200'000, 0), white(200'000, 255);
  EXPECT_DOUBLE_EQ(psnr_db(zero, white), 0);
}

TEST(Psnr, RefusesDifferentOrNoSizes) {
  expect_error(ErrorCode::InvalidArgument, {"psnr_db", "3 and 4 bytes"},
               [] { psnr_db(Bytes(3), Bytes(4)); });
  expect_error(ErrorCode::InvalidArgument, {"psnr_db", "0 and 0 bytes"}, [] { psnr_db({}, {}); });
}

TEST(Ssim, EqualPicturesGiveOne) {
  const auto picture = noise(32 * 32 * 3, 1);
  for (const auto window : windows) EXPECT_NEAR(ssim(picture, picture, 32, 32, window), 1, 1e-14);
}

TEST(Ssim, InvertedPictureIsNegative) {
  const auto picture = noise(32 * 32 * 3, 2);
  Bytes inverted;
  for (const auto value : picture) inverted.push_back(static_cast<std::uint8_t>(255 - value));
  for (const auto window : windows) EXPECT_LT(ssim(picture, inverted, 32, 32, window), -0.8);
}

TEST(Ssim, FlatPicturesDependOnTheirMeansOnly) {
  const Bytes a(20 * 20 * 3, 100), b(20 * 20 * 3, 150);
  const double expected = (2 * 100 * 150 + 6.5025) / (100 * 100 + 150 * 150 + 6.5025);
  for (const auto window : windows) EXPECT_NEAR(ssim(a, b, 20, 20, window), expected, 1e-12);
  const Bytes black(20 * 20 * 3, 0), white(20 * 20 * 3, 255);
  for (const auto window : windows)
    EXPECT_NEAR(ssim(black, white, 20, 20, window), 6.5025 / (255 * 255 + 6.5025), 1e-12);
}

TEST(Ssim, MatchesThePlainVersion) {
  std::uint64_t seed = 10;
  for (const auto& [height, width] : {std::pair{11, 11}, {32, 32}, {13, 29}, {40, 12}})
    for (const auto window : windows)
      for (const int strength : {1, 20, 200}) {
        const auto a = noise(static_cast<std::size_t>(height * width * 3), seed++);
        const auto b = disturbed(a, strength, seed++);
        const double got = ssim(a, b, height, width, window);
        EXPECT_NEAR(got, ref_ssim(a, b, height, width, window), 1e-11);
        EXPECT_NEAR(got, ssim(b, a, height, width, window), 1e-14);
      }
}

TEST(Ssim, SmallestPictures) {
  const auto a = noise(7 * 7 * 3, 3), b = noise(7 * 7 * 3, 4);
  EXPECT_NEAR(ssim(a, b, 7, 7), ref_ssim(a, b, 7, 7, SsimWindow::Uniform7), 1e-12);
  const auto large = noise(11 * 11 * 3, 5), other = noise(11 * 11 * 3, 6);
  EXPECT_NEAR(ssim(large, other, 11, 11, SsimWindow::Gaussian11),
              ref_ssim(large, other, 11, 11, SsimWindow::Gaussian11), 1e-12);
}

TEST(Ssim, ExtremeValuesDoNotOverflow) {
  Bytes a(30 * 30 * 3), b;
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = i / 3 % 2 ? 255 : 0;
  for (const auto value : a) b.push_back(static_cast<std::uint8_t>(255 - value));
  for (const auto window : windows)
    EXPECT_NEAR(ssim(a, b, 30, 30, window), ref_ssim(a, b, 30, 30, window), 1e-11);
  const Bytes white(30 * 30 * 3, 255);
  for (const auto window : windows) EXPECT_NEAR(ssim(white, white, 30, 30, window), 1, 1e-12);
}

TEST(Ssim, RefusesWrongSizes) {
  const auto code = ErrorCode::InvalidArgument;
  expect_error(code, {"ssim", "32x6", "at least 7"},
               [] { ssim(Bytes(6 * 32 * 3), Bytes(6 * 32 * 3), 6, 32); });
  expect_error(code, {"ssim", "6x32", "at least 7"},
               [] { ssim(Bytes(6 * 32 * 3), Bytes(6 * 32 * 3), 32, 6); });
  expect_error(code, {"ssim", "10x10", "at least 11"},
               [] { ssim(Bytes(300), Bytes(300), 10, 10, SsimWindow::Gaussian11); });
  expect_error(code, {"ssim", "300 and 299 bytes", "300"},
               [] { ssim(Bytes(300), Bytes(299), 10, 10); });
  expect_error(code, {"ssim", "100 and 100 bytes", "needs 300"},
               [] { ssim(Bytes(100), Bytes(100), 10, 10); });
}

TEST(MsSsim, IsSsimWhereOneScaleFits) {
  const auto a = noise(15 * 21 * 3, 20);
  const auto b = disturbed(a, 30, 21);
  EXPECT_NEAR(ms_ssim(a, b, 15, 21), ssim(a, b, 15, 21, SsimWindow::Gaussian11), 1e-9);
}

// Contrast and structure of flat pictures agree, so luminance of the last of two scales is all
// there is.
TEST(MsSsim, WeightsTheScales) {
  const Bytes a(32 * 32 * 3, 100), b(32 * 32 * 3, 150);
  const double luminance = (2 * 100 * 150 + 6.5025) / (100 * 100 + 150 * 150 + 6.5025);
  EXPECT_NEAR(ms_ssim(a, b, 32, 32), std::pow(luminance, 0.2856 / (0.0448 + 0.2856)), 1e-12);
  const Bytes c(180 * 176 * 3, 100), d(180 * 176 * 3, 150);
  EXPECT_NEAR(ms_ssim(c, d, 180, 176), std::pow(luminance, 0.1333), 1e-12);
}

// Noise of single pixels is gone at half the size, so two scales forgive what one does not.
TEST(MsSsim, SeesTheCoarseStructure) {
  Bytes smooth;
  for (int y = 0; y < 44; ++y)
    for (int x = 0; x < 44; ++x)
      for (int c = 0; c < 3; ++c)
        smooth.push_back(static_cast<std::uint8_t>(128 + 100 * std::sin(0.15 * x + 0.1 * y * c)));
  const auto noisy = disturbed(smooth, 60, 22), noisier = disturbed(smooth, 120, 22);
  EXPECT_NEAR(ms_ssim(smooth, smooth, 44, 44), 1, 1e-12);
  EXPECT_GT(ms_ssim(smooth, noisy, 44, 44), ssim(smooth, noisy, 44, 44, SsimWindow::Gaussian11));
  EXPECT_GT(ms_ssim(smooth, noisy, 44, 44), ms_ssim(smooth, noisier, 44, 44));
  Bytes inverted;
  for (const auto v : smooth) inverted.push_back(static_cast<std::uint8_t>(255 - v));
  EXPECT_EQ(ms_ssim(smooth, inverted, 44, 44), 0) << "negative terms count as 0";
}

struct RefTerms {
  double ssim, contrast;
};

/// Means of SSIM and of its contrast-structure term over one channel, every window on its own.
RefTerms ref_terms(const std::vector<double>& a, const std::vector<double>& b, int height,
                   int width, int c) {
  RefTerms total{0, 0};
  for (int top = 0; top + 11 <= height; ++top)
    for (int left = 0; left + 11 <= width; ++left) {
      double weight_sum = 0, ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
      for (int y = 0; y < 11; ++y)
        for (int x = 0; x < 11; ++x) {
          const double w = std::exp(-((y - 5) * (y - 5) + (x - 5) * (x - 5)) / 4.5);
          const auto i = static_cast<std::size_t>(((top + y) * width + left + x) * 3 + c);
          weight_sum += w;
          ma += w * a[i];
          mb += w * b[i];
          aa += w * a[i] * a[i];
          bb += w * b[i] * b[i];
          ab += w * a[i] * b[i];
        }
      ma /= weight_sum;
      mb /= weight_sum;
      const double contrast = (2 * (ab / weight_sum - ma * mb) + 58.5225) /
                              (aa / weight_sum - ma * ma + bb / weight_sum - mb * mb + 58.5225);
      total.contrast += contrast;
      total.ssim += contrast * (2 * ma * mb + 6.5025) / (ma * ma + mb * mb + 6.5025);
    }
  const double count = (height - 10) * (width - 10);
  return {total.ssim / count, total.contrast / count};
}

/// With the powers given, channel by channel.
double ref_ms_ssim(const Bytes& a_bytes, const Bytes& b_bytes, int height, int width,
                   const std::vector<double>& powers) {
  double sum = 0;
  for (int c = 0; c < 3; ++c) {
    std::vector<double> a(a_bytes.begin(), a_bytes.end()), b(b_bytes.begin(), b_bytes.end());
    double product = 1;
    int h = height, w = width;
    for (std::size_t scale = 0; scale < powers.size(); ++scale) {
      const auto terms = ref_terms(a, b, h, w, c);
      const double mean = scale + 1 == powers.size() ? terms.ssim : terms.contrast;
      product *= std::pow(mean < 0 ? 0 : mean, powers[scale]);
      std::vector<double> next_a(static_cast<std::size_t>(h / 2 * (w / 2) * 3)), next_b(next_a);
      for (std::size_t i = 0; i < next_a.size(); ++i) {
        const int x = static_cast<int>(i / 3) % (w / 2), y = static_cast<int>(i / 3) / (w / 2);
        for (int k = 0; k < 4; ++k) {
          const auto from =
              static_cast<std::size_t>(((2 * y + k / 2) * w + 2 * x + k % 2) * 3) + i % 3;
          next_a[i] += a[from] / 4;
          next_b[i] += b[from] / 4;
        }
      }
      a = next_a;
      b = next_b;
      h /= 2;
      w /= 2;
    }
    sum += product;
  }
  return sum / 3;
}

TEST(MsSsim, MatchesThePlainVersion) {
  const double two = 0.0448 + 0.2856;
  for (const auto& [height, width, powers] :
       {std::tuple{32, 32, std::vector{0.0448 / two, 0.2856 / two}},
        {25, 47, {0.0448 / two, 0.2856 / two}},
        {21, 40, {1.0}},
        {11, 11, {1.0}},
        {44, 47, {0.0448 / 0.6305, 0.2856 / 0.6305, 0.3001 / 0.6305}}}) {
    const auto a = noise(static_cast<std::size_t>(height * width * 3), 1);
    for (const int strength : {10, 100, 250}) {
      const auto b = disturbed(a, strength, 2);
      const double got = ms_ssim(a, b, height, width);
      EXPECT_NEAR(got, ref_ms_ssim(a, b, height, width, powers), 1e-11) << height << "x" << width;
      EXPECT_NEAR(got, ms_ssim(b, a, height, width), 1e-14);
    }
  }
}

TEST(MsSsim, TakesFiveScalesFrom176On) {
  const auto a = noise(176 * 177 * 3, 1), b = disturbed(a, 100, 2);
  EXPECT_NEAR(ms_ssim(a, b, 176, 177),
              ref_ms_ssim(a, b, 176, 177, {0.0448, 0.2856, 0.3001, 0.2363, 0.1333}), 1e-11);
}

TEST(MsSsim, RefusesWrongSizes) {
  const auto code = ErrorCode::InvalidArgument;
  expect_error(code, {"ms_ssim", "32x10", "at least 11"},
               [] { ms_ssim(Bytes(960), Bytes(960), 10, 32); });
  expect_error(code, {"ms_ssim", "363 and 362 bytes", "363"},
               [] { ms_ssim(Bytes(363), Bytes(362), 11, 11); });
}

TEST(MetricsVectors, MatchTheReference) {
  const auto path = veilnet::test::vector_file("metrics.safetensors");
  VEILNET_NEED_VECTOR(path);
  const auto file = Safetensors::load(path);
  const auto& a = file.at("a_nhwc");
  const auto& b = file.at("b_nhwc");
  ASSERT_EQ(a.dtype, DType::U8);
  ASSERT_EQ(a.shape.size(), 4u);
  const auto count = static_cast<std::size_t>(a.shape[0]);
  const int height = static_cast<int>(a.shape[1]), width = static_cast<int>(a.shape[2]);
  const auto expected = [&](const char* name) {
    std::vector<double> values(count);
    EXPECT_EQ(file.at(name).bytes.size(), count * sizeof(double));
    std::memcpy(values.data(), file.at(name).bytes.data(), count * sizeof(double));
    return values;
  };
  const auto psnr = expected("psnr_db"), uniform = expected("ssim_uniform7"),
             gaussian = expected("ssim_gaussian");
  const std::size_t size = a.bytes.size() / count;
  double worst = 0;
  const auto check = [&](double got, double reference) {
    if (std::isinf(reference)) {
      EXPECT_EQ(got, reference);
      return;
    }
    EXPECT_NEAR(got, reference, 1e-9 * std::abs(reference));
    worst = std::max(worst, std::abs(got - reference) / std::abs(reference));
  };
  for (std::size_t i = 0; i < count; ++i) {
    const auto one = a.bytes.subspan(i * size, size), other = b.bytes.subspan(i * size, size);
    check(psnr_db(one, other), psnr[i]);
    check(ssim(one, other, height, width), uniform[i]);
    check(ssim(one, other, height, width, SsimWindow::Gaussian11), gaussian[i]);
  }
  RecordProperty("worst_relative_error", std::to_string(worst));
  std::printf("worst relative error %.3g over %zu pairs\n", worst, count);
}

}  // namespace
}  // namespace veilnet::image
