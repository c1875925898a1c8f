// LE of blocks, which ele uses as well. Internal to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cipher/tiles.h"

namespace veilnet::cipher {

/// LE of as many blocks of `values` values as there are permutations, one behind the other.
NibbleMap le_map(std::vector<std::uint16_t> permutations, std::size_t values);

/// The plain version.
std::vector<std::uint8_t> ref_le_block(std::span<const std::uint8_t> block,
                                       std::span<const std::uint16_t> permutation);

}  // namespace veilnet::cipher
