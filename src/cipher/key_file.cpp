#include "cipher/key_file.h"

#include <sodium.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace veilnet::cipher {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

namespace {

constexpr const char* kFormat = "veilnet-key";
constexpr int kVersion = 1;

/// The fields of the options that this scheme reads.
json to_json(const SchemeOptions& options) {
  json fields = {{"scheme", options.id}};
  if (scheme_traits(options.id).blocks) fields["block_size"] = options.block_size;
  if (options.id == "pe") fields["shuffle_components"] = options.shuffle_components;
  if (options.id == "etc") fields["as_published"] = options.as_published;
  return fields;
}

/// Reads fields, each exactly once.
class Fields {
 public:
  Fields(const std::string& name, const json& object) : name_(name), object_(object) {}

  template <class T>
  T take(const char* field, bool (json::*is_type)() const noexcept, const char* type) {
    const auto found = object_.find(field);
    if (found == object_.end()) throw bad("has no field \"" + std::string(field) + "\"");
    if (!((*found).*is_type)()) throw bad("field \"" + std::string(field) + "\" is not " + type);
    ++taken_;
    return found->get<T>();
  }
  std::string take_text(const char* field) {
    return take<std::string>(field, &json::is_string, "a string");
  }
  bool take_bool(const char* field) {
    return take<bool>(field, &json::is_boolean, "true or false");
  }
  std::int64_t take_int(const char* field) {
    return take<std::int64_t>(field, &json::is_number_integer, "a whole number");
  }

  void refuse_others() const {
    if (object_.size() != taken_) throw bad("holds fields that a key of this scheme does not have");
  }
  Error bad(const std::string& what) const { return {ErrorCode::BadData, name_ + ": " + what}; }

 private:
  std::string name_;
  const json& object_;
  std::size_t taken_ = 0;
};

}  // namespace

void save_key(const fs::path& path, const KeyFile& file, Overwrite overwrite) {
  const auto& traits = scheme_traits(file.options.id);
  if (!traits.keyed)
    throw Error(ErrorCode::InvalidArgument, "scheme \"" + file.options.id + "\" has no key");
  check_geometry(1, 1, traits.blocks ? file.options.block_size : 1);
  char hex[2 * sizeof file.key.bytes + 1];
  sodium_bin2hex(hex, sizeof hex, file.key.bytes.data(), file.key.bytes.size());
  json fields = {{"format", kFormat}, {"format_version", kVersion}};
  fields.update(to_json(file.options));
  fields["key"] = hex;
  write_file(path, fields.dump(1) + "\n", overwrite, Access::OwnerOnly);
}

KeyFile load_key(const fs::path& path) {
  const auto text = read_text(path, 1 << 16);
  const auto object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  Fields fields(path.string(), object);
  if (!object.is_object())
    throw fields.bad("is no key file, or truncated: it holds no JSON object");
  if (fields.take_text("format") != kFormat)
    throw fields.bad(std::string("is no key file: its format is not \"") + kFormat + "\"");
  if (const auto version = fields.take_int("format_version"); version != kVersion) {
    throw Error(ErrorCode::Unsupported, path.string() + ": has version " + std::to_string(version) +
                                            " of the key format; this build knows version " +
                                            std::to_string(kVersion));
  }
  KeyFile file;
  auto& options = file.options;
  options.id = fields.take_text("scheme");
  try {
    const auto& traits = scheme_traits(options.id);
    if (!traits.keyed) throw Error(ErrorCode::BadData, "scheme \"" + options.id + "\" has no key");
    if (traits.blocks) {
      const auto size = fields.take_int("block_size");
      if (size < 1 || size > kMaxBlockSize) {
        throw Error(ErrorCode::BadData, "block_size is " + std::to_string(size) +
                                            "; allowed is 1 to " + std::to_string(kMaxBlockSize));
      }
      options.block_size = static_cast<int>(size);
    }
  } catch (const Error& e) {
    throw fields.bad(e.what());
  }
  if (options.id == "pe") options.shuffle_components = fields.take_bool("shuffle_components");
  if (options.id == "etc") options.as_published = fields.take_bool("as_published");
  const auto hex = fields.take_text("key");
  std::size_t size = 0;
  const char* end = nullptr;
  if (hex.size() != 2 * file.key.bytes.size() ||
      sodium_hex2bin(file.key.bytes.data(), file.key.bytes.size(), hex.data(), hex.size(), nullptr,
                     &size, &end) != 0 ||
      end != hex.data() + hex.size()) {
    throw fields.bad("the key is not " + std::to_string(2 * file.key.bytes.size()) +
                     " hexadecimal digits");
  }
  fields.refuse_others();
  return file;
}

std::string key_id(const KeyFile& file) {
  const auto text = to_json(file.options).dump();
  // Keyed BLAKE2b: one way, and different for each set of options. Its shortest output is longer
  // than an id has to be.
  std::array<std::uint8_t, crypto_generichash_BYTES_MIN> hash;
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const std::uint8_t*>(text.data()),
                     text.size(), file.key.bytes.data(), file.key.bytes.size());
  char hex[2 * sizeof hash + 1];
  sodium_bin2hex(hex, sizeof hex, hash.data(), hash.size());
  return {hex, 16};
}

std::string describe(const SchemeOptions& options) {
  std::string text = options.id;
  if (scheme_traits(options.id).blocks)
    text += ", block size " + std::to_string(options.block_size);
  if (options.id == "pe" && options.shuffle_components) text += ", components shuffled";
  if (options.id == "etc" && options.as_published) text += ", as published";
  return text;
}

}  // namespace veilnet::cipher
