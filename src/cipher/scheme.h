// The conventional schemes that turn a picture into one that a person does not recognise, and back.
//
// docs/schemes.md describes each of them, its source and what it leaks. None hides a picture from
// an attacker who can have pictures of his choice encrypted under the same key.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cipher/key.h"

namespace veilnet::cipher {

/// Which scheme, and its parameters. A scheme reads those that its traits name and ignores the
/// others.
struct SchemeOptions {
  std::string id;                   ///< one of scheme_ids()
  int block_size = 4;               ///< side of a block in pixels, up to kMaxBlockSize
  bool shuffle_components = false;  ///< pe: also permute the three components of each pixel
  bool as_published = false;        ///< etc: the released code's colour step, which loses data
  double strength = 0;              ///< baselines: see SchemeTraits; 0 takes the default
};

/// What a scheme is.
struct SchemeTraits {
  std::string_view id;
  bool keyed;               ///< a key undoes it
  bool blocks;              ///< reads block_size; pictures are padded to whole blocks
  double default_strength;  ///< 0: reads no strength
  double min_strength;
  double max_strength;
  std::string_view strength;  ///< what the strength is
};

/// @throws Error{InvalidArgument} for an unknown id, naming the known ones.
const SchemeTraits& scheme_traits(const std::string& id);
/// All ids, in the order of docs/schemes.md.
std::vector<std::string> scheme_ids();

inline constexpr int kMaxSide = 32768;    ///< of a picture, in pixels
inline constexpr int kMaxBlockSize = 64;  ///< in pixels

/// @throws Error{InvalidArgument} for a side or a block size below 1 or above the limit.
void check_geometry(int height, int width, int block_size);

/// A scheme with its key, ready for pictures of one size. May be used by several threads at once.
class Scheme {
 public:
  struct Properties {
    int height, width, block_size;
    bool invertible;
    double key_space_bits;
  };
  virtual ~Scheme() = default;
  Scheme(const Scheme&) = delete;
  Scheme& operator=(const Scheme&) = delete;

  int height() const { return height_; }
  int width() const { return width_; }
  /// Sides of the encrypted picture: the next multiples of the block size. Padding repeats the last
  /// row and column.
  int padded_height() const { return padded_height_; }
  int padded_width() const { return padded_width_; }
  bool invertible() const { return invertible_; }
  /// log2 of the number of different transformations that keys choose from; 0 without a key. A key
  /// file's 256 bits bound a search as well.
  double key_space_bits() const { return key_space_bits_; }

  /// One picture, uint8 HWC: height * width * 3 bytes to padded_height * padded_width * 3. They
  /// must not overlap.
  /// @throws Error{InvalidArgument} for other sizes.
  void encrypt(std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher) const;
  /// The inverse, padding cropped. @throws Error{InvalidArgument} for other sizes,
  /// Error{Unsupported} where there is no inverse.
  void decrypt(std::span<const std::uint8_t> cipher, std::span<std::uint8_t> plain) const;

 protected:
  /// @throws Error{InvalidArgument} as check_geometry.
  explicit Scheme(const Properties& properties);

 private:
  /// Both of padded size.
  virtual void forward(const std::uint8_t* plain, std::uint8_t* cipher) const = 0;
  /// Called on invertible schemes only.
  virtual void backward(const std::uint8_t* cipher, std::uint8_t* plain) const;

  int height_, width_, padded_height_, padded_width_;
  bool invertible_;
  double key_space_bits_;
};

/// Cheap enough to be called for every picture: at 32x32 about a microsecond for le and pe, ten for
/// etc, forty for ele. Draws everything from the key; the same options, key and size give the same
/// scheme on every machine (noise: on the same one).
/// @throws Error{InvalidArgument} for options or sides that are not allowed, naming them.
std::unique_ptr<Scheme> make_scheme(const SchemeOptions& options, const Key& key, int height,
                                    int width);

/// Pictures one behind the other (NHWC).
/// @throws Error{InvalidArgument} if the sizes are not those of a whole number of pictures, the
/// same on both sides.
void encrypt_all(const Scheme& scheme, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);

}  // namespace veilnet::cipher
