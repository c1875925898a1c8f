#include "service/access.h"

#include <algorithm>
#include <fmt/format.h>
#include <sodium.h>
#include <system_error>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace veilnet::service {
namespace {

constexpr size_t kLongestOwner = 32;

bool is_owner(std::string_view name) {
  return !name.empty() && name.size() <= kLongestOwner && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

void start_sodium() {
  if (sodium_init() < 0) fail(ErrorCode::Unsupported, "libsodium cannot start");
}

}  // namespace

bool TokenBucket::take(Clock::time_point now) {
  if (last_) tokens_ += std::chrono::duration<double>(now - *last_).count() * rate_;
  tokens_ = std::min(tokens_, burst_);
  last_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

std::string add_api_key(const std::filesystem::path& file, const std::string& owner) {
  start_sodium();
  if (!is_owner(owner))
    fail(ErrorCode::InvalidArgument,
         "owner is \"{}\"; allowed are 1 to {} small letters, digits and -", printable(owner),
         kLongestOwner);
  std::error_code ignored;
  auto text = std::filesystem::exists(file, ignored) ? read_text(file, 1u << 20) : std::string();
  if (text.starts_with(owner + " ") || text.find("\n" + owner + " ") != text.npos)
    fail(ErrorCode::AlreadyExists, "{}: \"{}\" has a key; remove its line to draw another",
         file.string(), owner);
  std::array<uint8_t, 32> secret;
  randombytes_buf(secret.data(), secret.size());
  std::array<char, sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING)> text64;
  sodium_bin2base64(text64.data(), text64.size(), secret.data(), secret.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  const auto key = fmt::format("{}.{}", owner, text64.data());
  std::array<char, crypto_pwhash_STRBYTES> hash;
  if (crypto_pwhash_str(hash.data(), key.data(), key.size(), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
    fail(ErrorCode::Unsupported, "not enough memory for Argon2id");
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  text += fmt::format("{} {}\n", owner, hash.data());
  write_file(file, text, Overwrite::Yes, veilnet::Access::OwnerOnly);
  return key;
}

KeyRing::KeyRing(const std::filesystem::path& file, double requests_per_second) {
  start_sodium();
  randombytes_buf(secret_.data(), secret_.size());
  const auto text = read_text(file, 1u << 20);
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.empty()) continue;
    const auto space = line.find(' ');
    const auto owner = line.substr(0, space);
    const auto hash = space == line.npos ? std::string_view() : line.substr(space + 1);
    if (!is_owner(owner) || !hash.starts_with(crypto_pwhash_STRPREFIX) ||
        hash.size() >= crypto_pwhash_STRBYTES)
      fail(ErrorCode::BadData, "{}:{}: expected an owner and an Argon2id hash (veilnet apikey)",
           file.string(), number);
    Entry entry{std::string(hash), {}, {}};
    if (requests_per_second > 0)
      entry.bucket.emplace(requests_per_second, std::max(1.0, requests_per_second));
    if (!entries_.emplace(owner, std::move(entry)).second)
      fail(ErrorCode::BadData, "{}:{}: a second line of \"{}\"", file.string(), number, owner);
  }
  if (entries_.empty()) fail(ErrorCode::BadData, "{}: holds no key", file.string());
}

Access KeyRing::check(std::string_view key, std::string& owner, Clock::time_point now) {
  owner.clear();
  const auto name = key.substr(0, key.find('.'));
  std::array<uint8_t, 32> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const uint8_t*>(key.data()),
                     key.size(), secret_.data(), secret_.size());
  std::string argon2id;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end() || key.size() > 128) return Access::Unknown;
    auto& entry = found->second;
    if (entry.seen && sodium_memcmp(entry.seen->data(), hash.data(), hash.size()) == 0) {
      if (entry.bucket && !entry.bucket->take(now)) return Access::TooOften;
      owner = name;
      return Access::Granted;
    }
    if (!guesses_.take(now)) return Access::TooOften;
    argon2id = entry.argon2id;
  }
  if (crypto_pwhash_str_verify(argon2id.c_str(), key.data(), key.size()) != 0)
    return Access::Unknown;
  const std::lock_guard lock(mutex_);
  auto& entry = entries_.find(name)->second;
  entry.seen = hash;
  if (entry.bucket && !entry.bucket->take(now)) return Access::TooOften;
  owner = name;
  return Access::Granted;
}

}  // namespace veilnet::service
