#include "attack/chosen_plaintext.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "core/error.h"

namespace veilnet::attack {

namespace {

using image::Image;

/// How far a unit can move.
enum class Scope { Value, Pixel, Block, Picture };

/// The public part of a scheme, as the break sees it.
struct Moves {
  unsigned bits;  ///< of a unit: 4 or 8
  Scope scope;
};

Moves moves_of(const cipher::SchemeOptions& scheme) {
  if (scheme.id == "le") return {4, Scope::Block};
  if (scheme.id == "ele") return {4, Scope::Picture};
  if (scheme.id == "etc") return {8, Scope::Picture};
  if (scheme.id == "pixel-shuffle") return {8, Scope::Block};
  if (scheme.id == "pe" && scheme.shuffle_components) return {8, Scope::Pixel};
  return {8, Scope::Value};  // pe, bit-flip
}

[[noreturn]] void refuse_answers(const cipher::SchemeOptions& scheme) {
  throw Error(ErrorCode::BadData, "the encrypted pictures are not those of scheme \"" + scheme.id +
                                      "\" with the given block size and options under one key");
}

/// Sizes of plain and encrypted pictures, and where blocks lie in them.
struct Geometry {
  std::size_t height, width, side;

  std::size_t rows() const { return (height + side - 1) / side; }  ///< of blocks
  std::size_t columns() const { return (width + side - 1) / side; }
  std::size_t padded_height() const { return rows() * side; }
  std::size_t padded_width() const { return columns() * side; }
  std::size_t block_values() const { return 3 * side * side; }
  /// Index in the encrypted picture of value `index` of a block; with `row_width` the width of the plain picture, in that one.
  std::size_t value(std::size_t row, std::size_t column, std::size_t index, std::size_t row_width) const {
    return 3 * ((row * side + index / (3 * side)) * row_width + column * side) + index % (3 * side);
  }
  /// Whether that value is in the plain picture as well.
  bool real(std::size_t row, std::size_t column, std::size_t index) const {
    return row * side + index / (3 * side) < height && column * side + index % (3 * side) / 3 < width;
  }

  Image plain() const {
    return {static_cast<int>(height), static_cast<int>(width), std::vector<std::uint8_t>(3 * height * width)};
  }
  bool is_cipher(const Image& image) const {
    return image.height == static_cast<int>(padded_height()) && image.width == static_cast<int>(padded_width()) &&
           image.rgb.size() == 3 * padded_height() * padded_width();
  }
  void check_cipher(const Image& image) const {
    if (is_cipher(image)) return;
    throw Error(ErrorCode::InvalidArgument, "the encrypted picture is " + std::to_string(image.height) + "x" +
                                                std::to_string(image.width) + "; what was recovered opens those of " +
                                                std::to_string(padded_height()) + "x" + std::to_string(padded_width()));
  }
};

/// A picture's units in order: its bytes, or its nibbles, the low one of a byte first.
template <class Bytes>
class Units {
 public:
  Units(Bytes& bytes, unsigned bits) : bytes_(bytes), bits_(bits) {}
  unsigned get(std::size_t i) const { return bits_ == 8 ? bytes_[i] : bytes_[i / 2] >> (4 * (i % 2)) & 15u; }
  /// Where the picture is 0.
  void set(std::size_t i, unsigned value) {
    bits_ == 8 ? bytes_[i] = static_cast<std::uint8_t>(value)
               : bytes_[i / 2] |= static_cast<std::uint8_t>(value << (4 * (i % 2)));
  }

 private:
  Bytes& bytes_;
  unsigned bits_;
};

/// The numbers 0 to count-1 in digits of one unit each, most significant first, so that no number is another's complement.
class Numbering {
 public:
  Numbering(unsigned bits, std::size_t count) : bits_(bits), count_(count) {
    while ((std::uint64_t{1} << (bits_ * digits_ - 1)) < count_) ++digits_;
  }
  unsigned digits() const { return digits_; }
  unsigned digit(std::size_t number, unsigned which) const {
    return static_cast<unsigned>(number >> (bits_ * (digits_ - 1 - which))) & ((1u << bits_) - 1);
  }

