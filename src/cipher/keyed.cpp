// The keyed schemes: how keys are drawn, and what they do to a picture.
#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numbers>
#include <optional>

#include "cipher/explicit_key.h"
#include "cipher/tiles.h"
#include "core/error.h"

namespace veilnet::cipher {

namespace {

double log2_factorial(double n) { return std::lgamma(n + 1) / std::numbers::ln2; }
double log2_choose(double n, double k) {
  return log2_factorial(n) - log2_factorial(k) - log2_factorial(n - k);
}

std::size_t values_of(int block_size) {
  return 3 * static_cast<std::size_t>(block_size) * static_cast<std::size_t>(block_size);
}

std::size_t blocks_of(int height, int width, int block_size) {
  const auto along = [&](int side) {
    return static_cast<std::size_t>((side + block_size - 1) / block_size);
  };
  return along(height) * along(width);
}

/// A flag for each of `size` positions, set for exactly half of them.
std::vector<std::uint8_t> draw_half(KeyStream& stream, std::size_t size) {
  std::vector<std::uint8_t> flags(size);
  std::fill_n(flags.begin(), size / 2, 1);
  stream.shuffle(std::span(flags));
  return flags;
}

void check_count(const char* what, std::size_t count, std::size_t wanted) {
  if (count != wanted) {
    throw Error(ErrorCode::InvalidArgument, std::string(what) + " has " + std::to_string(count) +
                                                " entries; needed are " + std::to_string(wanted));
  }
}

template <class T>
void check_below(const char* what, const std::vector<T>& codes, std::size_t wanted,
                 unsigned bound) {
  check_count(what, codes.size(), wanted);
  T largest = 0;
  for (const auto code : codes) largest = std::max(largest, code);
  if (largest >= bound) {
    throw Error(ErrorCode::InvalidArgument,
                std::string(what) + " holds a code that is too large; allowed is 0 to " +
                    std::to_string(bound - 1));
  }
}

template <class T>
void check_permutation(const char* what, std::span<const T> values, std::size_t wanted) {
  check_count(what, values.size(), wanted);
  std::vector<bool> seen(wanted);
  for (const auto value : values) {
    if (value >= wanted || seen[value]) {
      throw Error(ErrorCode::InvalidArgument,
                  std::string(what) + " is no permutation of 0 to " + std::to_string(wanted - 1));
    }
    seen[value] = true;
  }
}

/// Everything that moves nibbles or bytes inside tiles, and tiles.
class Gather final : public Scheme {
 public:
  Gather(const Properties& properties, const Tiling& tiling, NibbleMap map)
      : Scheme(properties), tiling_(tiling), map_(std::move(map)), forward_(tiling, map_) {}

 private:
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    run(forward_, plain, cipher);
  }

  void backward(const std::uint8_t* cipher, std::uint8_t* plain) const override {
    // Made when needed: most schemes only ever encrypt, some of them a single picture.
    std::call_once(inverted_, [this] {
      inverse_ = inverse(map_, tiling_.tile_bytes());
      backward_.emplace(tiling_, inverse_);
    });
    run(*backward_, cipher, plain);
  }

  void run(const TileGather& gather, const std::uint8_t* in, std::uint8_t* out) const {
    const auto bytes =
        3 * static_cast<std::size_t>(padded_height()) * static_cast<std::size_t>(padded_width());
    const auto tiled = static_cast<std::size_t>(tiling_.count) * tiling_.tile_bytes();
    if (bytes == tiled) return gather.apply(in, out);
    // The last run of 16 pixels reaches beyond the picture.
    std::vector<std::uint8_t> longer_in(in, in + bytes), longer_out(tiled);
    longer_in.resize(tiled);
    gather.apply(longer_in.data(), longer_out.data());
    std::copy_n(longer_out.begin(), bytes, out);
  }

  Tiling tiling_;
  NibbleMap map_;
  TileGather forward_;
  mutable std::once_flag inverted_;
  mutable NibbleMap inverse_;
  mutable std::optional<TileGather> backward_;
};

/// out[i] = in[i] XOR mask[i].
class Mask final : public Scheme {
 public:
  Mask(const Properties& properties, std::vector<std::uint8_t> mask)
      : Scheme(properties), mask_(std::move(mask)) {}

