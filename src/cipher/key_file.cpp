#include "cipher/key_file.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <sodium.h>

#include "cipher/option_fields.h"
#include "core/error.h"
#include "core/json_file.h"
#include "core/text.h"

namespace veilnet::cipher {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

namespace {

constexpr const char* kFormat = "veilnet-key";
constexpr const char* kSecretFormat = "veilnet-secret";
constexpr int kVersion = 1;
constexpr std::size_t kMaxDepth = 4, kMaxFields = 64;

/// Reads fields, each exactly once.
class Fields {
 public:
  using Json = nlohmann::json;
  Fields(std::string name, const Json& object) : name_(std::move(name)), object_(object) {}

  template <class T>
  T take(std::string_view field, bool (Json::*is_type)() const noexcept, const char* type) {
    const auto found = object_.find(std::string(field));
    if (found == object_.end()) refuse("has no field \"{}\"", field);
    if (!((*found).*is_type)()) refuse("field \"{}\" is not {}", field, type);
    ++taken_;
    return found->get<T>();
  }
  std::string take_text(std::string_view field) {
    return take<std::string>(field, &Json::is_string, "a string");
  }
  bool take_bool(std::string_view field) {
    return take<bool>(field, &Json::is_boolean, "true or false");
  }
  std::int64_t take_int(std::string_view field) {
    return take<std::int64_t>(field, &Json::is_number_integer, "a whole number");
  }

  /// What the file must be before anything else of it is read.
  void check_format(std::string_view format, std::string_view what) {
    if (!object_.is_object()) refuse("is no {} file: it holds no JSON object", what);
    if (const auto found = take_text("format"); found != format)
      refuse("is no {} file: its format is \"{}\", not \"{}\"", what, printable(found, 40), format);
    if (const auto version = take_int("format_version"); version != kVersion)
      fail(ErrorCode::Unsupported,
           "{}: has version {} of the {} format; this build knows version {}", name_, version, what,
           kVersion);
  }
  Key take_key() {
    Key key;
    const auto hex = take_text("key");
    std::size_t size = 0;
    const char* end = nullptr;
    if (hex.size() != 2 * key.bytes.size() ||
        sodium_hex2bin(key.bytes.data(), key.bytes.size(), hex.data(), hex.size(), nullptr, &size,
                       &end) != 0 ||
        end != hex.data() + hex.size())
      refuse("the key is not {} hexadecimal digits", 2 * key.bytes.size());
    return key;
  }
  void refuse_others() const {
    if (object_.size() != taken_) refuse("holds fields that a key of this scheme does not have");
  }
  template <class... Values>
  [[noreturn]] void refuse(fmt::format_string<Values...> what, Values&&... values) const {
    fail(ErrorCode::BadData, "{}: {}", name_, fmt::format(what, std::forward<Values>(values)...));
  }

 private:
  std::string name_;
  const Json& object_;
  std::size_t taken_ = 0;
};

std::string hexadecimal(const Key& key) {
  std::string hex(2 * key.bytes.size() + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), key.bytes.data(), key.bytes.size());
  hex.pop_back();
  return hex;
}

nlohmann::json read_fields(const fs::path& path) {
  return read_json(path, {.max_bytes = 1 << 16, .max_depth = kMaxDepth, .max_values = kMaxFields});
}

}  // namespace

json option_fields(const SchemeOptions& options) {
  const auto& spec = scheme_spec(options.id);
  json fields = {{"scheme", options.id}};
  if (spec.blocks) fields["block_size"] = options.block_size;
  if (const auto& name = spec.variant.name; !name.empty())
    fields[std::string(name)] = options.variant;
  return fields;
}

void save_key(const fs::path& path, const KeyFile& file, Overwrite overwrite) {
  const auto& spec = scheme_spec(file.options.id);
  if (!spec.keyed()) fail(ErrorCode::InvalidArgument, "scheme \"{}\" has no key", spec.id);
  check_geometry(1, 1, spec.blocks ? file.options.block_size : 1);
  json fields = {{"format", kFormat}, {"format_version", kVersion}};
  fields.update(option_fields(file.options));
  fields["key"] = hexadecimal(file.key);
  write_file(path, fields.dump(1) + "\n", overwrite, Access::OwnerOnly);
}

KeyFile load_key(const fs::path& path) {
  const auto object = read_fields(path);
  Fields fields(path.string(), object);
  fields.check_format(kFormat, "key");
  KeyFile file;
  auto& options = file.options;
  options.id = fields.take_text("scheme");
  const auto known = std::ranges::find(schemes(), options.id, &SchemeSpec::id);
  if (known == schemes().end())
    fields.refuse("there is no scheme \"{}\"; allowed: {}", printable(options.id),
                  fmt::join(scheme_ids(), ", "));
  if (!known->keyed()) fields.refuse("scheme \"{}\" has no key", options.id);
  if (known->blocks) {
    const auto size = fields.take_int("block_size");
    if (size < 1 || size > kMaxBlockSize)
      fields.refuse("block_size is {}; allowed is 1 to {}", size, kMaxBlockSize);
    options.block_size = static_cast<int>(size);
  }
  if (!known->variant.name.empty()) options.variant = fields.take_bool(known->variant.name);
  file.key = fields.take_key();
  fields.refuse_others();
  return file;
}

void save_secret(const fs::path& path, const Key& secret, Overwrite overwrite) {
  const json fields = {
      {"format", kSecretFormat}, {"format_version", kVersion}, {"key", hexadecimal(secret)}};
  write_file(path, fields.dump(1) + "\n", overwrite, Access::OwnerOnly);
}

Key load_secret(const fs::path& path) {
  const auto object = read_fields(path);
  Fields fields(path.string(), object);
  fields.check_format(kSecretFormat, "secret");
  const auto key = fields.take_key();
  fields.refuse_others();
  return key;
}

std::string key_id(const KeyFile& file) {
  const auto text = option_fields(file.options).dump();
  // Keyed BLAKE2b: one way, and different for each set of options. Its shortest output is longer
  // than an id has to be.
  std::array<std::uint8_t, crypto_generichash_BYTES_MIN> hash;
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const std::uint8_t*>(text.data()),
                     text.size(), file.key.bytes.data(), file.key.bytes.size());
  char hex[2 * sizeof hash + 1];
  sodium_bin2hex(hex, sizeof hex, hash.data(), hash.size());
  return {hex, 16};
}

}  // namespace veilnet::cipher
