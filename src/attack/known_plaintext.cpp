#include "attack/known_plaintext.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>

#include "attack/table.h"
#include "attack/unit_map.h"
#include "cipher/explicit_key.h"
#include "core/error.h"

namespace veilnet::attack {

namespace {

using image::Image;

/// splitmix64's output function.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

/// What one unit is in all samples, hashed. Two that collide by chance would be noticed when the
/// pairs are opened.
struct Column {
  std::uint64_t straight = 0, complement = 0;

  void add(unsigned value, unsigned ones) {
    straight = mixed(straight + value + 1);
    complement = mixed(complement + (value ^ ones) + 1);
  }
  /// Equal for a column and its complement, of which one is the complemented one.
  std::uint64_t key() const { return std::min(straight, complement); }
  bool complemented() const { return complement < straight; }
};

/// The last row and column are repeated up to whole blocks, as in cipher/scheme.h.
Image padded(const Geometry& geometry, const Image& plain) {
  Image out{
      static_cast<int>(geometry.padded_height()), static_cast<int>(geometry.padded_width()), {}};
  for (std::size_t y = 0; y < geometry.padded_height(); ++y)
    for (std::size_t x = 0; x < geometry.padded_width(); ++x) {
      const auto at =
          3 * (std::min(y, geometry.height - 1) * geometry.width + std::min(x, geometry.width - 1));
      out.rgb.insert(out.rgb.end(), {plain.rgb[at], plain.rgb[at + 1], plain.rgb[at + 2]});
    }
  return out;
}

/// The units of pictures by block and place in the block. With one key for all blocks (`shared`)
/// there is one block to match, block 0, of which all are samples.
class UnitMatch {
 public:
  UnitMatch(const cipher::SchemeOptions& scheme, const Geometry& geometry,
            std::span<const ExactPair> pairs)
      : moves_(moves_of(cipher::structure_of(scheme))),
        oriented_(cipher::structure_of(scheme).order == cipher::Structure::Order::Oriented),
        geometry_(geometry),
        blocks_(geometry.rows() * geometry.columns()),
        units_a_value_(8 / moves_.bits),
        units_(geometry.block_values() * units_a_value_),
        shared_(moves_.scope == Scope::Block),
        plain_(units_ * (shared_ ? 1 : blocks_)),
        cipher_(plain_),
        map_(3 * geometry.height * geometry.width * units_a_value_),
        determined_(map_.from.size()) {
    for (const auto& pair : pairs) {
      add(plain_, padded(geometry, pair.plain));
      add(cipher_, pair.cipher);
    }
  }

  /// False where no key explains the pairs.
  bool run() {
    return moves_.scope == Scope::Picture ? match_moved_blocks() : match_blocks_in_place();
  }

  UnitMap& map() { return map_; }
  double unique() const {
    return static_cast<double>(std::ranges::count(determined_, true)) /
           static_cast<double>(determined_.size());
  }

 private:
  void add(std::vector<Column>& columns, const Image& picture) const {
    const Units in(picture.rgb, moves_.bits);
    for (std::size_t b = 0; b < blocks_; ++b)
      for (std::size_t i = 0; i < units_; ++i)
        columns[(shared_ ? 0 : b * units_) + i].add(in.get(unit(b, i)), (1u << moves_.bits) - 1);
  }

  /// Index in the encrypted picture.
  std::size_t unit(std::size_t block, std::size_t i) const {
    const auto value = geometry_.value(block / geometry_.columns(), block % geometry_.columns(),
                                       i / units_a_value_, geometry_.padded_width());
    return value * units_a_value_ + i % units_a_value_;
  }
  /// Index in the plain picture, for padding of the unit that it repeats.
  std::size_t original(std::size_t block, std::size_t i) const {
    const auto value = i / units_a_value_;
    const auto y = block / geometry_.columns() * geometry_.side + value / (3 * geometry_.side);
    const auto x = block % geometry_.columns() * geometry_.side + value % (3 * geometry_.side) / 3;
    const auto pixel =
        std::min(y, geometry_.height - 1) * geometry_.width + std::min(x, geometry_.width - 1);
    return (3 * pixel + value % 3) * units_a_value_ + i % units_a_value_;
  }