 private:
  void forward(const std::uint8_t* __restrict plain,
               std::uint8_t* __restrict cipher) const override {
    const auto* __restrict mask = mask_.data();
    const auto size = mask_.size();
    for (std::size_t i = 0; i < size; ++i) cipher[i] = plain[i] ^ mask[i];
  }
  void backward(const std::uint8_t* cipher, std::uint8_t* plain) const override {
    forward(cipher, plain);
  }

  std::vector<std::uint8_t> mask_;
};

/// A flag for each value of a block, laid out over a picture of padded size.
std::vector<std::uint8_t> repeat_block(const std::vector<std::uint8_t>& flags, int block_size,
                                       int height, int width) {
  const auto side = static_cast<std::size_t>(block_size);
  const auto rows = blocks_of(height, 1, block_size) * side,
             row_bytes = 3 * blocks_of(1, width, block_size) * side;
  std::vector<std::uint8_t> picture(rows * row_bytes);
  for (std::size_t y = 0; y < rows; ++y)
    for (std::size_t x = 0; x < row_bytes; ++x)
      picture[y * row_bytes + x] = flags[y % side * 3 * side + x % (3 * side)];
  return picture;
}

/// out[i] = table[in[i]] where selected.
class Substitute final : public Scheme {
 public:
  Substitute(const Properties& properties, const FfxKey& key)
      : Scheme(properties),
        selected_(repeat_block(key.selected, key.block_size, properties.height, properties.width)) {
    for (unsigned v = 0; v < 256; ++v) {
      encrypt_[0][v] = decrypt_[0][v] = static_cast<std::uint8_t>(v);
      encrypt_[1][v] = key.table[v];
      decrypt_[1][key.table[v]] = static_cast<std::uint8_t>(v);
    }
  }

 private:
  using Tables = std::array<std::array<std::uint8_t, 256>, 2>;

  void run(const Tables& tables, const std::uint8_t* in, std::uint8_t* out) const {
    for (std::size_t i = 0; i < selected_.size(); ++i) out[i] = tables[selected_[i]][in[i]];
  }
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    run(encrypt_, plain, cipher);
  }
  void backward(const std::uint8_t* cipher, std::uint8_t* plain) const override {
    run(decrypt_, cipher, plain);
  }

  std::vector<std::uint8_t> selected_;
  Tables encrypt_, decrypt_;
};

/// Appends LE of one block.
void append_le(NibbleMap& map, std::span<const std::uint16_t> permutation) {
  const std::size_t nibbles = permutation.size(), values = nibbles / 2;
  map.source.insert(map.source.end(), permutation.begin(), permutation.end());
  const auto complement = [&](std::size_t i) {
    return (permutation[i] > values) != (permutation[permutation[i]] > values);
  };
  for (std::size_t i = 0; i < values; ++i)
    map.mask.push_back(static_cast<std::uint8_t>((complement(i) ? 0x0f : 0) |
                                                 (complement(values + i) ? 0xf0 : 0)));
}

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

}  // namespace

LeKey draw_le(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  return {block_size, stream.permutation<std::uint16_t>(2 * values_of(block_size))};
}

EleKey draw_ele(const Key& key, int block_size, std::size_t blocks) {
  KeyStream stream(key, Purpose::BlockKeys);
  const auto nibbles = 2 * values_of(block_size);
  EleKey drawn{block_size, std::vector<std::uint16_t>(blocks * nibbles), {}};
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto permutation = std::span(drawn.permutations).subspan(b * nibbles, nibbles);
    std::iota(permutation.begin(), permutation.end(), std::uint16_t{0});
    stream.shuffle(permutation);
  }
  drawn.location = KeyStream(key, Purpose::Location).permutation<std::uint32_t>(blocks);
  return drawn;
}

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

