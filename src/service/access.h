// Who may ask a server, and how often.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/files.h"
#include "service/scheduler.h"

namespace veilnet::service {

/// Tokens that come back with time: `rate` a second, up to `burst`.
class TokenBucket {
 public:
  TokenBucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst) {}
  bool take(Clock::time_point now);

 private:
  double rate_, burst_, tokens_;
  std::optional<Clock::time_point> last_;
};

/// Draws a key for this owner and appends its line to the file, which only its owner may read; the
/// key itself is kept nowhere. "<owner>.<43 characters>": 256 bits from libsodium.
/// @throws Error{InvalidArgument} for an owner that is not 1 to 32 of [a-z0-9-],
/// Error{AlreadyExists} for one that has a line, Error{Io} as write_file.
std::string add_api_key(const std::filesystem::path& file, const std::string& owner);

enum class Access {
  Granted,
  Unknown,   ///< no such key: 401
  TooOften,  ///< more requests than the owner, or more wrong keys than anybody, may send: 429
};

/// The keys of a file: lines of an owner and an Argon2id hash (crypto_pwhash_str). All functions
/// may be called from several threads at once.
class KeyRing {
 public:
  /// @param requests_per_second of each owner, with a second's worth at once; 0: unlimited.
  /// @throws Error{NotFound, Io} as read_file, Error{BadData} naming the line.
  KeyRing(const std::filesystem::path& file, double requests_per_second);

  /// Whose key this is, "" unless granted. A key that was seen before is compared in constant time
  /// with a hash in memory; Argon2id takes some 50 ms and is granted to few wrong keys a second.
  Access check(std::string_view key, std::string& owner, Clock::time_point now = Clock::now());

 private:
  struct Entry {
    std::string argon2id;
    std::optional<std::array<uint8_t, 32>> seen;  ///< hash of the right key, under secret_
    std::optional<TokenBucket> bucket;
  };

  std::array<uint8_t, 32> secret_{};
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  TokenBucket guesses_{2, 10};
};

}  // namespace veilnet::service