  const Column& plain(std::size_t block, std::size_t i) const { return plain_[block * units_ + i]; }
  const Column& cipher(std::size_t block, std::size_t i) const {
    return cipher_[block * units_ + i];
  }

  /// Plain unit of each unit of an encrypted block, and whether it could be no other.
  struct Sources {
    std::vector<std::size_t> from;
    std::vector<bool> certain;
  };

  std::optional<Sources> sources(std::size_t plain_block, std::size_t cipher_block) const {
    if (oriented_) return arranged(plain_block, cipher_block, 48);
    if (moves_.scope == Scope::Value) return arranged(plain_block, cipher_block, 1);
    return permuted(plain_block, cipher_block);
  }

  /// Any order: equal columns in the order in which they lie.
  std::optional<Sources> permuted(std::size_t plain_block, std::size_t cipher_block) const {
    std::vector<std::size_t> from(units_), to(units_);
    std::iota(from.begin(), from.end(), 0);
    std::iota(to.begin(), to.end(), 0);
    std::ranges::stable_sort(from, {}, [&](std::size_t i) { return plain(plain_block, i).key(); });
    std::ranges::stable_sort(to, {}, [&](std::size_t i) { return cipher(cipher_block, i).key(); });

    Sources found{std::vector<std::size_t>(units_), std::vector<bool>(units_)};
    for (std::size_t begin = 0, end = 0; begin < units_; begin = end) {
      const auto key = plain(plain_block, from[begin]).key();
      bool certain = true;
      for (; end < units_ && plain(plain_block, from[end]).key() == key; ++end) {
        if (cipher(cipher_block, to[end]).key() != key) return std::nullopt;
        certain = certain && original(plain_block, from[end]) == original(plain_block, from[begin]);
      }
      for (auto k = begin; k < end; ++k) {
        found.from[to[k]] = from[k];
        found.certain[to[k]] = certain;
      }
    }
    return found;
  }

  /// The first of so many orders that explains the pairs; what another one puts elsewhere is
  /// uncertain. Values stay bytes.
  std::optional<Sources> arranged(std::size_t plain_block, std::size_t cipher_block,
                                  std::size_t orders) const {
    const auto explains = [&](std::size_t order) {
      const auto complemented = [&](std::size_t i) {
        return plain(plain_block, source(order, i)).complemented() !=
               cipher(cipher_block, i).complemented();
      };
      for (std::size_t i = 0; i < units_; ++i) {
        if (plain(plain_block, source(order, i)).key() != cipher(cipher_block, i).key())
          return false;
        if (oriented_ && complemented(i) != complemented(0)) return false;  // all values or none
      }
      return true;
    };
    std::optional<Sources> found;
    for (std::size_t order = 0; order < orders; ++order) {
      if (!explains(order)) continue;
      if (!found) {
        found = {std::vector<std::size_t>(units_), std::vector<bool>(units_, true)};
        for (std::size_t i = 0; i < units_; ++i) found->from[i] = source(order, i);
      }
      for (std::size_t i = 0; i < units_; ++i)
        if (original(plain_block, source(order, i)) != original(plain_block, found->from[i]))
          found->certain[i] = false;
    }
    return found;
  }

  /// Plain value of value i of an encrypted block: 8 orientations, 6 orders of components; order 0
  /// leaves everything in place.
  std::size_t source(std::size_t order, std::size_t i) const {
    const auto side = geometry_.side;
    auto row = i / (3 * side), column = i % (3 * side) / 3;
    if (order & 1) row = side - 1 - row;
    if (order & 2) column = side - 1 - column;
    if (order & 4) std::swap(row, column);
    return 3 * (row * side + column) + cipher::kColourOrders[order / 8][i % 3];
  }

