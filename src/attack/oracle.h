// The holder of the attacked key, as a chosen-plaintext attack meets him.
#pragma once

#include <functional>
#include <utility>

#include "image/image.h"

namespace veilnet::attack {

/// Encrypts what he is given: all that a chosen-plaintext attack learns of the key. Counts how
/// often he is asked.
class EncryptionOracle {
 public:
  using Encrypt = std::function<image::Image(const image::Image&)>;
  explicit EncryptionOracle(Encrypt encrypt) : encrypt_(std::move(encrypt)) {}

  image::Image encrypt(const image::Image& plain) {
    ++queries_;
    return encrypt_(plain);
  }
  int queries() const { return queries_; }

 private:
  Encrypt encrypt_;
  int queries_ = 0;
};

}  // namespace veilnet::attack