  struct Read {
    std::size_t number;
    bool complemented;
  };
  /// Nothing where the digits are those of no number.
  std::optional<Read> read(std::uint64_t digits) const {
    const bool complemented = digits >> (bits_ * digits_ - 1) & 1;
    if (complemented) digits ^= (std::uint64_t{1} << (bits_ * digits_)) - 1;
    if (digits >= count_) return std::nullopt;
    return Read{static_cast<std::size_t>(digits), complemented};
  }

 private:
  unsigned bits_;
  std::uint64_t count_;
  unsigned digits_ = 1;
};

/// Plain unit i is encrypted unit from[i] XOR mask[i].
struct UnitMap {
  static constexpr auto kUnknown = std::numeric_limits<std::uint32_t>::max();
  explicit UnitMap(std::size_t units) : from(units, kUnknown), mask(units) {}

  void set(std::size_t plain, std::size_t cipher, bool complemented) {
    from[plain] = static_cast<std::uint32_t>(cipher);
    mask[plain] = complemented ? 0xff : 0;
  }
  bool complete() const { return std::ranges::find(from, kUnknown) == from.end(); }

  std::vector<std::uint32_t> from;
  std::vector<std::uint8_t> mask;
};

class Attack {
 public:
  Attack(const cipher::SchemeOptions& scheme, EncryptionOracle& oracle, const Geometry& geometry)
      : scheme_(scheme), oracle_(oracle), geometry_(geometry), moves_(moves_of(scheme)) {}

  UnitMap units() const {
    const bool shared = moves_.scope == Scope::Block && geometry_.height >= geometry_.side && geometry_.width >= geometry_.side;
    auto map = shared ? from_blocks() : from_pictures();
    if (!map.complete()) refuse_answers(scheme_);
    return map;
  }

  struct Substitution {
    std::vector<bool> selected;  ///< of a block's values
    std::array<std::uint8_t, 256> inverse;
  };
  Substitution substitution() const;

 private:
  Image ask(const Image& plain) const {
    auto cipher = oracle_.encrypt(plain);
    if (!geometry_.is_cipher(cipher)) refuse_answers(scheme_);
    return cipher;
  }

  Numbering::Read read(const Numbering& numbering, std::uint64_t digits) const {
    const auto found = numbering.read(digits);
    if (!found) refuse_answers(scheme_);
    return *found;
  }

  UnitMap from_pictures() const;
  UnitMap from_blocks() const;

