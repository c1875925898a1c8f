// The keyed schemes written down as plainly as they are published: what the fast code is tested and
// measured against.
#pragma once

#include <cstdint>
#include <span>

#include "cipher/explicit_key.h"

namespace veilnet::cipher {

/// Encrypts one picture (uint8 HWC) whose sides are multiples of the block size, under a key that
/// fits it.
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
