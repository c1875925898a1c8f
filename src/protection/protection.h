// A way of protecting pictures, its secret included: what is trained on, attacked and measured.
//
// Whoever holds a Protection holds its key. An attack is handed pictures and functions made from
// one, never the object.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "protection/keys.h"

namespace veilnet::image {
class Batch;
}
namespace veilnet::cipher {
struct SchemeOptions;
}

namespace veilnet::protection {

/// Pictures at the same position of different sets must not share a key: the positions of a set
/// count from here.
inline constexpr std::uint64_t kFirstTrainingKey = 0;
inline constexpr std::uint64_t kFirstTestKey = 1ull << 32;
inline constexpr std::uint64_t kFirstObservedKey = 2ull << 32;  ///< pictures an attacker observes
inline constexpr std::uint64_t kFirstAttackerKey = 3ull << 32;  ///< the attacker's own experiments

/// May be used by several threads at once. The same object, pictures and first key give the same
/// result.
class Protection {
 public:
  virtual ~Protection() = default;
  Protection(const Protection&) = delete;
  Protection& operator=(const Protection&) = delete;

  /// A word that names it in folders, configurations and records: "le", "pe-independent",
  /// "transform-a0.005", "random".
  const std::string& label() const { return label_; }
  /// A phrase for people: "le, block size 4, one key for all pictures".
  const std::string& text() const { return text_; }
  Keys keys() const { return keys_; }
  /// All that decides what it makes of pictures, keys of an experiment's seed included, on one
  /// line; what is kept of its results is kept under this.
  virtual std::string describe() const = 0;

  /// Protected pictures, of the size of the plain ones.
  /// @param first_key of independent keys and of what is drawn anew: picture i has key first_key +
  /// i. @param labels of the pictures, read by what mixes pictures of one label; may be empty for
  /// everything else.
  /// @throws Error{InvalidArgument} for pictures or labels that it cannot take, saying which.
  virtual image::Batch protect(const image::Batch& plain, std::uint64_t first_key,
                               std::span<const std::int32_t> labels) const = 0;
  /// What anybody makes who knows the method but not its key: every picture under a key of its own.
  /// Without a key the same as protect().
  virtual image::Batch protect_without_key(const image::Batch& plain, std::uint64_t first_key,
                                           std::span<const std::int32_t> labels) const = 0;

  /// The scheme of src/cipher with a key that this is, its key apart; null for everything else.
  virtual const cipher::SchemeOptions* scheme() const { return nullptr; }

 protected:
  Protection(std::string label, std::string text, Keys keys)
      : label_(std::move(label)), text_(std::move(text)), keys_(keys) {}

 private:
  std::string label_, text_;
  Keys keys_;
};

}  // namespace veilnet::protection
