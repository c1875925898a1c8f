// How similar two pictures are.
#pragma once

#include <cstdint>
#include <span>

namespace veilnet::image {

/// Peak signal-to-noise ratio in dB over all bytes, peak 255. Equal pictures give +infinity.
/// @throws Error{InvalidArgument} if sizes differ or are empty.
double psnr_db(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

enum class SsimWindow {
  Uniform7,   ///< 7x7 box, sample covariance (n/(n-1)): scikit-image's default, used in this
              ///< literature
  Gaussian11  ///< sigma 1.5, 11x11, population covariance: Wang et al. 2004
};

/// Structural similarity of two interleaved RGB pictures (height*width*3 bytes each), K1 = 0.01, K2
/// = 0.03, L = 255, per channel, mean over the map with the window's half-width cropped at the
/// border, then mean over channels. Range [-1, 1], 1 for equal pictures.
/// @throws Error{InvalidArgument} if sizes do not match or a side is shorter than the window.
double ssim(std::span<const std::uint8_t> a_hwc, std::span<const std::uint8_t> b_hwc, int height,
            int width, SsimWindow window = SsimWindow::Uniform7);

/// Multi-scale SSIM (Wang, Simoncelli, Bovik 2003): Gaussian11 windows over scales halved by 2x2
/// means (a last odd row or column is dropped), mean contrast-structure of every scale and mean
/// SSIM of the last one, to the powers .0448, .2856, .3001, .2363, .1333, for each channel; mean
/// over channels. Negative means count as 0, as in the common implementations, so the range is [0,
/// 1].
///
/// Five scales need sides of 176; smaller pictures take as many scales as hold the window (two at
/// 32x32) with their powers scaled to sum 1, so figures of different sizes do not compare.
/// @throws Error{InvalidArgument} if sizes do not match or a side is shorter than 11.
double ms_ssim(std::span<const std::uint8_t> a_hwc, std::span<const std::uint8_t> b_hwc, int height,
               int width);

}  // namespace veilnet::image