  const cipher::SchemeOptions& scheme_;
  EncryptionOracle& oracle_;
  const Geometry& geometry_;
  Moves moves_;
};

/// A digit in each picture.
UnitMap Attack::from_pictures() const {
  const std::size_t units_a_value = 8 / moves_.bits, units = 3 * geometry_.height * geometry_.width * units_a_value;
  const std::size_t scope = moves_.scope == Scope::Value ? 1 : moves_.scope == Scope::Pixel ? 3 : units;
  const Numbering numbering(moves_.bits, scope);
  std::vector<std::uint64_t> answers(3 * geometry_.padded_height() * geometry_.padded_width() * units_a_value);
  for (unsigned k = 0; k < numbering.digits(); ++k) {
    auto plain = geometry_.plain();
    Units chosen(plain.rgb, moves_.bits);
    for (std::size_t i = 0; i < units; ++i) chosen.set(i, numbering.digit(i % scope, k));
    const auto cipher = ask(plain);
    const Units answer(cipher.rgb, moves_.bits);
    for (std::size_t i = 0; i < answers.size(); ++i) answers[i] = answers[i] << moves_.bits | answer.get(i);
  }

  UnitMap map(units);
  if (scope == units) {
    // What repeats the last row and column tells the same unit twice; either copy will do.
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const auto [number, complemented] = read(numbering, answers[i]);
      map.set(number, i, complemented);
    }
    return map;
  }
  // Units that stay in their pixel: one a value.
  for (std::size_t i = 0; i < units; ++i) {
    const auto row_bytes = 3 * geometry_.width;
    const auto at = i / row_bytes * 3 * geometry_.padded_width() + i % row_bytes;
    const auto [number, complemented] = read(numbering, answers[at]);
    map.set(i - i % scope + number, at, complemented);
  }
  return map;
}

/// A digit in each whole block, the key being the same in all.
UnitMap Attack::from_blocks() const {
  const std::size_t units_a_value = 8 / moves_.bits, units = geometry_.block_values() * units_a_value;
  const auto whole_columns = geometry_.width / geometry_.side, whole = geometry_.height / geometry_.side * whole_columns;
  const auto unit = [&](std::size_t row, std::size_t column, std::size_t index, std::size_t row_width) {
    return geometry_.value(row, column, index / units_a_value, row_width) * units_a_value + index % units_a_value;
  };
  const Numbering numbering(moves_.bits, units);
  std::vector<std::uint64_t> answers(units);
  for (unsigned first = 0; first < numbering.digits(); first += static_cast<unsigned>(whole)) {
    const auto digits = std::min<std::size_t>(whole, numbering.digits() - first);
    auto plain = geometry_.plain();
    Units chosen(plain.rgb, moves_.bits);
    for (unsigned k = 0; k < digits; ++k)
      for (std::size_t i = 0; i < units; ++i)
        chosen.set(unit(k / whole_columns, k % whole_columns, i, geometry_.width), numbering.digit(i, first + k));
    const auto cipher = ask(plain);
    const Units answer(cipher.rgb, moves_.bits);
    for (unsigned k = 0; k < digits; ++k)
      for (std::size_t i = 0; i < units; ++i)
        answers[i] =
            answers[i] << moves_.bits | answer.get(unit(k / whole_columns, k % whole_columns, i, geometry_.padded_width()));
  }

  UnitMap map(3 * geometry_.height * geometry_.width * units_a_value);
  for (std::size_t i = 0; i < units; ++i) {
    const auto [number, complemented] = read(numbering, answers[i]);
    for (std::size_t row = 0; row < geometry_.rows(); ++row)
      for (std::size_t column = 0; column < geometry_.columns(); ++column)
        if (geometry_.real(row, column, number / units_a_value))
          map.set(unit(row, column, number, geometry_.width), unit(row, column, i, geometry_.padded_width()), complemented);
  }
  return map;
}

/// First blocks of one value each, until half of the positions have shown that they take part; then the values that are still
/// unknown, as many at a time as there are such positions.
Attack::Substitution Attack::substitution() const {
  const auto values = geometry_.block_values(), blocks = geometry_.rows() * geometry_.columns();
  std::vector<bool> selected(values);
  std::array<std::optional<std::uint8_t>, 256> table;
  std::size_t next = 0, found = 0;  // the values from `next` on are unknown

  while (found < values / 2 && next < 256) {
    auto plain = geometry_.plain();
    const auto asked = std::min(blocks, 256 - next);
    const auto for_each_value = [&](auto&& action) {
      for (std::size_t b = 0; b < asked; ++b)
        for (std::size_t i = 0; i < values; ++i) action(b / geometry_.columns(), b % geometry_.columns(), next + b, i);
    };
    for_each_value([&](std::size_t row, std::size_t column, std::size_t v, std::size_t i) {
      if (geometry_.real(row, column, i))
        plain.rgb[geometry_.value(row, column, i, geometry_.width)] = static_cast<std::uint8_t>(v);
    });
    const auto cipher = ask(plain);
    for_each_value([&](std::size_t row, std::size_t column, std::size_t v, std::size_t i) {
      const auto answer = cipher.rgb[geometry_.value(row, column, i, geometry_.padded_width())];
      if (answer == v) return;
      if (table[v] && table[v] != answer) refuse_answers(scheme_);
      table[v] = answer;
      found += selected[i] ? 0 : 1;
      selected[i] = true;
    });
    for (const auto end = next + asked; next < end; ++next)
      if (!table[next]) table[next] = static_cast<std::uint8_t>(next);
  }

  std::vector<std::pair<std::size_t, std::size_t>> places;  // of plain and encrypted value
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto row = b / geometry_.columns(), column = b % geometry_.columns();
    for (std::size_t i = 0; i < values; ++i)
      if (selected[i] && geometry_.real(row, column, i))
        places.emplace_back(geometry_.value(row, column, i, geometry_.width),
                            geometry_.value(row, column, i, geometry_.padded_width()));
  }
  // Where no position of the plain picture takes part, the table is of no use.
  while (next < 256 && !places.empty()) {
    const auto asked = std::min(places.size(), 256 - next);
    auto plain = geometry_.plain();
    for (std::size_t i = 0; i < asked; ++i) plain.rgb[places[i].first] = static_cast<std::uint8_t>(next + i);
    const auto cipher = ask(plain);
    for (std::size_t i = 0; i < asked; ++i) table[next++] = cipher.rgb[places[i].second];
  }

