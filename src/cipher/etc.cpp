#include "cipher/explicit_key.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

namespace {

/// Where the pixel at this place of a rotated, then flipped block comes from.
std::size_t oriented_source(std::size_t row, std::size_t column, std::size_t side, int rotation,
                            int flip) {
  if (flip == 0) row = side - 1 - row;
  if (flip == 1) column = side - 1 - column;
  for (int turn = rotation == 3 ? 0 : rotation + 1; turn > 0; --turn) {
    const auto old_row = row;
    row = column;
    column = side - 1 - old_row;
  }
  return row * side + column;
}

/// Moves pixels: the new (row, column) is source(row, column).
std::vector<std::uint8_t> rearrange(const std::vector<std::uint8_t>& block, std::size_t side,
                                    const auto& source) {
  std::vector<std::uint8_t> out;
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

EtcKey draw_etc(const Key& key, int block_size, std::size_t blocks, bool as_published) {
  KeyStream stream(key, Purpose::BlockKeys);
  EtcKey drawn;
  drawn.block_size = block_size;
  drawn.as_published = as_published;
  const auto draw = [&](std::vector<std::uint8_t>& codes, std::uint32_t bound) {
    codes.resize(blocks);
    for (auto& code : codes) code = static_cast<std::uint8_t>(stream.below(bound));
  };
  draw(drawn.rotation, 4);
  draw(drawn.colour, 6);
  if (as_published) {
    draw(drawn.flip, 3);
    drawn.negative = draw_half(stream, blocks);
  } else {
    // Rotation and one flip, or none, reach each of the 8 orientations once.
    draw(drawn.flip, 2);
    for (auto& flip : drawn.flip) flip *= 2;
    draw(drawn.negative, 2);
  }
  drawn.location = KeyStream(key, Purpose::Location).permutation<std::uint32_t>(blocks);
  return drawn;
}

std::unique_ptr<Scheme> make_scheme(const EtcKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size), blocks = blocks_of(height, width, key.block_size);
  check_below("the EtC key's rotation", key.rotation, blocks, 4);
  check_below("the EtC key's negative", key.negative, blocks, 2);
  check_below("the EtC key's flip", key.flip, blocks, 3);
  check_below("the EtC key's colour", key.colour, blocks, 6);
  check_permutation("the EtC key's location", std::span(key.location), blocks);

  // Where each pixel comes from, by rotation and flip code.
  const auto side = static_cast<std::size_t>(key.block_size), pixels = side * side;
  std::vector<std::uint16_t> moves;
  for (int rotation = 0; rotation < 4; ++rotation)
    for (int flip = 0; flip < 3; ++flip)
      for (std::size_t row = 0; row < side; ++row)
        for (std::size_t column = 0; column < side; ++column)
          moves.push_back(
              static_cast<std::uint16_t>(3 * oriented_source(row, column, side, rotation, flip)));

  NibbleMap map;
  map.location = key.location;
  map.whole_bytes = true;
  map.source.resize(blocks * values);
  map.after.resize(blocks * values);
  for (std::size_t i = 0; i < blocks; ++i) {
    const auto b = key.location[i];
    const auto* move = &moves[(key.rotation[b] * 3u + key.flip[b]) * pixels];
    const auto& order = (key.as_published ? kPublishedColourOrders : kColourOrders)[key.colour[b]];
    auto* source = &map.source[i * values];
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::size_t c = 0; c < 3; ++c)
        *source++ = static_cast<std::uint16_t>(move[p] + order[c]);
    std::fill_n(&map.after[i * values], values, key.negative[b] ? 0xff : 0);
  }
  const auto n = static_cast<double>(blocks);
  const double orientations = side == 1 ? 0 : 3;
  const double bits = n * (orientations + std::log2(6)) + (key.as_published ? log2_halves(n) : n) +
                      log2_factorial(n);
  return make_gather({height, width, key.block_size, !key.as_published, bits},
                     Tiling::blocks(height, width, key.block_size), std::move(map));
}

void ref_encrypt(const EtcKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  const auto side = static_cast<std::size_t>(key.block_size);
  by_blocks(height, width, key.block_size, plain, cipher, key.location,
            [&](std::size_t index, std::vector<std::uint8_t> block) {
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

namespace spec {
SchemeSpec etc() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int height, int width) {
    return draw_etc(key, options.block_size, blocks_of(height, width, options.block_size),
                    options.variant);
  };
  Structure oriented{
      .complements = true, .order = Structure::Order::Oriented, .moves_blocks = true};
  auto lossy = oriented;
  lossy.loses_data = true;
  return {.id = "etc",
          .text = "turns, mirrors, complements and recolours blocks, then moves them",
          .source = "arXiv 2001.07761",
          .key_scope = KeyScope::Picture,
          .blocks = true,
          .structure = oriented,
          .variant = {"as_published", "as-published", "as published",
                      "the released code's colour step, which loses data and cannot be decrypted",
                      lossy},
          .adaptation = "ele",
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
