// The conventional schemes that turn a picture into one that a person does not recognise, and back.
//
// Each has a file of its own, which ends with its line of the table that schemes() gives;
// docs/schemes.md describes them, their sources and what they leak. None hides a picture from an
// attacker who can have pictures of his choice encrypted under the same key.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cipher/key.h"

namespace veilnet::cipher {

/// Which scheme, and its parameters. A scheme reads those that its SchemeSpec names and ignores the
/// others.
struct SchemeOptions {
  std::string id;        ///< of schemes()
  int block_size = 4;    ///< side of a block in pixels, up to kMaxBlockSize
  bool variant = false;  ///< the scheme's other form, see SchemeSpec::Variant
  double strength = 0;   ///< see SchemeSpec::Strength; 0 takes the default
};

/// What a key decides: once for all blocks of a picture, or for each place.
enum class KeyScope { None, Block, Picture };

/// What a scheme does to the units of a picture whatever the key, which is what everybody knows.
struct Structure {
  enum class Order {
    Kept,
    Pixel,     ///< units are permuted within their pixel
    Block,     ///< or within their block
    Oriented,  ///< or a block is turned, mirrored, its components permuted, its values complemented
               ///< or not, each of these alike in the whole block
  };
  int unit_bits = 8;         ///< 4: nibbles
  bool complements = false;  ///< a unit may become 255 - v (15 - v)
  Order order = Order::Kept;
  bool moves_blocks = false;
  bool substitutes = false;  ///< values may become those that a secret table gives
  bool loses_data = false;   ///< not even the key undoes it
};

class Scheme;

/// One line of the table of schemes.
struct SchemeSpec {
  std::string_view id;
  std::string_view text;    ///< what it does: "blurs with a Gaussian filter"
  std::string_view source;  ///< where it was published
  KeyScope key_scope = KeyScope::None;
  bool blocks = false;  ///< reads block_size; pictures are padded to whole blocks
  Structure structure{};

  /// A second form of the scheme.
  struct Variant {
    std::string_view name;   ///< of its key in files: "shuffle_components"; empty: there is none
    std::string_view label;  ///< in names of folders and rows: "shuffled"
    std::string_view text;   ///< "components shuffled"
    std::string_view help;   ///< "also permute the three components of each pixel"
    Structure structure{};

    std::string flag() const;  ///< of the command line: "--shuffle-components"
  };
  Variant variant{};

  struct Strength {
    double usual = 0;  ///< the default; 0: the scheme reads no strength
    double min = 0, max = 0;
    std::string_view text;  ///< what it measures
  };
  Strength strength{};

  bool drawn_anew = false;  ///< random: each picture needs a key of its own, which nobody keeps
  /// Published also with a key of its own for each picture: a classifier learns without a common
  /// one.
  bool own_keys = false;
  /// Flipping or shifting an encrypted picture gives what another key makes of the flipped or
  /// shifted one, so training pictures are encrypted first and augmented afterwards.
  bool augment_encrypted = false;
  std::string_view adaptation = "none";  ///< the papers' network for it, of nn/adaptation.h

  std::unique_ptr<Scheme> (*make)(const SchemeOptions& options, const Key& key, int height,
                                  int width) = nullptr;
  /// The same written down as plainly as it is published: what the fast code is tested and measured
  /// against. For pictures whose sides are multiples of the block size. Null without a key.
  void (*reference)(const SchemeOptions& options, const Key& key, int height, int width,
                    std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher) = nullptr;

  bool keyed() const { return key_scope != KeyScope::None; }
};

/// All schemes, in the order of every list.
std::span<const SchemeSpec> schemes();
/// @throws Error{InvalidArgument} for an unknown id, naming the known ones.
const SchemeSpec& scheme_spec(std::string_view id);
std::vector<std::string> scheme_ids();
/// Every scheme, and where it has a second form that one after it, at the default options.
std::vector<SchemeOptions> scheme_forms();
/// Of this form of the scheme.
const Structure& structure_of(const SchemeOptions& options);
/// "le, block size 4": the scheme and those of its options that change what it does.
std::string describe(const SchemeOptions& options);

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

/// Cheap enough to be called for every picture: at 32x32 about two microseconds for le and pe, five
/// for etc, twenty for ele. Draws everything from the key; the same options, key and size give the
/// same scheme on every machine (noise: on the same one).
/// @throws Error{InvalidArgument} for options or sides that are not allowed, naming them.
std::unique_ptr<Scheme> make_scheme(const SchemeOptions& options, const Key& key, int height,
                                    int width);

/// Pictures one behind the other (NHWC).
/// @throws Error{InvalidArgument} if the sizes are not those of a whole number of pictures, the
/// same on both sides.
void encrypt_all(const Scheme& scheme, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);

}  // namespace veilnet::cipher