PeKey draw_pe(const Key& key, std::size_t pixels, bool shuffle_components) {
  PeKey drawn;
  drawn.negate.resize(3 * pixels);
  KeyStream(key, Purpose::Negate).fill_bits(drawn.negate);
  if (shuffle_components) {
    KeyStream stream(key, Purpose::Shuffle);
    drawn.shuffle.resize(pixels);
    for (auto& code : drawn.shuffle) code = static_cast<std::uint8_t>(stream.below(6));
  }
  return drawn;
}

PixelShuffleKey draw_pixel_shuffle(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  return {block_size, stream.permutation<std::uint16_t>(values_of(block_size))};
}

BitFlipKey draw_bit_flip(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  return {block_size, draw_half(stream, values_of(block_size))};
}

FfxKey draw_ffx(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  auto selected = draw_half(stream, values_of(block_size));
  return {block_size, std::move(selected), stream.permutation<std::uint8_t>(256)};
}

std::unique_ptr<Scheme> make_scheme(const LeKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto nibbles = 2 * values_of(key.block_size);
  check_permutation("the LE key", std::span(key.permutation), nibbles);
  NibbleMap map;
  append_le(map, key.permutation);
  const Scheme::Properties properties{height, width, key.block_size, true,
                                      log2_factorial(static_cast<double>(nibbles))};
  return std::make_unique<Gather>(properties, Tiling::blocks(height, width, key.block_size),
                                  std::move(map));
}

std::unique_ptr<Scheme> make_scheme(const EleKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto nibbles = 2 * values_of(key.block_size),
             blocks = blocks_of(height, width, key.block_size);
  check_count("the ELE keys", key.permutations.size(), blocks * nibbles);
  check_permutation("the ELE key's location", std::span(key.location), blocks);
  NibbleMap map;
  map.location = key.location;
  map.source.reserve(blocks * nibbles);
  map.mask.reserve(blocks * nibbles / 2);
  for (const std::size_t source : key.location) {
    const auto permutation = std::span(key.permutations).subspan(source * nibbles, nibbles);
    check_permutation("an ELE block key", permutation, nibbles);
    append_le(map, permutation);
  }
  const auto n = static_cast<double>(blocks);
  const double bits = n * log2_factorial(static_cast<double>(nibbles)) + log2_factorial(n);
  return std::make_unique<Gather>(Scheme::Properties{height, width, key.block_size, true, bits},
                                  Tiling::blocks(height, width, key.block_size), std::move(map));
}

std::unique_ptr<Scheme> make_scheme(const EtcKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size), blocks = blocks_of(height, width, key.block_size);
  check_below("the EtC key's rotation", key.rotation, blocks, 4);
  check_below("the EtC key's negative", key.negative, blocks, 2);
  check_below("the EtC key's flip", key.flip, blocks, 3);
  check_below("the EtC key's colour", key.colour, blocks, 6);
  check_permutation("the EtC key's location", std::span(key.location), blocks);

  // Source value of each value, by rotation, flip and colour code.
  const auto side = static_cast<std::size_t>(key.block_size);
  std::vector<std::uint16_t> moves(4 * 3 * 6 * values);
  auto* move = moves.data();
  for (int rotation = 0; rotation < 4; ++rotation)
    for (int flip = 0; flip < 3; ++flip)
      for (const auto& order : key.as_published ? kPublishedColourOrders : kColourOrders)
        for (std::size_t row = 0; row < side; ++row)
          for (std::size_t column = 0; column < side; ++column)
            for (const auto component : order)
              *move++ = static_cast<std::uint16_t>(
                  3 * oriented_source(row, column, side, rotation, flip) + component);

  NibbleMap map;
  map.location = key.location;
  map.source.resize(2 * blocks * values);
  map.mask.resize(blocks * values);
  for (std::size_t i = 0; i < blocks; ++i) {
    const auto b = key.location[i];
    move = &moves[((key.rotation[b] * 3u + key.flip[b]) * 6u + key.colour[b]) * values];
    auto* source = &map.source[2 * i * values];
    for (std::size_t j = 0; j < values; ++j) {
      source[j] = move[j];
      source[values + j] = static_cast<std::uint16_t>(values + move[j]);
    }
    std::fill_n(&map.mask[i * values], values, key.negative[b] ? 0xff : 0);
  }
  const auto n = static_cast<double>(blocks);
  const double orientations = side == 1 ? 0 : 3, half = std::floor(n / 2);
  const double bits = n * (orientations + std::log2(6)) +
                      (key.as_published ? log2_choose(n, half) : n) + log2_factorial(n);
  return std::make_unique<Gather>(
      Scheme::Properties{height, width, key.block_size, !key.as_published, bits},
      Tiling::blocks(height, width, key.block_size), std::move(map));
}

