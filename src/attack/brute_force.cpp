#include "attack/brute_force.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <string>

#include "attack/table.h"
#include "core/error.h"
#include "core/random.h"
#include "core/signals.h"

namespace veilnet::attack {

namespace {

constexpr int kMostBits = 64;  // of a key space that anybody would try to search

void check_unknown(std::span<const std::size_t> unknown, std::size_t entries, std::size_t most) {
  if (unknown.size() > most) {
    throw Error(ErrorCode::InvalidArgument,
                std::to_string(unknown.size()) +
                    " entries of the key are unknown; allowed is 0 to " + std::to_string(most) +
                    ", more would not end");
  }
  std::set<std::size_t> seen;
  for (const auto position : unknown) {
    if (position >= entries || !seen.insert(position).second) {
      throw Error(ErrorCode::InvalidArgument,
                  "unknown entry " + std::to_string(position) +
                      " is outside of the key or given twice; allowed is 0 to " +
                      std::to_string(entries - 1) + ", each once");
    }
  }
}

/// Tries `key`, then what `next` makes of it, until a key explains all pairs or `next` says that
/// there are no more.
template <class Key, class Next>
Search<Key> run(Key key, std::span<const ExactPair> pairs, Next&& next) {
  if (pairs.empty())
    throw Error(ErrorCode::InvalidArgument,
                "a search needs at least one exact pair; none is given");
  Search<Key> result;
  std::vector<std::uint8_t> encrypted;
  const auto explains = [&](const ExactPair& pair) {
    const auto scheme = cipher::make_scheme(key, pair.plain.height, pair.plain.width);
    encrypted.resize(3 * static_cast<std::size_t>(scheme->padded_height()) *
                     static_cast<std::size_t>(scheme->padded_width()));
    if (encrypted.size() != pair.cipher.rgb.size()) {
      throw Error(ErrorCode::InvalidArgument,
                  "the encrypted picture of a pair has " + std::to_string(pair.cipher.rgb.size()) +
                      " bytes; that of its plain picture has " + std::to_string(encrypted.size()));
    }
    scheme->encrypt(pair.plain.rgb, encrypted);
    return encrypted == pair.cipher.rgb;
  };
  const InterruptGuard guard;
  const auto begin = std::chrono::steady_clock::now();
  bool more = true;
  while (more && !result.key) {
    constexpr std::uint64_t kBetweenChecks = 1 << 14;
    if (result.tried++ % kBetweenChecks == 0 && interrupted())
      throw Error(ErrorCode::Interrupted,
                  "the search was interrupted after " + std::to_string(result.tried - 1) + " keys");
    if (std::ranges::all_of(pairs, explains))
      result.key = key;
    else
      more = next(key);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace

double log10_years(double key_space_bits, double keys_per_second) {
  if (!(key_space_bits >= 0) || !(keys_per_second > 0)) {
    throw Error(ErrorCode::InvalidArgument,
                "2^" + std::to_string(key_space_bits) + " keys at " +
                    std::to_string(keys_per_second) +
                    " a second: bits must not be negative, the rate must be positive");
  }
  constexpr double kSecondsPerYear = 365.25 * 24 * 3600;
  return key_space_bits * std::log10(2) - std::log10(keys_per_second) - std::log10(kSecondsPerYear);
}

Search<cipher::PeKey> search(const cipher::PeKey& given, std::span<const std::size_t> unknown,
                             std::span<const ExactPair> pairs) {
  check_unknown(unknown, given.negate.size(), kMaxUnknownBits);
  auto first = given;
  for (const auto position : unknown) first.negate[position] = 0;
  return run(std::move(first), pairs, [&](cipher::PeKey& key) {
    // Counts in binary.
    for (const auto position : unknown)
      if (key.negate[position] ^= 1) return true;
    return false;
  });
}

Search<cipher::LeKey> search(const cipher::LeKey& given, std::span<const std::size_t> unknown,
                             std::span<const ExactPair> pairs) {
  check_unknown(unknown, given.permutation.size(), kMaxUnknownEntries);
  std::vector<std::uint16_t> left;
  for (const auto position : unknown) left.push_back(given.permutation[position]);
  std::ranges::sort(left);
  auto first = given;
  const auto place = [&](cipher::LeKey& key) {
    for (std::size_t i = 0; i < unknown.size(); ++i) key.permutation[unknown[i]] = left[i];
  };
  place(first);
  return run(std::move(first), pairs, [&](cipher::LeKey& key) {
    const bool more = std::ranges::next_permutation(left).found;
    if (more) place(key);
    return more;
  });
}

Attack brute_force() {
  return {"brute-force",
          "Tries keys until one explains an exact pair; shows the protected picture where none "
          "does.",
          [](const Target& t) -> Against {
            if (const auto why = why_no_key_holder(t); !why.empty()) return why;
            if (t.key_space_bits.value_or(0) > kMostBits)
              return fmt::format("it has more than 2^{} keys, which nobody tries", kMostBits);
            return kBruteForceThreatModel;
          },
          [](Materials& m, const Setting& s) -> Outcome {
            const auto plain = m.pairs->plain().picture(0),
                       seen = m.pairs->protected_pictures().picture(0);
            Random random(s.recipe.seed);
            std::vector<std::uint8_t> made(seen.size());
            std::unique_ptr<cipher::Scheme> found;
            std::uint64_t tried = 0;
            double bits = 0;
            const InterruptGuard guard;
            while (tried < s.budget.keys && !found) {
              cipher::Key key;  // the attacker's guess
              for (auto& byte : key.bytes) byte = static_cast<std::uint8_t>(random.below(256));
              auto scheme =
                  cipher::make_scheme(m.scheme, key, m.attacked.height(), m.attacked.width());
              bits = scheme->key_space_bits();
              scheme->encrypt(plain, made);
              if (tried++ % 1024 == 0 && interrupted())
                fail(ErrorCode::Interrupted, "the search was interrupted after {} keys", tried - 1);
              if (std::ranges::equal(made, seen)) found = std::move(scheme);
            }
            auto recovered = m.attacked;
            if (found) {
              for (size_t i = 0; i < recovered.count(); ++i)
                found->decrypt(m.attacked.picture(i), recovered.picture(i));
            }
            return {recovered,
                    {{"keys tried", static_cast<int64_t>(tried)}, {"key space, bits", bits}}};
          }};
}

}  // namespace veilnet::attack