  Substitution result{std::move(selected), {}};
  std::array<bool, 256> seen{};
  for (std::size_t v = 0; v < next; ++v) {
    if (seen[*table[v]]) refuse_answers(scheme_);
    seen[*table[v]] = true;
    result.inverse[*table[v]] = static_cast<std::uint8_t>(v);
  }
  return result;
}

}  // namespace

Recovered recover(const cipher::SchemeOptions& scheme, EncryptionOracle& oracle, int height, int width) {
  const auto& traits = cipher::scheme_traits(scheme.id);
  if (!traits.keyed)
    throw Error(ErrorCode::InvalidArgument, "scheme \"" + scheme.id + "\" has no key; a chosen-plaintext break recovers one");
  if (scheme.id == "etc" && scheme.as_published)
    throw Error(ErrorCode::Unsupported, "etc as published loses data; what it made cannot be decrypted");
  const int side = traits.blocks ? scheme.block_size : 1;
  cipher::check_geometry(height, width, side);
  const Geometry geometry{static_cast<std::size_t>(height), static_cast<std::size_t>(width), static_cast<std::size_t>(side)};
  if (6 * geometry.padded_height() * geometry.padded_width() >= UnitMap::kUnknown) {
    throw Error(ErrorCode::InvalidArgument, "a picture of " + std::to_string(height) + "x" + std::to_string(width) +
                                                " has more than the 2^32 nibbles that a break can number");
  }
  const Attack attack(scheme, oracle, geometry);

  if (scheme.id == "ffx") {
    return {[geometry, key = attack.substitution()](const Image& cipher) {
      geometry.check_cipher(cipher);
      auto plain = geometry.plain();
      for (std::size_t row = 0; row < geometry.rows(); ++row)
        for (std::size_t column = 0; column < geometry.columns(); ++column)
          for (std::size_t i = 0; i < key.selected.size(); ++i) {
            if (!geometry.real(row, column, i)) continue;
            const auto value = cipher.rgb[geometry.value(row, column, i, geometry.padded_width())];
            plain.rgb[geometry.value(row, column, i, geometry.width)] = key.selected[i] ? key.inverse[value] : value;
          }
      return plain;
    }};
  }
  return {[geometry, bits = moves_of(scheme).bits, map = attack.units()](const Image& cipher) {
    geometry.check_cipher(cipher);
    auto plain = geometry.plain();
    Units out(plain.rgb, bits);
    const Units in(cipher.rgb, bits);
    for (std::size_t i = 0; i < map.from.size(); ++i) out.set(i, (in.get(map.from[i]) ^ map.mask[i]) & ((1u << bits) - 1));
    return plain;
  }};
}

}  // namespace veilnet::attack