std::unique_ptr<Scheme> make_scheme(const PeKey& key, int height, int width) {
  check_geometry(height, width, 1);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  check_below("the PE key's negate", key.negate, 3 * pixels, 2);
  double bits = 3 * static_cast<double>(pixels);
  if (key.shuffle.empty()) {
    std::vector<std::uint8_t> mask(3 * pixels);
    for (std::size_t i = 0; i < mask.size(); ++i)
      mask[i] = static_cast<std::uint8_t>(-key.negate[i]);
    return std::make_unique<Mask>(Scheme::Properties{height, width, 1, true, bits},
                                  std::move(mask));
  }
  check_below("the PE key's shuffle", key.shuffle, pixels, 6);
  bits += static_cast<double>(pixels) * std::log2(6);
  const auto tiling = Tiling::runs(static_cast<std::uint32_t>((pixels + 15) / 16));
  const std::size_t values = tiling.tile_bytes();
  NibbleMap map;
  map.source.resize(2 * tiling.count * values);
  map.mask.resize(tiling.count * values);
  for (std::size_t p = 0; p < 16 * std::size_t{tiling.count}; ++p) {
    const auto* order = kComponentOrders[p < pixels ? key.shuffle[p] : 0];
    const std::size_t tile = p / 16, first = 3 * (p % 16);
    for (std::size_t c = 0; c < 3; ++c) {
      const auto from = first + order[c];
      map.source[2 * tile * values + first + c] = static_cast<std::uint16_t>(from);
      map.source[2 * tile * values + values + first + c] =
          static_cast<std::uint16_t>(values + from);
      map.mask[3 * p + c] = p < pixels && key.negate[3 * p + order[c]] ? 0xff : 0;
    }
  }
  return std::make_unique<Gather>(Scheme::Properties{height, width, 1, true, bits}, tiling,
                                  std::move(map));
}

std::unique_ptr<Scheme> make_scheme(const PixelShuffleKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size);
  check_permutation("the pixel shuffling key", std::span(key.permutation), values);
  NibbleMap map;
  map.source = key.permutation;
  for (const auto from : key.permutation)
    map.source.push_back(static_cast<std::uint16_t>(values + from));
  map.mask.resize(values);
  const Scheme::Properties properties{height, width, key.block_size, true,
                                      log2_factorial(static_cast<double>(values))};
  return std::make_unique<Gather>(properties, Tiling::blocks(height, width, key.block_size),
                                  std::move(map));
}

std::unique_ptr<Scheme> make_scheme(const BitFlipKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size);
  check_below("the bit flipping key", key.flip, values, 2);
  const auto n = static_cast<double>(values);
  const Scheme::Properties properties{height, width, key.block_size, true,
                                      log2_choose(n, std::floor(n / 2))};
  auto mask = repeat_block(key.flip, key.block_size, height, width);
  for (auto& value : mask) value = static_cast<std::uint8_t>(-value);
  return std::make_unique<Mask>(properties, std::move(mask));
}

std::unique_ptr<Scheme> make_scheme(const FfxKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size);
  check_below("the FFX key's selection", key.selected, values, 2);
  check_permutation("the FFX key's table", std::span(key.table), 256);
  const auto n = static_cast<double>(values);
  const double bits = log2_choose(n, std::floor(n / 2)) + log2_factorial(256);
  return std::make_unique<Substitute>(Scheme::Properties{height, width, key.block_size, true, bits},
                                      key);
}

}  // namespace veilnet::cipher
