// What holds for every scheme of the table: a new line of it is tested here without a new test.
#include <algorithm>
#include <cmath>
#include <set>

#include "cipher/key_file.h"
#include "core/cpu.h"
#include "core/files.h"
#include "pictures.h"
#include "support.h"

namespace veilnet::cipher {
namespace {

using test::Bytes;
using test::decrypt;
using test::encrypt;
using test::noise_picture;
using test::test_key;

/// Every form of every scheme at several block sizes.
std::vector<SchemeOptions> all_forms() {
  std::vector<SchemeOptions> all;
  for (const auto& form : scheme_forms()) {
    all.push_back(form);
    if (!scheme_spec(form.id).blocks) continue;
    for (const int block : {1, 2, 3, 5, 7, 8, 16}) {
      all.push_back(form);
      all.back().block_size = block;
    }
  }
  return all;
}

std::vector<SchemeOptions> keyed_forms() {
  auto all = all_forms();
  std::erase_if(all, [](const auto& form) { return !scheme_spec(form.id).keyed(); });
  return all;
}

TEST(Table, IsComplete) {
  std::set<std::string_view> ids;
  for (const auto& spec : schemes()) {
    SCOPED_TRACE(spec.id);
    EXPECT_TRUE(ids.insert(spec.id).second) << "twice";
    EXPECT_FALSE(spec.text.empty());
    EXPECT_FALSE(spec.source.empty());
    EXPECT_NE(spec.make, nullptr);
    EXPECT_EQ(spec.reference != nullptr, spec.keyed());
    EXPECT_EQ(spec.strength.usual > 0, !spec.keyed()) << "a baseline has a strength";
    if (!spec.variant.name.empty()) {
      EXPECT_FALSE(spec.variant.label.empty());
      EXPECT_FALSE(spec.variant.text.empty());
      EXPECT_FALSE(spec.variant.help.empty());
    }
    const auto scheme = make_scheme({.id = std::string(spec.id)}, test_key(), 8, 8);
    EXPECT_EQ(scheme->key_space_bits() > 0, spec.keyed());
  }
}

TEST(Table, StandsInTheDocumentsWordForWord) {
  const auto page = read_text("docs/schemes.md");
  for (const auto& spec : schemes()) {
    EXPECT_NE(page.find(fmt::format("| `{}` | {} | {} |", spec.id, spec.text, spec.source)),
              std::string::npos)
        << "docs/schemes.md lacks the row of " << spec.id;
    if (!spec.variant.name.empty())
      EXPECT_NE(page.find('`' + spec.variant.flag() + '`'), std::string::npos) << spec.id;
  }
}

TEST(EveryScheme, EqualsItsPlainVersionOnEveryInstructionSet) {
  for (const auto& options : keyed_forms()) {
    const int block = scheme_spec(options.id).blocks ? options.block_size : 1;
    for (const auto& [down, across] : {std::pair{1, 1}, {2, 3}, {5, 2}, {3, 11}}) {
      const int height = down * block, width = across * block;
      SCOPED_TRACE(fmt::format("{}, {}x{}", describe(options), height, width));
      const auto key = test_key(static_cast<std::uint64_t>(10 * block + down));
      const auto plain = noise_picture(height, width, 7);
      Bytes expected(plain.size());
      scheme_spec(options.id).reference(options, key, height, width, plain, expected);
      for (const auto level : simd_levels()) {
        force_simd(level);
        EXPECT_EQ(encrypt(*make_scheme(options, key, height, width), plain), expected)
            << simd_name(level);
      }
      force_simd(std::nullopt);
    }
  }
}

TEST(EveryScheme, DecryptsWhatItEncryptsOnEverySize) {
  for (const auto& options : all_forms()) {
    for (const auto& [height, width] :
         {std::pair{1, 1}, {1, 17}, {5, 3}, {16, 16}, {31, 33}, {32, 32}, {64, 1}}) {
      SCOPED_TRACE(fmt::format("{}, {}x{}", describe(options), height, width));
      const auto plain = noise_picture(height, width, 3);
      const auto scheme = make_scheme(
          options, derive_key(test_key(), static_cast<std::uint64_t>(height)), height, width);
      ASSERT_EQ(scheme->invertible(), !structure_of(options).loses_data);
      const auto encrypted = encrypt(*scheme, plain);
      if (scheme->key_space_bits() > 40) EXPECT_NE(encrypted, plain);
      if (scheme->invertible()) {
        EXPECT_EQ(decrypt(*scheme, encrypted), plain);
      } else {
        test::expect_error(ErrorCode::Unsupported, {"cannot be decrypted"},
                           [&] { decrypt(*scheme, encrypted); });
      }
    }
  }
}

TEST(EveryScheme, NeedsItsKey) {
  for (const auto& options : keyed_forms()) {
    if (options.block_size == 1) continue;
    SCOPED_TRACE(describe(options));
    const auto plain = noise_picture(32, 32, 3);
    const auto with = [&](std::uint64_t key) {
      return make_scheme(options, test_key(key), 32, 32);
    };
    const auto encrypted = encrypt(*with(1), plain);
    EXPECT_EQ(encrypt(*with(1), plain), encrypted);
    EXPECT_NE(encrypt(*with(2), plain), encrypted);
    if (with(2)->invertible()) EXPECT_NE(decrypt(*with(2), encrypted), plain);
  }
}

TEST(EveryScheme, KeepsWhatItsStructureSays) {
  // Under every key a unit keeps its class {v, 255 - v}, its block, or its place: the multiset of
  // what must stay is that of the plain picture.
  constexpr int kSide = 16, kBlock = 4;
  const auto plain = noise_picture(kSide, kSide, 5);
  for (const auto& options : keyed_forms()) {
    const auto& structure = structure_of(options);
    if (options.block_size != kBlock || structure.substitutes || structure.loses_data) continue;
    SCOPED_TRACE(describe(options));
    const auto units = [&](const Bytes& picture) {
      std::vector<std::vector<int>> groups;
      const int top = structure.unit_bits == 4 ? 15 : 255;
      const bool by_block =
          structure.order != Structure::Order::Kept && structure.order != Structure::Order::Pixel;
      const bool by_pixel = structure.order == Structure::Order::Pixel;
      for (std::size_t i = 0; i < picture.size(); ++i) {
        const std::size_t y = i / (3 * kSide), x = i % (3 * kSide) / 3;
        const std::size_t group = by_block   ? y / kBlock * (kSide / kBlock) + x / kBlock
                                  : by_pixel ? i / 3
                                             : i;
        groups.resize(std::max(groups.size(), group + 1));
        for (int shift = 0; shift < 8; shift += structure.unit_bits) {
          const int unit = picture[i] >> shift & top;
          groups[group].push_back(structure.complements ? std::min(unit, top - unit) : unit);
        }
      }
      for (auto& group : groups) std::ranges::sort(group);
      if (structure.moves_blocks) std::ranges::sort(groups);
      return groups;
    };
    for (std::uint64_t key = 1; key <= 3; ++key)
      EXPECT_EQ(units(encrypt(*make_scheme(options, test_key(key), kSide, kSide), plain)),
                units(plain));
  }
}

TEST(EveryScheme, HasKeyFilesThatComeBack) {
  const test::TemporaryFolder folder;
  for (const auto& options : keyed_forms()) {
    const auto path = folder / (describe(options) + ".json");
    save_key(path, {options, test_key()}, Overwrite::No);
    const auto loaded = load_key(path);
    EXPECT_EQ(describe(loaded.options), describe(options));
    EXPECT_EQ(loaded.key.bytes, test_key().bytes);
  }
}

// The first 16 digits of the SHA-256 of two noise pictures encrypted under one key: what a key
// means never changes.
TEST(EveryScheme, MakesOfAKeyWhatItAlwaysMade) {
  const struct {
    SchemeOptions options;
    const char* sha256;
  } known[] = {
      {{"pe", 4, false}, "2a93c3049fcecdc9"},
      {{"pe", 4, true}, "5acb92c8b8f3c39f"},
      {{"blur", 4, false}, "d67c9853e6fe22de"},
      {{"pixelate", 4, false}, "d8e77a6ecda41e27"},
      {{"le", 1, false}, "44d93b3f6b1ab674"},
      {{"le", 4, false}, "1f697517f640144f"},
      {{"le", 8, false}, "f0be5c28a0b60eac"},
      {{"ele", 1, false}, "ac489bd9ccf80c96"},
      {{"ele", 4, false}, "f5b77e0bf0890f5b"},
      {{"ele", 8, false}, "232a1df67727758f"},
      {{"etc", 1, false}, "c8a86e84f1ae3316"},
      {{"etc", 4, false}, "252692fd1af64f00"},
      {{"etc", 8, false}, "90262ff25125a65a"},
      {{"etc", 4, true}, "ae8b0419a97d0ae9"},
      {{"pixel-shuffle", 1, false}, "b0e8b32023799f3c"},
      {{"pixel-shuffle", 4, false}, "9e8e2ff7f44b3f64"},
      {{"pixel-shuffle", 8, false}, "9625a954dbd36005"},
      {{"bit-flip", 1, false}, "7a9b359db99e31df"},
      {{"bit-flip", 4, false}, "d9a67d6a0ced189f"},
      {{"bit-flip", 8, false}, "4a4e0fa453499eeb"},
      {{"ffx", 1, false}, "e6645a22713308ea"},
      {{"ffx", 4, false}, "204a3359c857c009"},
      {{"ffx", 8, false}, "033b456e4b44e241"},
      {{"vit", 1, false}, "d05302fd1ee973c2"},
      {{"vit", 4, false}, "bdf42c70bcae0365"},
      {{"vit", 8, false}, "2a4b96e77a2485cd"},
      {{"vit", 4, true}, "0c6426a5bd1ae17f"},
  };
  for (const auto& [options, sha256] : known) {
    Bytes both;
    for (const auto& [height, width] : {std::pair{31, 33}, {64, 32}}) {
      const auto scheme = make_scheme(options, derive_key(test_key(7), 11), height, width);
      const auto encrypted = encrypt(*scheme, noise_picture(height, width, 3));
      both.insert(both.end(), encrypted.begin(), encrypted.end());
    }
    EXPECT_EQ(sha256_hex(both).substr(0, 16), sha256) << describe(options);
  }
}

}  // namespace
}  // namespace veilnet::cipher
