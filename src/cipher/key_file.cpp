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
  char hex[2 * sizeof file.key.bytes + 1];
  sodium_bin2hex(hex, sizeof hex, file.key.bytes.data(), file.key.bytes.size());
  json fields = {{"format", kFormat}, {"format_version", kVersion}};
  fields.update(option_fields(file.options));
  fields["key"] = hex;
  write_file(path, fields.dump(1) + "\n", overwrite, Access::OwnerOnly);
}

KeyFile load_key(const fs::path& path) {
  const auto object =
      read_json(path, {.max_bytes = 1 << 16, .max_depth = kMaxDepth, .max_values = kMaxFields});
  Fields fields(path.string(), object);
  if (!object.is_object()) fields.refuse("is no key file: it holds no JSON object");
  if (fields.take_text("format") != kFormat)
    fields.refuse("is no key file: its format is not \"{}\"", kFormat);
  if (const auto version = fields.take_int("format_version"); version != kVersion)
    fail(ErrorCode::Unsupported,
         "{}: has version {} of the key format; this build knows version {}", path.string(),
         version, kVersion);
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
  const auto hex = fields.take_text("key");
  std::size_t size = 0;
  const char* end = nullptr;
  if (hex.size() != 2 * file.key.bytes.size() ||
      sodium_hex2bin(file.key.bytes.data(), file.key.bytes.size(), hex.data(), hex.size(), nullptr,
                     &size, &end) != 0 ||
      end != hex.data() + hex.size())
    fields.refuse("the key is not {} hexadecimal digits", 2 * file.key.bytes.size());
  fields.refuse_others();
  return file;
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
