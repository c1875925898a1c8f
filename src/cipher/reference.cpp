#include "cipher/reference.h"

#include <algorithm>
#include <cassert>
#include <functional>

namespace veilnet::cipher {

namespace {

using Block = std::vector<std::uint8_t>;

/// Cuts the picture into blocks, transforms each (given with its index), and puts them together;
/// block i of the result is block location[i], or i where there is no location.
void by_blocks(int height, int width, int block_size, std::span<const std::uint8_t> plain,
               std::span<std::uint8_t> cipher, const std::vector<std::uint32_t>& location,
               const std::function<Block(std::size_t, Block)>& transform) {
  assert(height % block_size == 0 && width % block_size == 0);
  const auto side = static_cast<std::size_t>(block_size), columns = static_cast<std::size_t>(width);
  const auto across = columns / side, blocks = static_cast<std::size_t>(height) / side * across;
  const auto at = [&](std::size_t block, std::size_t row, std::size_t column,
                      std::size_t component) {
    return ((block / across * side + row) * columns + block % across * side + column) * 3 +
           component;
  };
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t from = location.empty() ? i : location[i];
    Block block;
    for (std::size_t row = 0; row < side; ++row)
      for (std::size_t column = 0; column < side; ++column)
        for (std::size_t c = 0; c < 3; ++c) block.push_back(plain[at(from, row, column, c)]);
    block = transform(from, std::move(block));
    auto value = block.begin();
    for (std::size_t row = 0; row < side; ++row)
      for (std::size_t column = 0; column < side; ++column)
        for (std::size_t c = 0; c < 3; ++c) cipher[at(i, row, column, c)] = *value++;
  }
}

Block le(const Block& block, std::span<const std::uint16_t> permutation) {
  const auto values = block.size();
  Block u(2 * values), w(2 * values), out(values);
  for (std::size_t i = 0; i < values; ++i) {
    u[i] = block[i] & 15;
    u[values + i] = block[i] >> 4;
  }
  const auto reverse = [&](Block& nibbles) {
    for (std::size_t i = 0; i < nibbles.size(); ++i)
      if (permutation[i] > values) nibbles[i] = 15 - nibbles[i];
  };
  reverse(u);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = u[permutation[i]];
  reverse(w);
  for (std::size_t i = 0; i < values; ++i)
    out[i] = static_cast<std::uint8_t>(w[i] + 16 * w[values + i]);
  return out;
}

/// Moves pixels: the new (row, column) is source(row, column).
Block rearrange(const Block& block, std::size_t side, const auto& source) {
  Block out;
  for (std::size_t row = 0; row < side; ++row) {
    for (std::size_t column = 0; column < side; ++column) {
      const auto [from_row, from_column] = source(row, column);
      for (std::size_t c = 0; c < 3; ++c)
        out.push_back(block[(from_row * side + from_column) * 3 + c]);
    }
  }
  return out;
}

}  // namespace

void ref_encrypt(const LeKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {},
            [&](std::size_t, const Block& block) { return le(block, key.permutation); });
}

void ref_encrypt(const EleKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, key.location,
            [&](std::size_t index, const Block& block) {
              return le(
                  block,
                  std::span(key.permutations).subspan(index * 2 * block.size(), 2 * block.size()));
            });
}

void ref_encrypt(const EtcKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  const auto side = static_cast<std::size_t>(key.block_size);
  by_blocks(height, width, key.block_size, plain, cipher, key.location,
            [&](std::size_t index, Block block) {
              for (int turn = key.rotation[index]; turn >= 0 && key.rotation[index] != 3; --turn)
                block = rearrange(block, side, [&](auto row, auto column) {
                  return std::pair(column, side - 1 - row);
                });
              if (key.negative[index] == 1)
                for (auto& value : block) value = 255 - value;
              if (key.flip[index] == 0)
                block = rearrange(block, side, [&](auto row, auto column) {
                  return std::pair(side - 1 - row, column);
                });
              if (key.flip[index] == 1)
                block = rearrange(block, side, [&](auto row, auto column) {
                  return std::pair(row, side - 1 - column);
                });
              const auto& orders = key.as_published ? kPublishedColourOrders : kColourOrders;
              const auto before = block;
              for (std::size_t i = 0; i < block.size(); ++i)
                block[i] = before[i / 3 * 3 + orders[key.colour[index]][i % 3]];
              return block;
            });
}

void ref_encrypt(const PeKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
       ++p) {
    std::uint8_t negated[3];
    for (std::size_t c = 0; c < 3; ++c)
      negated[c] = key.negate[3 * p + c] ? 255 - plain[3 * p + c] : plain[3 * p + c];
    const auto* order = kComponentOrders[key.shuffle.empty() ? 0 : key.shuffle[p]];
    for (std::size_t c = 0; c < 3; ++c) cipher[3 * p + c] = negated[order[c]];
  }
}

void ref_encrypt(const PixelShuffleKey& key, int height, int width,
                 std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {}, [&](std::size_t, const Block& block) {
    Block out;
    for (const auto from : key.permutation) out.push_back(block[from]);
    return out;
  });
}

void ref_encrypt(const BitFlipKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {}, [&](std::size_t, Block block) {
    for (std::size_t i = 0; i < block.size(); ++i)
      if (key.flip[i]) block[i] = 255 - block[i];
    return block;
  });
}

void ref_encrypt(const FfxKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {}, [&](std::size_t, Block block) {
    for (std::size_t i = 0; i < block.size(); ++i)
      if (key.selected[i]) block[i] = key.table[block[i]];
    return block;
  });
}

}  // namespace veilnet::cipher