  void take(std::size_t plain_block, std::size_t cipher_block, const Sources& found, bool certain) {
    const auto columns = [&](std::size_t block) { return shared_ ? 0 : block; };
    for (std::size_t i = 0; i < units_; ++i) {
      const auto to = original(plain_block, found.from[i]);
      if (determined_[to])
        continue;  // padding repeats a unit, and any copy will do that is certain
      map_.set(to, unit(cipher_block, i),
               plain(columns(plain_block), found.from[i]).complemented() !=
                   cipher(columns(cipher_block), i).complemented());
      determined_[to] = certain && found.certain[i];
    }
  }

  bool match_blocks_in_place() {
    std::optional<Sources> found;
    for (std::size_t b = 0; b < blocks_; ++b) {
      if (b == 0 || !shared_) found = sources(b, b);
      if (!found) return false;
      take(b, b, *found, true);
    }
    return true;
  }

  /// Blocks first: a block and what it becomes have the same columns, in whatever order.
  bool match_moved_blocks() {
    const auto signature = [&](const std::vector<Column>& columns, std::size_t block) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < units_; ++i) sum += mixed(columns[block * units_ + i].key());
      return sum;
    };
    struct Candidates {
      std::vector<std::size_t> free;
      bool several = false;
    };
    std::unordered_map<std::uint64_t, Candidates> alike;
    for (std::size_t b = 0; b < blocks_; ++b) {
      auto& [free, several] = alike[signature(plain_, b)];
      several = !free.empty();
      free.push_back(b);
    }
    for (std::size_t b = 0; b < blocks_; ++b) {
      auto& [free, several] = alike[signature(cipher_, b)];
      std::optional<Sources> found;
      const auto candidate = std::ranges::find_if(free, [&](std::size_t plain_block) {
        return (found = sources(plain_block, b)).has_value();
      });
      if (!found) return false;
      take(*candidate, b, *found, !several);
      free.erase(candidate);
    }
    return true;
  }

  Moves moves_;
  bool oriented_;
  const Geometry& geometry_;
  std::size_t blocks_, units_a_value_, units_;  // units_: of a block
  bool shared_;
  std::vector<Column> plain_, cipher_;
  UnitMap map_;
  std::vector<bool> determined_;  // of the plain picture's units
};

/// A position takes part once a value changes there. Nothing where no table explains the pairs.
std::optional<RecoveredFromPairs> match_values(const Geometry& geometry,
                                               std::span<const ExactPair> pairs) {
  const auto values = geometry.block_values();
  const auto for_each_value = [&](auto&& action) {
    for (const auto& pair : pairs) {
      const auto plain = padded(geometry, pair.plain);
      for (std::size_t row = 0; row < geometry.rows(); ++row)
        for (std::size_t column = 0; column < geometry.columns(); ++column)
          for (std::size_t i = 0; i < values; ++i) {
            const auto at = geometry.value(row, column, i, geometry.padded_width());
            action(i, plain.rgb[at], pair.cipher.rgb[at]);
          }
    }
  };

  Substitution key{std::vector<bool>(values), {}};
  for_each_value([&](std::size_t i, std::uint8_t plain, std::uint8_t cipher) {
    if (plain != cipher) key.selected[i] = true;
  });
  std::array<std::optional<std::uint8_t>, 256> table;
  bool explained = true;
  for_each_value([&](std::size_t i, std::uint8_t plain, std::uint8_t cipher) {
    if (!key.selected[i]) return;
    explained = explained && table[plain].value_or(cipher) == cipher;
    table[plain] = cipher;
  });
  if (!explained) return std::nullopt;
  std::iota(key.inverse.begin(), key.inverse.end(), std::uint8_t{0});
  for (std::size_t v = 0; v < 256; ++v)
    if (table[v]) key.inverse[*table[v]] = static_cast<std::uint8_t>(v);

  // A position that leaves a value alone which the table changes takes no part.
  std::vector<bool> left_alone(values);
  for_each_value([&](std::size_t i, std::uint8_t plain, std::uint8_t) {
    if (!key.selected[i] && table[plain].value_or(plain) != plain) left_alone[i] = true;
  });
  const double known = static_cast<double>(std::ranges::count_if(
                           table, [](const auto& entry) { return entry.has_value(); })) /
                       256;
  double determined = 0;
  std::size_t positions = 0;
  for (std::size_t i = 0; i < values; ++i) {
    if (!geometry.real(0, 0, i)) continue;
    ++positions;
    determined += left_alone[i] ? 1 : key.selected[i] ? known : 0;
  }
  return RecoveredFromPairs{opener(geometry, std::move(key)),
                            determined / static_cast<double>(positions)};
}

