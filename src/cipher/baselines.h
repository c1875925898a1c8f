// What people use without a key. Nothing here has an inverse, and nothing here withstands a network
// that learned to undo it.
#pragma once

#include <memory>

#include "cipher/scheme.h"

namespace veilnet::cipher {

/// Gaussian filter of standard deviation sigma pixels, cut off at 3 sigma, borders replicated.
std::unique_ptr<Scheme> make_blur(double sigma, int height, int width);

/// Square cells of `side` pixels, counted from the top left, become their mean.
std::unique_ptr<Scheme> make_pixelate(int side, int height, int width);

/// Adds normal noise of this standard deviation in 8-bit steps, drawn from the key for each value,
/// and clips. Every picture of one key gets the same noise, so each needs a key of its own: the
/// difference of two holds none.
std::unique_ptr<Scheme> make_noise(const Key& key, double deviation, int height, int width);

}  // namespace veilnet::cipher
