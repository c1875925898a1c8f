// LE of one block, which ele uses as well. Internal to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cipher/tiles.h"

namespace veilnet::cipher {

/// Appends LE of one block.
void append_le(NibbleMap& map, std::span<const std::uint16_t> permutation);

/// The plain version.
std::vector<std::uint8_t> ref_le_block(std::span<const std::uint8_t> block,
                                       std::span<const std::uint16_t> permutation);

}  // namespace veilnet::cipher
