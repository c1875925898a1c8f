// The attacks on conventional schemes that train nothing: each encrypts the user's own pictures
// under keys that the attack does not see, attacks, and compares.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <numeric>
#include <spdlog/spdlog.h>

#include "attack/brute_force.h"
#include "attack/chosen_plaintext.h"
#include "attack/fr.h"
#include "cipher/key_file.h"
#include "cli/inputs.h"
#include "cli/lab/experiment_command.h"
#include "cli/scheme_flags.h"
#include "core/error.h"
#include "core/output_folder.h"
#include "core/random.h"
#include "core/text.h"
#include "image/image.h"
#include "image/metrics.h"

namespace veilnet::cli {
namespace {

using image::Image;

nlohmann::json to_json(const attack::ThreatModel& model) {
  nlohmann::json out;
  for (const auto& [field, value] : attack::fields(model)) out[std::string(field)] = value;
  return out;
}

Image encrypt(const cipher::Scheme& scheme, const Image& plain) {
  Image cipher{scheme.padded_height(), scheme.padded_width(), {}};
  cipher.rgb.resize(3 * static_cast<std::size_t>(cipher.height) *
                    static_cast<std::size_t>(cipher.width));
  scheme.encrypt(plain.rgb, cipher.rgb);
  return cipher;
}

struct Pictures {
  CommonOptions common;
  CellOptions cell;
  std::vector<std::string> inputs;
  std::filesystem::path output;
  bool force = false;
};

void add_pictures(CLI::App& command, Pictures& options) {
  command.add_option("input", options.inputs, "Picture files and folders")->type_name("INPUT");
  command
      .add_option("--output,-o", options.output,
                  "Folder to write encrypted/ and recovered/ PNG files to")
      ->type_name("FOLDER");
  command.add_flag("--force", options.force, "Replace existing files");
  add_json(command, options.common);
}

/// What an attack made of one picture.
struct Attacked {
  Image encrypted, recovered;
};

/// What came of all.
struct Results {
  nlohmann::json pictures = nlohmann::json::array(), failed = nlohmann::json::array();

  void fail_with(const Failure& failure) {
    spdlog::error("{}", printable(failure.message, 400));
    failed.push_back({{"input", as_utf8(failure.path.native())},
                      {"code", error_code_name(failure.code)},
                      {"message", as_utf8(failure.message)}});
  }

