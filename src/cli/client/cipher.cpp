#include <memory>
#include <spdlog/spdlog.h>

#include "cipher/picture_file.h"
#include "cli/picture_work.h"
#include "cli/scheme_flags.h"
#include "core/error.h"

namespace veilnet::cli {
namespace {

struct KeygenOptions {
  CommonOptions common;
  SchemeFlags scheme;
  int height = 32, width = 32;
  std::filesystem::path output;
  bool force = false, secret = false;
};

void keygen(const KeygenOptions& o) {
  const auto overwrite = o.force ? Overwrite::Yes : Overwrite::No;
  if (o.secret) {
    cipher::save_secret(o.output, cipher::random_key(), overwrite);
    spdlog::info("wrote a secret to {}", o.output.string());
    write_json(o.common, {{"secret", o.output.string()}});
    return;
  }
  if (!o.scheme.given("--scheme"))
    fail(ErrorCode::InvalidArgument, "neither --scheme nor --secret is given");
  o.scheme.check(cipher::scheme_spec(o.scheme.options.id));
  const cipher::KeyFile key{o.scheme.options, cipher::random_key()};
  const double bits =
      cipher::make_scheme(key.options, key.key, o.height, o.width)->key_space_bits();
  cipher::save_key(o.output, key, overwrite);
  spdlog::info("wrote key {} for {} to {}", cipher::key_id(key), cipher::describe(key.options),
               o.output.string());
  spdlog::info("{}x{} pictures have 2^{:.1f} different keys{}", o.width, o.height, bits,
               bits > 256 ? ", of which a 256-bit key file reaches 2^256" : "");
  write_json(o.common, {{"key", o.output.string()},
                        {"key_id", cipher::key_id(key)},
                        {"scheme", key.options.id},
                        {"height", o.height},
                        {"width", o.width},
                        {"key_space_bits", bits}});
}

struct CipherOptions : PictureOptions {
  std::filesystem::path key;
};

/// suffix: of the file that one picture becomes where no output is named.
void add_cipher_options(CLI::App& command, CipherOptions& options, const std::string& suffix) {
  add_picture_options(command, options);
  add_output_options(command, options, suffix);
  command.add_option("--key", options.key, "Key file (veilnet keygen)")->type_name("FILE");
}

struct EncryptOptions : CipherOptions {
  SchemeFlags scheme;
  std::string key_mode = "same";
};

/// The key file's options, which flags may repeat but not change.
cipher::KeyFile load_matching_key(const EncryptOptions& o) {
  const auto file = cipher::load_key(o.key);
  auto wanted = file.options;
  const auto& flags = o.scheme;
  if (flags.given("--scheme")) wanted.id = flags.options.id;
  if (flags.given("--block-size")) wanted.block_size = flags.options.block_size;
  flags.check(cipher::scheme_spec(wanted.id));
  if (flags.options.variant) wanted.variant = true;
  if (cipher::describe(wanted) != cipher::describe(file.options))
    fail(ErrorCode::InvalidArgument, "{}: is a key for {}; the command line asks for {}",
         o.key.string(), cipher::describe(file.options), cipher::describe(wanted));
  return file;
}

void encrypt(const EncryptOptions& o) {
  const bool independent = o.key_mode == "independent";
  if (!independent && o.key_mode != "same")
    fail(ErrorCode::InvalidArgument, "--key-mode is \"{}\"; allowed: same, independent",
         o.key_mode);
  cipher::KeyFile key{o.scheme.options, {}};
  if (!o.key.empty()) {
    if (independent)
      fail(ErrorCode::InvalidArgument,
           "--key-mode independent draws a key for each picture; drop --key");
    key = load_matching_key(o);
  } else if (key.options.id.empty()) {
    fail(ErrorCode::InvalidArgument, "neither --key nor --scheme is given");
  } else if (cipher::scheme_spec(key.options.id).keyed() && !independent) {
    fail(ErrorCode::InvalidArgument,
         "scheme \"{0}\" needs --key FILE (veilnet keygen --scheme {0} -o FILE), or --key-mode "
         "independent",
         key.options.id);
  }
  o.scheme.check(cipher::scheme_spec(key.options.id));
  // Wrong options are refused once, not for each picture.
  cipher::make_scheme(key.options, key.key, 1, 1);
  nlohmann::json record = {{"scheme", key.options.id}, {"key_mode", o.key_mode}};
  if (!o.key.empty()) record["key_id"] = cipher::key_id(key);
  run_pictures(o, {.title = "encrypt",
                   .done = "encrypted",
                   .suffix = "encrypted",
                   .record = std::move(record),
                   .read = [](std::span<const std::uint8_t> bytes,
                              const std::string& name) { return image::decode(bytes, name); },
                   .together = {},
                   .encode =
                       [&](const image::Image& picture) {
                         if (!o.key.empty()) return cipher::encrypt_to_png(picture, key, true);
                         const cipher::KeyFile own{key.options, cipher::random_key()};
                         return cipher::encrypt_to_png(picture, own, false);  // own is forgotten
                       }});
}

void decrypt(const CipherOptions& o) {
  const auto key = cipher::load_key(o.key);
  run_pictures(
      o, {.title = "decrypt",
          .done = "decrypted",
          .suffix = "decrypted",
          .record = {{"scheme", key.options.id}, {"key_id", cipher::key_id(key)}},
          .read = [&](std::span<const std::uint8_t> bytes,
                      const std::string& name) { return cipher::decrypt_png(bytes, name, key); },
          .max_file_bytes = cipher::encrypted_limits().max_file_bytes,
          .together = {},
          .encode = image::encode_png});
}

}  // namespace

void add_keygen(CLI::App& command) {
  const auto options = std::make_shared<KeygenOptions>();
  add_scheme_flags(command, options->scheme);
  command
      .add_flag("--secret", options->secret,
                "Instead of a scheme's key, a client's secret for protect --epsilon")
      ->excludes(command.get_option("--scheme"));
  command.add_option("--height", options->height,
                     "For the printed key space: height of the pictures, 32 unless given");
  command.add_option("--width", options->width, "And their width");
  command.add_option("--output,-o", options->output, "Key file to write")
      ->required()
      ->type_name("FILE");
  command.add_flag("--force", options->force, "Replace an existing key: what it encrypted is lost");
  add_json(command, options->common);
  examples(command, {"veilnet keygen --scheme le -o photos.key",
                     "veilnet keygen --scheme ele --block-size 8 -o photos.key --json key.json",
                     "veilnet keygen --secret -o client.secret"});
  command.callback([options] { keygen(*options); });
}

void add_encrypt(CLI::App& command) {
  const auto options = std::make_shared<EncryptOptions>();
  add_cipher_options(command, *options, "encrypted");
  add_scheme_flags(command, options->scheme);
  add_strength_flag(command, options->scheme);
  command.add_option("--key-mode", options->key_mode,
                     "same: the key of --key for every picture; independent: a key of its own for "
                     "each, thrown away");
  examples(command, {"veilnet encrypt photos/ --key photos.key -o encrypted/",
                     "veilnet encrypt cat.jpg --scheme blur --strength 2.5 -o blurred.png"});
  command.callback([options] { encrypt(*options); });
}

void add_decrypt(CLI::App& command) {
  const auto options = std::make_shared<CipherOptions>();
  add_cipher_options(command, *options, "decrypted");
  command.get_option("--key")->required();
  examples(command, {"veilnet decrypt encrypted/ --key photos.key -o decrypted/",
                     "veilnet decrypt - --key photos.key < cat.png > plain.png"});
  command.callback([options] { decrypt(*options); });
}

}  // namespace veilnet::cli
