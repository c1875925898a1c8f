#include "attack/chosen_plaintext.h"

#include <algorithm>
#include <array>
#include <optional>

#include "attack/table.h"
#include "attack/unit_map.h"

namespace veilnet::attack {

namespace {

using image::Image;

/// The numbers 0 to count-1 in digits of one unit each, most significant first, so that no number
/// is another's complement.
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

class Break {
 public:
  Break(const cipher::SchemeOptions& scheme, EncryptionOracle& oracle, const Geometry& geometry)
      : scheme_(scheme),
        oracle_(oracle),
        geometry_(geometry),
        moves_(moves_of(cipher::structure_of(scheme))) {}

  UnitMap units() const {
    const bool shared = moves_.scope == Scope::Block && geometry_.height >= geometry_.side &&
                        geometry_.width >= geometry_.side;
    auto map = shared ? from_blocks() : from_pictures();
    if (std::ranges::find(map.from, UnitMap::kUnknown) != map.from.end()) refuse_answers(scheme_);
    return map;
  }

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
UnitMap Break::from_pictures() const {
  const std::size_t units_a_value = 8 / moves_.bits,
                    units = 3 * geometry_.height * geometry_.width * units_a_value;
  const std::size_t scope = moves_.scope == Scope::Value   ? 1
                            : moves_.scope == Scope::Pixel ? 3
                                                           : units;
  const Numbering numbering(moves_.bits, scope);
  std::vector<std::uint64_t> answers(3 * geometry_.padded_height() * geometry_.padded_width() *
                                     units_a_value);
  for (unsigned k = 0; k < numbering.digits(); ++k) {
    auto plain = geometry_.plain();
    Units chosen(plain.rgb, moves_.bits);
    for (std::size_t i = 0; i < units; ++i) chosen.set(i, numbering.digit(i % scope, k));
    const auto cipher = ask(plain);
    const Units answer(cipher.rgb, moves_.bits);
    for (std::size_t i = 0; i < answers.size(); ++i)
      answers[i] = answers[i] << moves_.bits | answer.get(i);
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
UnitMap Break::from_blocks() const {
  const std::size_t units_a_value = 8 / moves_.bits,
                    units = geometry_.block_values() * units_a_value;
  const auto whole_columns = geometry_.width / geometry_.side,
             whole = geometry_.height / geometry_.side * whole_columns;
  const auto unit = [&](std::size_t row, std::size_t column, std::size_t index,
                        std::size_t row_width) {
    return geometry_.value(row, column, index / units_a_value, row_width) * units_a_value +
           index % units_a_value;
  };
  const Numbering numbering(moves_.bits, units);
  std::vector<std::uint64_t> answers(units);
  for (unsigned first = 0; first < numbering.digits(); first += static_cast<unsigned>(whole)) {
    const auto digits = std::min<std::size_t>(whole, numbering.digits() - first);
    auto plain = geometry_.plain();
    Units chosen(plain.rgb, moves_.bits);
    for (unsigned k = 0; k < digits; ++k)
      for (std::size_t i = 0; i < units; ++i)
        chosen.set(unit(k / whole_columns, k % whole_columns, i, geometry_.width),
                   numbering.digit(i, first + k));
    const auto cipher = ask(plain);
    const Units answer(cipher.rgb, moves_.bits);
    for (unsigned k = 0; k < digits; ++k)
      for (std::size_t i = 0; i < units; ++i)
        answers[i] =
            answers[i] << moves_.bits |
            answer.get(unit(k / whole_columns, k % whole_columns, i, geometry_.padded_width()));
  }

  UnitMap map(3 * geometry_.height * geometry_.width * units_a_value);
  for (std::size_t i = 0; i < units; ++i) {
    const auto [number, complemented] = read(numbering, answers[i]);
    for (std::size_t row = 0; row < geometry_.rows(); ++row)
      for (std::size_t column = 0; column < geometry_.columns(); ++column)
        if (geometry_.real(row, column, number / units_a_value))
          map.set(unit(row, column, number, geometry_.width),
                  unit(row, column, i, geometry_.padded_width()), complemented);
  }
  return map;
}

/// First blocks of one value each, until half of the positions have shown that they take part; then
/// the values that are still unknown, as many at a time as there are such positions.
Substitution Break::substitution() const {
  const auto values = geometry_.block_values(), blocks = geometry_.rows() * geometry_.columns();
  std::vector<bool> selected(values);
  std::array<std::optional<std::uint8_t>, 256> table;
  std::size_t next = 0, found = 0;  // the values from `next` on are unknown

  while (found < values / 2 && next < 256) {
    auto plain = geometry_.plain();
    const auto asked = std::min(blocks, 256 - next);
    const auto for_each_value = [&](auto&& action) {
      for (std::size_t b = 0; b < asked; ++b)
        for (std::size_t i = 0; i < values; ++i)
          action(b / geometry_.columns(), b % geometry_.columns(), next + b, i);
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
    for (std::size_t i = 0; i < asked; ++i)
      plain.rgb[places[i].first] = static_cast<std::uint8_t>(next + i);
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

Recovered recover(const cipher::SchemeOptions& scheme, EncryptionOracle& oracle, int height,
                  int width) {
  const auto geometry = breakable(scheme, height, width);
  const Break attack(scheme, oracle, geometry);

  const auto& structure = cipher::structure_of(scheme);
  if (structure.substitutes) return {opener(geometry, attack.substitution())};
  return {opener(geometry, moves_of(structure).bits, attack.units())};
}

Attack chosen_plaintext() {
  return {"chosen-plaintext",
          "Has a few pictures of the attacker's choice encrypted under the attacked key and reads "
          "the key off them.",
          [](const Target& t) -> Against {
            if (const auto why = why_no_key_holder(t); !why.empty()) return why;
            return Recovered::threat_model;
          },
          [](Materials& m, const Setting&) -> Outcome {
            const auto recovered =
                recover(m.scheme, *m.oracle, m.attacked.height(), m.attacked.width());
            return {each_picture(m, recovered.decrypt),
                    {{"chosen pictures", static_cast<int64_t>(m.oracle->queries())}}};
          }};
}

}  // namespace veilnet::attack