  /// Writes the record. @throws Error{BadData} if a picture failed.
  void write(const CommonOptions& options, nlohmann::json record) const {
    record["pictures"] = pictures;
    record["failed"] = failed;
    write_json(options, record);
    if (!failed.empty())
      fail(ErrorCode::BadData, "{} of {} pictures failed", failed.size(),
           failed.size() + pictures.size());
  }
};

/// Attacks every input and writes the pictures that come of it. A picture that fails does not stop
/// the others. @throws Error{InvalidArgument} if an input would be replaced.
Results attack_all(const Pictures& o, const std::function<Attacked(const Image& plain)>& attack) {
  if (o.inputs.empty() || o.output.empty())
    fail(ErrorCode::InvalidArgument,
         "pictures and --output are needed, or --on for an experiment's test pictures");
  const auto found = find_inputs(o.inputs, o.output);
  Results results;
  for (const auto& failure : found.failures) results.fail_with(failure);
  const auto& inputs = found.pictures;
  if (inputs.empty()) return results;
  const OutputFolder output(o.output);
  const auto names = png_names(inputs);
  const std::filesystem::path encrypted_folder = "encrypted", recovered_folder = "recovered";
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (const auto& folder : {encrypted_folder, recovered_folder})
      if (output.would_replace(folder / names[i], inputs[i].path))
        fail(ErrorCode::InvalidArgument,
             "{} is an input and would be replaced; give another --output",
             inputs[i].path.string());
  const auto overwrite = o.force ? Overwrite::Yes : Overwrite::No;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& path = inputs[i].path;
    try {
      const auto plain = image::read_image(path);
      const auto [encrypted, recovered] = attack(plain);
      output.write(encrypted_folder / names[i], image::encode_png(encrypted), overwrite);
      output.write(recovered_folder / names[i], image::encode_png(recovered), overwrite);
      const double psnr = image::psnr_db(plain.rgb, recovered.rgb);
      nlohmann::json record = {
          {"input", as_utf8(path.native())},
          {"encrypted", as_utf8((o.output / encrypted_folder / names[i]).native())},
          {"recovered", as_utf8((o.output / recovered_folder / names[i]).native())},
          {"exact", plain.rgb == recovered.rgb}};
      record["psnr_db"] = std::isfinite(psnr) ? nlohmann::json(psnr) : nlohmann::json("inf");
      // The window of SSIM needs 7 pixels.
      if (std::min(plain.height, plain.width) >= 7)
        record["ssim"] = image::ssim(plain.rgb, recovered.rgb, plain.height, plain.width);
      results.pictures.push_back(std::move(record));
    } catch (const Error& e) {
      results.fail_with({path, e.code(), e.what()});
    }
  }
  output.flush();
  return results;
}

std::size_t count_exact(const nlohmann::json& records) {
  return static_cast<std::size_t>(std::ranges::count_if(
      records, [](const auto& record) { return record["exact"].template get<bool>(); }));
}

struct ChosenPlaintextOptions : Pictures {
  SchemeFlags scheme;
};

void chosen_plaintext(const ChosenPlaintextOptions& o) {
  const auto& options = o.scheme.options;
  if (options.id.empty())
    fail(ErrorCode::InvalidArgument,
         "--scheme is needed: one of those with a key, for instance le");
  o.scheme.check(cipher::scheme_spec(options.id));
  // Refused once, not for each picture.
  if (!cipher::scheme_spec(options.id).keyed())
    fail(ErrorCode::InvalidArgument, "scheme \"{}\" has no key; a break recovers one", options.id);

  // The key stays on this side of the oracle; the attack has the scheme's name and options.
  const auto key = cipher::random_key();
  struct Broken {
    attack::Recovered recovered;
    int queries;
  };
  std::map<std::pair<int, int>, Broken> broken;
  const auto results = attack_all(o, [&](const Image& plain) {
    const auto scheme = cipher::make_scheme(options, key, plain.height, plain.width);
    auto found = broken.find({plain.height, plain.width});
    if (found == broken.end()) {
      attack::EncryptionOracle oracle(
          [&](const Image& chosen) { return encrypt(*scheme, chosen); });
      auto recovered = attack::recover(options, oracle, plain.height, plain.width);
      spdlog::info("{}: broken for pictures of {}x{} with {} chosen {}", cipher::describe(options),
                   plain.width, plain.height, oracle.queries(),
                   oracle.queries() == 1 ? "picture" : "pictures");
      found = broken
                  .emplace(std::pair{plain.height, plain.width},
                           Broken{std::move(recovered), oracle.queries()})
                  .first;
    }
    auto encrypted = encrypt(*scheme, plain);
    auto opened = found->second.recovered.decrypt(encrypted);
    return Attacked{std::move(encrypted), std::move(opened)};
  });
  auto sizes = nlohmann::json::array();
  for (const auto& [size, result] : broken)
    sizes.push_back({{"height", size.first}, {"width", size.second}, {"queries", result.queries}});
  const auto exact = count_exact(results.pictures);
  spdlog::info("{} of {} pictures recovered exactly", exact, results.pictures.size());
  results.write(o.common, {{"attack", "chosen-plaintext"},
                           {"threat_model", to_json(attack::Recovered::threat_model)},
                           {"scheme", cipher::describe(options)},
                           {"sizes", sizes},
                           {"exact", exact}});
}

struct FrOptions : Pictures {
  std::string mode = "advanced";
  bool shuffle_components = false;
  std::vector<int> first_pixel;
};

void fr(const FrOptions& o) {
  cipher::SchemeOptions pe;
  pe.id = "pe";
  pe.variant = o.shuffle_components;
  const auto results = attack_all(o, [&](const Image& plain) {
    auto encrypted =
        encrypt(*cipher::make_scheme(pe, cipher::random_key(), plain.height, plain.width), plain);
    auto recovered = attack::fr_basic(encrypted);
    if (o.mode == "advanced") {
      std::array<std::uint8_t, 3> guess{};
      for (std::size_t c = 0; c < 3; ++c)
        guess[c] =
            o.first_pixel.empty() ? recovered.rgb[c] : static_cast<std::uint8_t>(o.first_pixel[c]);
      recovered = attack::fr_advanced(encrypted, guess, o.shuffle_components);
    }
    return Attacked{std::move(encrypted), std::move(recovered)};
  });
  double ssim = 0;
  std::size_t measured = 0;
  for (const auto& record : results.pictures) {
    if (!record.contains("ssim")) continue;
    ssim += record["ssim"].get<double>();
    ++measured;
  }
  spdlog::info("FR-Attack ({}) on {}: {} pictures, {} recovered exactly{}", o.mode,
               cipher::describe(pe), results.pictures.size(), count_exact(results.pictures),
               measured > 0 ? fmt::format(", mean SSIM with the plain ones {:.3f}",
                                          ssim / static_cast<double>(measured))
                            : "");
  results.write(o.common, {{"attack", "fr-" + o.mode},
                           {"threat_model", to_json(attack::kFrThreatModel)},
                           {"scheme", cipher::describe(pe)}});
}

struct BruteForceOptions {
  CommonOptions common;
  CellOptions cell;
  int height = 32, width = 32;
  std::size_t max_bits = 20;
};

attack::ExactPair noise_pair(const cipher::Scheme& scheme, Random& random) {
  Image plain{scheme.height(), scheme.width(), {}};
  plain.rgb.resize(3 * static_cast<std::size_t>(plain.height) *
                   static_cast<std::size_t>(plain.width));
  for (auto& value : plain.rgb) value = static_cast<std::uint8_t>(random.below(256));
  auto cipher = encrypt(scheme, plain);
  return {std::move(plain), std::move(cipher)};
}

/// Prints and records one point of the cost curve.
template <class Key>
nlohmann::json point(const std::string& what, double keys, const attack::Search<Key>& found,
                     bool right) {
  const double rate = static_cast<double>(found.tried) / found.seconds;
  fmt::print("{:<38} {:>14.0f} {:>14} {:>10.4f} {:>12.0f}  {}\n", what, keys, found.tried,
             found.seconds, rate, right ? "the key" : "a key that explains the pairs");
  return {{"searched", what},        {"keys", keys},
          {"tried", found.tried},    {"seconds", found.seconds},
          {"keys_per_second", rate}, {"right", right}};
}

void brute_force(const BruteForceOptions& o) {
  cipher::check_geometry(o.height, o.width, 1);
  Random random(1);
  auto curve = nlohmann::json::array();
  double best_rate = 0;
  const auto add = [&](nlohmann::json record) {
    best_rate = std::max(best_rate, record["keys_per_second"].get<double>());
    curve.push_back(std::move(record));
  };
  const auto positions = [](std::size_t count) {
    std::vector<std::size_t> out(count);
    std::iota(out.begin(), out.end(), std::size_t{0});
    return out;
  };

  fmt::print("{:<38} {:>14} {:>14} {:>10} {:>12}  {}\n", "searched", "keys", "tried", "seconds",
             "keys/s", "found");
  constexpr std::size_t kStep = 4;
  for (std::size_t bits = kStep; bits <= o.max_bits; bits += kStep) {
    constexpr int kSide = 4;
    const auto key = cipher::draw_pe(cipher::random_key(), kSide * kSide, false);
    const auto pair = noise_pair(*cipher::make_scheme(key, kSide, kSide), random);
    const auto found = attack::search(key, positions(bits), {&pair, 1});
    add(point(fmt::format("pe, 4x4, {} unknown negations", bits), std::exp2(bits), found,
              found.key && found.key->negate == key.negate));
  }
  const auto search_le = [&](int block_size, std::size_t unknown) {
    const auto key = cipher::draw_le(cipher::random_key(), block_size);
    // The first, small pair refuses nearly every key; the second leaves only the right one.
    const std::vector<attack::ExactPair> pairs{
        noise_pair(*cipher::make_scheme(key, block_size, block_size), random),
        noise_pair(*cipher::make_scheme(key, 32, 32), random)};
    const auto found = attack::search(key, positions(unknown), pairs);
    add(point(fmt::format("le, block size {}, {} unknown entries", block_size, unknown),
              std::tgamma(static_cast<double>(unknown) + 1), found,
              found.key && found.key->permutation == key.permutation));
  };
  search_le(1, 6);
  for (std::size_t unknown = 2; std::lgamma(static_cast<double>(unknown) + 1) / std::log(2) <=
                                static_cast<double>(o.max_bits);
       ++unknown)
    search_le(4, unknown);

  fmt::print("\nAll keys of {}x{} pictures at {:.3g} keys/s, the best rate above:\n", o.width,
             o.height, best_rate);
  auto spaces = nlohmann::json::array();
  for (const auto& options : cipher::scheme_forms()) {
    if (!cipher::scheme_spec(options.id).keyed()) continue;
    const double bits =
        cipher::make_scheme(options, cipher::random_key(), o.height, o.width)->key_space_bits();
    const double years = attack::log10_years(bits, best_rate);
    fmt::print("{:<38} 2^{:<10.1f} 10^{:.1f} years\n", cipher::describe(options), bits, years);
    spaces.push_back(
        {{"scheme", cipher::describe(options)}, {"key_space_bits", bits}, {"log10_years", years}});
  }
  fmt::print("A chosen-plaintext break needs no search: veilnet attack chosen-plaintext\n");
  write_json(o.common, {{"attack", "brute-force"},
                        {"threat_model", to_json(attack::kBruteForceThreatModel)},
                        {"height", o.height},
                        {"width", o.width},
                        {"searches", curve},
                        {"key_spaces", spaces}});
}

}  // namespace

