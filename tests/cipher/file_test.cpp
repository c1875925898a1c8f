#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cipher/picture_file.h"
#include "pictures.h"
#include "support.h"

namespace veilnet::cipher {
namespace {

using nlohmann::json;
using test::Bytes;
using test::expect_error;
using test::noise_picture;
using test::TemporaryFolder;
using test::test_key;

int mode_of(const std::filesystem::path& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return static_cast<int>(info.st_mode & 07777);
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(KeyFile, RoundTrips) {
  const TemporaryFolder folder;
  for (const auto& options :
       {SchemeOptions{.id = "le", .block_size = 8}, SchemeOptions{.id = "pe", .variant = true},
        SchemeOptions{.id = "etc", .block_size = 2, .variant = true}, SchemeOptions{.id = "ffx"}}) {
    const auto path = folder / ("deep/" + options.id + ".json");
    save_key(path, {options, test_key()}, Overwrite::No);
    const auto loaded = load_key(path);
    EXPECT_EQ(loaded.options.id, options.id);
    EXPECT_EQ(loaded.options.block_size, options.block_size);
    EXPECT_EQ(loaded.options.variant, options.variant);
    EXPECT_EQ(loaded.key.bytes, test_key().bytes);
  }
}

TEST(KeyFile, IsPrivateWhateverTheUmaskAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  const auto before = ::umask(0);
  save_key(folder / "key", {{.id = "le"}, test_key()}, Overwrite::No);
  EXPECT_EQ(mode_of(folder / "key"), 0600);
  std::filesystem::permissions(folder / "key", std::filesystem::perms::all);
  save_key(folder / "key", {{.id = "pe"}, test_key()}, Overwrite::Yes);
  ::umask(before);
  EXPECT_EQ(mode_of(folder / "key"), 0600);
  EXPECT_EQ(load_key(folder / "key").options.id, "pe");
  expect_error(ErrorCode::AlreadyExists, {"key"}, [&] {
    save_key(folder / "key", {{.id = "le"}, test_key()}, Overwrite::No);
  });
  EXPECT_EQ(load_key(folder / "key").options.id, "pe");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(KeyFile, RefusesWhatCannotBeSaved) {
  const TemporaryFolder folder;
  const auto save = [&](const SchemeOptions& options) {
    save_key(folder / "key", {options, test_key()}, Overwrite::No);
  };
  expect_error(ErrorCode::InvalidArgument, {"blur", "no key"}, [&] { save({.id = "blur"}); });
  expect_error(ErrorCode::InvalidArgument, {"nothing"}, [&] { save({.id = "nothing"}); });
  expect_error(ErrorCode::InvalidArgument, {"block size", "99"},
               [&] { save({.id = "le", .block_size = 99}); });
  write_file(folder / "file", "x", Overwrite::No);
  expect_error(ErrorCode::Io, {"folder"}, [&] {
    save_key(folder / "file/key", {{.id = "le"}, test_key()}, Overwrite::No);
  });
}

TEST(KeyFile, RefusesEachKindOfBrokenFile) {
  const TemporaryFolder folder;
  const auto path = folder / "key";
  save_key(path, {{.id = "le"}, test_key()}, Overwrite::No);
  const auto good_text = read_text(path);
  const auto good = json::parse(good_text);
  const auto digits = good["key"].get<std::string>();
  const auto refuse = [&](const std::string& text, std::initializer_list<std::string> parts,
                          ErrorCode code = ErrorCode::BadData) {
    write_file(path, text, Overwrite::Yes);
    expect_error(code, parts, [&] { load_key(path); });
    try {
      load_key(path);
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find(digits.substr(0, 8)), std::string::npos)
          << "shows key bytes: " << e.what();
    }
  };
  const auto with = [&](const char* field, const json& value) {
    auto changed = good;
    changed[field] = value;
    return changed.dump();
  };
  const auto without = [&](const char* field) {
    auto changed = good;
    changed.erase(field);
    return changed.dump();
  };
  for (std::size_t size = 0; size + 2 < good_text.size(); size += 7)
    refuse(good_text.substr(0, size), {"key", "JSON"});
  refuse("[1]", {"no JSON object"});
  // Which of two keys would it be?
  refuse(good_text.substr(0, good_text.rfind('}')) + ", \"key\": \"" + std::string(64, '0') + "\"}",
         {"'key'", "twice"});
  refuse(std::string(200, '[') + std::string(200, ']'), {"levels"});
  refuse(with("format", "pem"), {"veilnet-key"});
  refuse(with("format_version", 2), {"version 2", "version 1"}, ErrorCode::Unsupported);
  refuse(with("format_version", "1"), {"format_version", "whole number"});
  refuse(with("scheme", "rot13"), {"rot13", "le, ele"});
  refuse(with("scheme", "blur"), {"blur", "no key"});
  refuse(with("scheme", "pe"), {"shuffle_components"});
  refuse(with("scheme", 3), {"scheme", "string"});
  refuse(with("block_size", 65), {"block_size", "65", "1 to 64"});
  refuse(with("block_size", 4.5), {"block_size", "whole number"});
  refuse(with("surplus", 1), {"fields"});
  refuse(with("key", digits.substr(2)), {"64 hexadecimal digits"});
  refuse(with("key", digits + "00"), {"64 hexadecimal digits"});
  refuse(with("key", digits.substr(0, 62) + "zz"), {"64 hexadecimal digits"});
  for (const auto* field : {"format", "format_version", "scheme", "block_size", "key"})
    refuse(without(field), {field});
  refuse(std::string(100'000, ' '), {"65536"});
  std::filesystem::remove(path);
  expect_error(ErrorCode::NotFound, {"key"}, [&] { load_key(path); });
}

TEST(KeyFile, IdsTellKeysAndOptionsApart) {
  const auto id = key_id({{.id = "le"}, test_key(1)});
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(key_id({{.id = "le"}, test_key(1)}), id);
  EXPECT_NE(key_id({{.id = "le"}, test_key(2)}), id);
  EXPECT_NE(key_id({{.id = "le", .block_size = 8}, test_key(1)}), id);
  EXPECT_NE(key_id({{.id = "ele"}, test_key(1)}), id);
}

image::Image picture(int height, int width) {
  return {height, width, noise_picture(height, width, 1)};
}

TEST(PictureFile, DecryptsToTheExactPixels) {
  for (const auto* id : {"le", "ele", "etc", "pe", "pixel-shuffle", "bit-flip", "ffx"}) {
    for (const auto& [height, width] : {std::pair{32, 32}, {30, 45}, {1, 1}}) {
      SCOPED_TRACE(std::string(id) + " " + std::to_string(height) + "x" + std::to_string(width));
      const KeyFile key{{.id = id}, test_key()};
      const auto plain = picture(height, width);
      const auto png = encrypt_to_png(plain, key, true);
      EXPECT_EQ(png, encrypt_to_png(plain, key, true));
      const auto back = decrypt_png(png, "x.png", key);
      EXPECT_EQ(back.height, height);
      EXPECT_EQ(back.width, width);
      EXPECT_EQ(back.rgb, plain.rgb);
    }
  }
}

TEST(PictureFile, IsAPngThatOthersRead) {
  const KeyFile key{{.id = "le"}, test_key()};
  const auto plain = picture(5, 6);
  const auto seen = image::decode(encrypt_to_png(plain, key, true), "x.png");
  EXPECT_EQ(seen.height, 8);
  EXPECT_EQ(seen.width, 8);
  Bytes expected(192);
  make_scheme(key.options, key.key, 5, 6)->encrypt(plain.rgb, expected);
  EXPECT_EQ(seen.rgb, expected);
}

TEST(PictureFile, WithoutANoteKeepsThePadding) {
  const KeyFile key{{.id = "le"}, test_key()};
  const auto plain = picture(5, 6);
  const auto stripped = image::encode_png(image::decode(encrypt_to_png(plain, key, true), "x.png"));
  const auto back = decrypt_png(stripped, "x.png", key);
  EXPECT_EQ(back.height, 8);
  EXPECT_TRUE(std::equal(plain.rgb.begin(), plain.rgb.begin() + 18, back.rgb.begin()));
}

TEST(PictureFile, TellsWrongKeysApart) {
  const KeyFile key{{.id = "le"}, test_key(1)};
  const auto png = encrypt_to_png(picture(8, 8), key, true);
  const auto refuse = [&](const KeyFile& other, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { decrypt_png(png, "x.png", other); });
  };
  refuse({{.id = "le"}, test_key(2)}, {"x.png", key_id(key)});
  refuse({{.id = "ele"}, test_key(1)}, {"x.png", "\"le\"", "\"ele\""});
  refuse({{.id = "le", .block_size = 2}, test_key(1)}, {"block_size", "4", "2"});
  const auto thrown_away = encrypt_to_png(picture(8, 8), {{.id = "pe"}, test_key(1)}, false);
  expect_error(ErrorCode::InvalidArgument, {"thrown away"}, [&] {
    decrypt_png(thrown_away, "x.png", {{.id = "pe"}, test_key(1)});
  });
}

TEST(PictureFile, RefusesWhatCannotBeDecrypted) {
  const KeyFile key{{.id = "le"}, test_key()};
  const auto refuse = [&](const Bytes& bytes, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::BadData, parts, [&] { decrypt_png(bytes, "x.png", key); });
  };
  refuse({0xff, 0xd8, 0xff, 0xe0}, {"x.png", "no PNG", "lossy"});
  refuse({1, 2, 3}, {"x.png", "no PNG"});
  refuse(image::encode_png(picture(6, 8)), {"8x6", "block size 4", "8x8"});
  auto png = encrypt_to_png(picture(8, 8), key, true);
  png.resize(png.size() / 2);
  refuse(png, {"x.png"});
  const KeyFile published{{.id = "etc", .variant = true}, test_key()};
  expect_error(ErrorCode::Unsupported, {"loses data"}, [&] {
    decrypt_png(encrypt_to_png(picture(8, 8), published, true), "x.png", published);
  });
}

TEST(PictureFile, ReadsWhatPaddingMakesOfTheLargestPictures) {
  const image::DecodeLimits usual;
  const KeyFile key{{.id = "le", .block_size = 60}, test_key()};
  const auto plain = picture(1, usual.max_side);
  EXPECT_EQ(decrypt_png(encrypt_to_png(plain, key, true), "x.png", key).rgb, plain.rgb);
  const auto limits = encrypted_limits();
  EXPECT_GT(limits.max_file_bytes, 3 * limits.max_pixels);
  EXPECT_GE(limits.max_pixels, 8064u * 8064u) << "8000x8000 in blocks of 64";
}

/// The picture with this note in place of its own. Its checksum is not repaired: readers must not
/// trust one.
Bytes with_note(const Bytes& png, const std::string& from, const std::string& to) {
  EXPECT_EQ(from.size(), to.size());
  auto changed = png;
  const auto found = std::search(changed.begin(), changed.end(), from.begin(), from.end());
  EXPECT_NE(found, changed.end()) << from;
  if (found != changed.end()) std::copy(to.begin(), to.end(), found);
  return changed;
}

TEST(PictureFile, RefusesMalformedNotes) {
  const KeyFile key{{.id = "le"}, test_key()};
  const auto png = encrypt_to_png(picture(16, 15), key, true);
  const auto refuse = [&](const std::string& from, const std::string& to,
                          std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::BadData, parts,
                 [&] { decrypt_png(with_note(png, from, to), "x.png", key); });
  };
  refuse("{\"scheme\"", "X\"scheme\"", {"x.png", "note", "JSON"});
  refuse("\"height\":16", "\"height\":-1", {"side", "-1", "32768"});
  refuse("\"height\":16", "\"height\":99", {"16x16", "15x99"});
  refuse("\"height\":16", "\"height\":12", {"16x16", "16x12"});
  refuse("\"height\":16", "\"hei  t\":16", {"malformed"});
  refuse("\"width\":15", "\"width\":\"\"", {"malformed"});
}

}  // namespace
}  // namespace veilnet::cipher