void check_pairs(const Geometry& geometry, std::span<const ExactPair> pairs) {
  const auto size = [](const Image& image) {
    return std::to_string(image.height) + "x" + std::to_string(image.width) + " with " +
           std::to_string(image.rgb.size()) + " bytes";
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto& [plain, cipher] = pairs[i];
    if (geometry.is_plain(plain) && geometry.is_cipher(cipher)) continue;
    throw Error(ErrorCode::InvalidArgument,
                "pair " + std::to_string(i) + " is a plain picture of " + size(plain) +
                    " and an encrypted one of " + size(cipher) +
                    "; by the first plain picture all have " + std::to_string(geometry.height) +
                    "x" + std::to_string(geometry.width) + " and " +
                    std::to_string(geometry.padded_height()) + "x" +
                    std::to_string(geometry.padded_width()) + " pixels of 3 bytes");
  }
}

}  // namespace

RecoveredFromPairs recover_from_pairs(const cipher::SchemeOptions& scheme,
                                      std::span<const ExactPair> pairs) {
  if (pairs.empty())
    throw Error(ErrorCode::InvalidArgument,
                "a known-plaintext break needs at least one exact pair; none is given");
  const auto geometry = breakable(scheme, pairs[0].plain.height, pairs[0].plain.width);
  check_pairs(geometry, pairs);

  std::optional<RecoveredFromPairs> recovered;
  const auto& structure = cipher::structure_of(scheme);
  if (structure.substitutes) {
    recovered = match_values(geometry, pairs);
  } else if (UnitMatch match(scheme, geometry, pairs); match.run()) {
    recovered = {opener(geometry, moves_of(structure).bits, std::move(match.map())),
                 match.unique()};
  }
  const auto opened = [&](const ExactPair& pair) {
    return recovered->decrypt(pair.cipher).rgb == pair.plain.rgb;
  };
  if (!recovered || !std::ranges::all_of(pairs, opened)) refuse_answers(scheme);
  return *recovered;
}

Attack known_plaintext() {
  return {
      "known-plaintext",
      "Finds, in a few exact pairs under the attacked key, where every unit of the picture goes "
      "and whether it is complemented.",
      [](const Target& t) -> Against {
        if (const auto why = why_no_key_holder(t); !why.empty()) return why;
        return RecoveredFromPairs::threat_model;
      },
      [](Materials& m, const Setting& s) -> Outcome {
        const auto count = std::min(s.budget.known_pairs, m.pairs->count());
        std::vector<ExactPair> known;
        for (size_t i = 0; i < count; ++i)
          known.push_back({m.pairs->plain().image(i), m.pairs->protected_pictures().image(i)});
        const auto recovered = recover_from_pairs(m.scheme, known);
        return {each_picture(m, recovered.decrypt),
                {{"exact pairs", static_cast<int64_t>(count)}, {"unique", recovered.unique}}};
      }};
}

}  // namespace veilnet::attack
