// What a scheme does, spelled out: the key material that is otherwise drawn from a Key.
//
// For known answers of other implementations, for attacks, and for keys made elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cipher/key.h"
#include "cipher/scheme.h"

namespace veilnet::cipher {

/// Values of a block are counted by row, column, component: 3 B^2. Its nibbles are the low ones in
/// that order, then the high ones: 6 B^2. Blocks are counted by row, then column.

/// LE (Tanaka 2018): output nibble i is nibble permutation[i], complemented iff exactly one of i
/// and permutation[i] is in the reverse mask, which is { i : permutation[i] > 3 B^2 } as in the
/// released code.
struct LeKey {
  int block_size = 4;
  std::vector<std::uint16_t> permutation;
};

/// ELE (Madono 2020): LE with a key for each source block, then cipher block i is the encrypted
/// block location[i].
struct EleKey {
  int block_size = 4;
  std::vector<std::uint16_t> permutations;  ///< of block b from b * 6 B^2 on
  std::vector<std::uint32_t> location;
};

/// EtC (Chuman, Kiya): rotation, negative-positive, flip and colour permutation of each source
/// block, then cipher block i is the encrypted block location[i].
struct EtcKey {
  int block_size = 4;
  std::vector<std::uint8_t>
      rotation;  ///< 0, 1, 2: by 90, 180, 270 degrees counter-clockwise; 3: none
  std::vector<std::uint8_t> negative;  ///< 1: 255 - v
  std::vector<std::uint8_t> flip;      ///< 0: upside down, 1: left to right, 2: none
  std::vector<std::uint8_t> colour;    ///< 0 to 5: kColourOrders
  std::vector<std::uint32_t> location;
  bool as_published = false;  ///< kPublishedColourOrders instead
};

/// Output component c of EtC is component order[c] of the input.
inline constexpr std::uint8_t kColourOrders[6][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0},
                                                     {0, 2, 1}, {2, 0, 1}, {1, 2, 0}};
/// What the released code does instead, as it assigns components in place: all but the first lose a
/// component.
inline constexpr std::uint8_t kPublishedColourOrders[6][3] = {{0, 1, 2}, {1, 1, 2}, {2, 1, 2},
                                                              {0, 2, 2}, {2, 2, 2}, {1, 2, 1}};

/// Pixel-based encryption (Sirichotedumrong 2019): values are negated, then the components of each
/// pixel permuted.
struct PeKey {
  std::vector<std::uint8_t> negate;   ///< of each value, by row, column, component; 1: 255 - v
  std::vector<std::uint8_t> shuffle;  ///< of each pixel, 0 to 5: kComponentOrders; or empty
};

/// Output component c of PE is component order[c]: RGB, RBG, GRB, GBR, BRG, BGR.
inline constexpr std::uint8_t kComponentOrders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

/// Pixel shuffling: value i of every block is value permutation[i].
struct PixelShuffleKey {
  int block_size = 4;
  std::vector<std::uint16_t> permutation;
};

/// Bit flipping: 255 - v at half of the positions (rounded down) of every block.
struct BitFlipKey {
  int block_size = 4;
  std::vector<std::uint8_t> flip;  ///< 1: flipped
};

/// FFX-style: a permutation of the values 0 to 255 at half of the positions (rounded down) of every
/// block.
struct FfxKey {
  int block_size = 4;
  std::vector<std::uint8_t> selected;  ///< 1: permuted
  std::vector<std::uint8_t> table;     ///< 256 values
};

/// Uniform among the keys of their kind.
LeKey draw_le(const Key& key, int block_size);
EleKey draw_ele(const Key& key, int block_size, std::size_t blocks);
/// Uniform over 8 orientations, negation, colour order and location. As published: as the released
/// code draws, which is rotation and flip among 4 and 3, and exactly half of the blocks (rounded
/// down) negated.
EtcKey draw_etc(const Key& key, int block_size, std::size_t blocks, bool as_published);
PeKey draw_pe(const Key& key, std::size_t pixels, bool shuffle_components);
PixelShuffleKey draw_pixel_shuffle(const Key& key, int block_size);
BitFlipKey draw_bit_flip(const Key& key, int block_size);
FfxKey draw_ffx(const Key& key, int block_size);

/// A scheme with this key for pictures of this size.
/// @throws Error{InvalidArgument} if the key does not fit the size, is no permutation where it has
/// to be one, or holds a code out of range; and as make_scheme.
std::unique_ptr<Scheme> make_scheme(const LeKey& key, int height, int width);
std::unique_ptr<Scheme> make_scheme(const EleKey& key, int height, int width);
std::unique_ptr<Scheme> make_scheme(const EtcKey& key, int height, int width);
std::unique_ptr<Scheme> make_scheme(const PeKey& key, int height, int width);
std::unique_ptr<Scheme> make_scheme(const PixelShuffleKey& key, int height, int width);
std::unique_ptr<Scheme> make_scheme(const BitFlipKey& key, int height, int width);
std::unique_ptr<Scheme> make_scheme(const FfxKey& key, int height, int width);

/// SchemeSpec::reference under a key that fits the picture (uint8 HWC), whose sides are multiples
/// of the block size.
void ref_encrypt(const LeKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);
void ref_encrypt(const EleKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);
void ref_encrypt(const EtcKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);
void ref_encrypt(const PeKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);
void ref_encrypt(const PixelShuffleKey& key, int height, int width,
                 std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher);
void ref_encrypt(const BitFlipKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);
void ref_encrypt(const FfxKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher);

}  // namespace veilnet::cipher