void add_chosen_plaintext(CLI::App& attack) {
  const auto options = std::make_shared<ChosenPlaintextOptions>();
  auto* command = attack.add_subcommand(
      "chosen-plaintext", "Break a conventional scheme exactly, with a few chosen pictures");
  add_pictures(*command, *options);
  add_scheme_flags(*command, options->scheme);
  add_cell_options(*command, options->cell, "chosen-plaintext");
  examples(*command,
           {"veilnet attack chosen-plaintext photos/ --scheme le -o broken/",
            "veilnet attack chosen-plaintext cat.png --scheme pe --json pe.json -o broken/"});
  command->callback([options] {
    if (!run_cell(options->cell, options->common.json)) chosen_plaintext(*options);
  });
}

void add_fr(CLI::App& attack) {
  const auto options = std::make_shared<FrOptions>();
  auto* command = attack.add_subcommand(
      "fr", "FR-Attack on pixel-based encryption, each picture under a key of its own");
  add_pictures(*command, *options);
  command
      ->add_option("--mode", options->mode,
                   "basic: min(v, 255 - v); advanced: the original nearest to the neighbour")
      ->check(CLI::IsMember({"basic", "advanced"}))
      ->capture_default_str();
  command->add_flag("--shuffle-components", options->shuffle_components,
                    "Encrypt with the components of each pixel permuted");
  command
      ->add_option("--first-pixel", options->first_pixel,
                   "advanced: a guess at the top left plain pixel; min(v, 255 - v) of the "
                   "encrypted one unless given")
      ->expected(3)
      ->check(CLI::Range(0, 255))
      ->type_name("R G B");
  add_cell_options(*command, options->cell, "fr");
  examples(*command, {"veilnet attack fr photos/ -o recovered/",
                      "veilnet attack fr cat.png --mode basic -o recovered/"});
  command->callback([options] {
    if (!run_cell(options->cell, options->common.json)) fr(*options);
  });
}

void add_brute_force(CLI::App& attack) {
  const auto options = std::make_shared<BruteForceOptions>();
  auto* command = attack.add_subcommand(
      "brute-force", "Search reduced keys, and say what whole key spaces would take");
  command->add_option("--height", options->height, "Of the pictures whose key spaces are counted")
      ->capture_default_str();
  command->add_option("--width", options->width, "Likewise")->capture_default_str();
  command->add_option("--max-bits", options->max_bits, "Search at most 2^this many keys")
      ->check(CLI::Range(4, 32))
      ->capture_default_str();
  add_json(*command, options->common);
  add_cell_options(*command, options->cell, "brute-force");
  examples(*command, {"veilnet attack brute-force",
                      "veilnet attack brute-force --max-bits 24 --json curve.json"});
  command->callback([options] {
    if (!run_cell(options->cell, options->common.json)) brute_force(*options);
  });
}

}  // namespace veilnet::cli
