// The public headers alone, as a user of the library sees them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "support.h"
#include "veilnet/veilnet.h"
#include "veilnet/veilnet_c.h"

namespace veilnet {
namespace {

const std::string kH = std::string(VEILNET_SOURCE) + "/models/cifar10-h.safetensors";
// Models that were never calibrated.
const std::string kOldH = std::string(VEILNET_SOURCE) + "/tests/data/transform-format1.safetensors";
const std::string kOldPsi =
    std::string(VEILNET_SOURCE) + "/tests/data/classifier-format1.safetensors";
const std::string kPsi = std::string(VEILNET_SOURCE) + "/models/cifar10-psi.safetensors";
const std::string kCoded = std::string(VEILNET_SOURCE) + "/models/synthetic-h.safetensors";

Picture some_picture(int height, int width) {
  Picture picture{height, width, {}};
  for (int i = 0; i < 3 * height * width; ++i)
    picture.rgb.push_back(static_cast<std::uint8_t>(i * 7 + i / 96 * 5));
  return picture;
}

template <class Body>
void expect_failure(Cause cause, const std::string& words, Body&& body) {
  try {
    body();
    ADD_FAILURE() << "nothing was thrown; expected: " << words;
  } catch (const Failure& e) {
    EXPECT_EQ(e.cause(), cause) << e.what();
    EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
  }
}

TEST(Protector, FitsOnePictureAndKeepsTheSizeOfMany) {
  const Protector h(kH);
  EXPECT_EQ(std::pair(h.height(), h.width()), std::pair(32, 32));
  EXPECT_EQ(h.classifier_sha256().size(), 64u);
  const auto large = h.protect(some_picture(40, 60));
  EXPECT_EQ(std::pair(large.height, large.width), std::pair(32, 32));
  const auto plain = some_picture(32, 32);
  const auto one = h.protect(plain);
  auto two = plain.rgb;
  two.insert(two.end(), plain.rgb.begin(), plain.rgb.end());
  const auto many = h.protect(two.data(), 2, 32, 32);
  ASSERT_EQ(many.size(), two.size());
  for (std::size_t i = 0; i < many.size(); ++i)
    ASSERT_NEAR(many[i], one.rgb[i % one.rgb.size()], 1);
  EXPECT_EQ(h.protect(two.data(), 1, 48, 32).size(), 48u * 32 * 3);
}

TEST(Protector, MayBeUsedBySeveralThreads) {
  const Protector h(kH, {.threads = 1});
  const auto plain = some_picture(32, 32), expected = h.protect(plain);
  std::vector<std::thread> threads;
  std::vector<Picture> found(4);
  for (auto& picture : found) threads.emplace_back([&] { picture = h.protect(plain); });
  for (auto& thread : threads) thread.join();
  for (const auto& picture : found) EXPECT_EQ(picture.rgb, expected.rgb);
}

TEST(Protector, GoesOnInAForkedProcess) {
  const Protector h(kH, {.threads = 2});
  const auto plain = some_picture(32, 32), expected = h.protect(plain);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // hanging is what it did
    const bool same = h.protect(plain).rgb == expected.rgb &&
                      Protector(kH, {.threads = 2}).protect(plain).rgb == expected.rgb;
    _exit(same ? 0 : 1);
  }
  ASSERT_GT(child, 0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(h.protect(plain).rgb, expected.rgb);
}

TEST(Protector, SaysWhyItFails) {
  expect_failure(Cause::NotFound, "no-such-model", [] { Protector("no-such-model"); });
  expect_failure(Cause::BadData, "classifier", [] { Protector h(kPsi); });
  expect_failure(Cause::InvalidArgument, "calibrate",
                 [] { Protector h(kOldH, {.precision = Precision::Int8}); });
  expect_failure(Cause::InvalidArgument, "threads is -1", [] { Protector h(kH, {.threads = -1}); });
  const Protector h(kH);
  expect_failure(Cause::InvalidArgument, "5 bytes", [&] {
    h.protect(Picture{4, 4, {1, 2, 3, 4, 5}});
  });
  expect_failure(Cause::InvalidArgument, "0 pictures",
                 [&] { h.protect(some_picture(4, 4).rgb.data(), 0, 32, 32); });
  expect_failure(Cause::InvalidArgument, "0x0", [&] { h.protect(Picture{}); });
}

TEST(Protector, SaysWhyFilesCannotBeUsed) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "h.safetensors").string();
  std::ofstream(file) << "no model";
  expect_failure(Cause::BadData, file, [&] { Protector h(file); });
  expect_failure(Cause::BadData, "not a regular file",
                 [&] { Protector h(folder.path().string()); });
}

TEST(Protector, SaysWhatACodedModelCannotDo) {
  for (const auto precision : {Precision::BFloat16, Precision::Int8})
    expect_failure(Cause::InvalidArgument, "fp32 only",
                   [&] { Protector h(kCoded, {.precision = precision}); });
  const Protector h(kCoded, {.threads = 1});
  expect_failure(Cause::InvalidArgument, "48",
                 [&] { h.protect(some_picture(48, 48).rgb.data(), 1, 48, 48); });
  const test::TemporaryFolder folder;
  const auto at = [&](const char* name) { return (folder / name).string(); };
  expect_failure(Cause::NotFound, at("book"),
                 [&] { Protector p(kCoded, {.codebook = at("book")}); });
  std::filesystem::create_directory(at("bad"));
  std::ofstream(at("bad/codebook.json")) << R"({"bits": 99})";
  expect_failure(Cause::BadData, "bits", [&] { Protector p(kCoded, {.codebook = at("bad")}); });
  std::filesystem::create_directory(at("other"));
  std::ofstream(at("other/codebook.json")) << R"({"bits": 1, "model_sha256": "ab"})";
  for (const char* name : {"other/00000.png", "other/00001.png"})
    write_png(at(name), some_picture(32, 32));
  expect_failure(Cause::InvalidArgument, "is the codebook of the model ab",
                 [&] { Protector p(kCoded, {.codebook = at("other")}); });
  expect_failure(Cause::InvalidArgument, "has no code",
                 [&] { Protector p(kH, {.codebook = at("other")}); });
}

TEST(Classifier, NamesLikeliestFirst) {
  const Classifier psi(kPsi);
  ASSERT_EQ(psi.class_names().size(), 10u);
  const auto picture = some_picture(32, 32);
  const auto labels = psi.classify(picture, 3);
  ASSERT_EQ(labels.size(), 3u);
  EXPECT_GE(labels[0].probability, labels[1].probability);
  const auto logits = psi.logits(picture.rgb.data(), 1, 32, 32);
  const auto best = std::ranges::max_element(logits) - logits.begin();
  EXPECT_EQ(labels[0].name, psi.class_names()[static_cast<std::size_t>(best)]);
  EXPECT_EQ(psi.classify(picture, 99).size(), 10u);
  expect_failure(Cause::InvalidArgument, "top_k is 0", [&] { psi.classify(picture, 0); });
  expect_failure(Cause::InvalidArgument, "11 bytes", [&] {
    psi.classify({2, 2, std::vector<std::uint8_t>(11)});
  });
  expect_failure(Cause::InvalidArgument, "0 pictures",
                 [&] { psi.logits(picture.rgb.data(), 0, 32, 32); });
  expect_failure(Cause::InvalidArgument, "at no address", [&] { psi.logits(nullptr, 1, 32, 32); });
}

TEST(Classifier, SaysWhyItFails) {
  expect_failure(Cause::NotFound, "no-such-model", [] { Classifier p("no-such-model"); });
  expect_failure(Cause::BadData, "transform", [] { Classifier p(kH); });
  expect_failure(Cause::InvalidArgument, "threads is 1025",
                 [] { Classifier p(kPsi, {.threads = 1025}); });
  expect_failure(Cause::InvalidArgument, "calibrate",
                 [] { Classifier p(kOldPsi, {.precision = Precision::Int8}); });
  expect_failure(Cause::InvalidArgument, "a classifier has none",
                 [] { Classifier p(kPsi, {.codebook = "book"}); });
}

// Whatever is refused before a server is asked, and what is said where none is there.
TEST(Client, SaysWhyItFails) {
  const auto open = [](const std::string& server, const ServerOptions& options) {
    Client client(Protector(kH, {.threads = 1}), server, options);
  };
  const std::string nobody = "http://127.0.0.1:1";
  for (const std::string server : {"psi.example", "ftp://psi.example", "http://a b", "http://a\nb"})
    expect_failure(Cause::InvalidArgument, "http://HOST:PORT", [&] { open(server, {}); });
  expect_failure(Cause::InvalidArgument, "tries 0", [&] { open(nobody, {.tries = 0}); });
  expect_failure(Cause::InvalidArgument, "timeout_ms is 0",
                 [&] { open(nobody, {.timeout_ms = 0}); });
  for (const std::string name : {"a b", "a/b", "a\r\nHost: b"})
    expect_failure(Cause::InvalidArgument, "the model's name is",
                   [&] { open(nobody, {.name = name, .tries = 1}); });
  expect_failure(Cause::InvalidArgument, "the API key",
                 [&] { open(nobody, {.api_key = "a\r\nb: c", .tries = 1}); });
  expect_failure(Cause::BadData, "none.pem",
                 [&] { open("https://127.0.0.1:1", {.ca_file = "none.pem", .tries = 1}); });
  expect_failure(Cause::Io, "127.0.0.1:1", [&] { open(nobody, {.tries = 1}); });
}

TEST(Cipher, DecryptsWhatItEncrypted) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "le.key").string();
  const auto cipher = Cipher::generate("le");
  EXPECT_EQ(cipher.scheme(), "le");
  cipher.save(file);
  expect_failure(Cause::AlreadyExists, file, [&] { cipher.save(file); });
  const auto again = Cipher::load(file);
  EXPECT_EQ(again.key_id(), cipher.key_id());
  const auto plain = some_picture(30, 33);
  const auto encrypted = cipher.encrypt(plain);
  EXPECT_EQ(std::pair(encrypted.height, encrypted.width), std::pair(32, 36));
  EXPECT_EQ(again.decrypt(encrypted, 30, 33).rgb, plain.rgb);
  const auto whole = some_picture(32, 32);
  const auto bytes = cipher.encrypt(whole.rgb.data(), 1, 32, 32);
  EXPECT_EQ(bytes, cipher.encrypt(whole).rgb);
  EXPECT_EQ(again.decrypt(bytes.data(), 1, 32, 32), whole.rgb);
  expect_failure(Cause::InvalidArgument, "whole blocks",
                 [&] { cipher.encrypt(plain.rgb.data(), 1, 30, 33); });
  expect_failure(Cause::InvalidArgument, "33x30", [&] { again.decrypt(plain); });
  expect_failure(Cause::InvalidArgument, "-1", [&] { again.decrypt(encrypted, -1, 33); });
  expect_failure(Cause::InvalidArgument, "33x40", [&] { again.decrypt(encrypted, 40, 33); });
  expect_failure(Cause::InvalidArgument, "0x0", [&] { cipher.encrypt(Picture{}); });
  expect_failure(Cause::InvalidArgument, "32769", [&] { cipher.encrypt(some_picture(1, 32769)); });
  expect_failure(Cause::InvalidArgument, "0 pictures",
                 [&] { again.decrypt(bytes.data(), 0, 32, 32); });
  expect_failure(Cause::Io, "/proc/none", [&] { cipher.save("/proc/none/le.key"); });
  expect_failure(Cause::InvalidArgument, "rot13", [] { Cipher::generate("rot13"); });
  expect_failure(Cause::InvalidArgument, "blur", [] { Cipher::generate("blur"); });
  expect_failure(Cause::InvalidArgument, "block", [] { Cipher::generate("le", 0); });
  expect_failure(Cause::InvalidArgument, "block", [] { Cipher::generate("le", 65); });
  expect_failure(Cause::NotFound, "none.key", [] { Cipher::load("none.key"); });
}

TEST(Cipher, SaysWhyAKeyFileCannotBeUsed) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "etc.key").string();
  const auto load = [&](const std::string& version, const std::string& digits) {
    std::ofstream(file) << R"({"format": "veilnet-key", "format_version": )" + version +
                               R"(, "scheme": "etc", "block_size": 4, "as_published": true, )" +
                               R"("key": ")" + digits + R"("})";
    return Cipher::load(file);
  };
  expect_failure(Cause::BadData, "64 hexadecimal digits", [&] { load("1", "abc"); });
  expect_failure(Cause::Unsupported, "version 2", [&] { load("2", "abc"); });
  // A form that loses data, as its authors released it.
  const auto lossy = load("1", std::string(64, '7'));
  const auto encrypted = lossy.encrypt(some_picture(8, 8));
  expect_failure(Cause::Unsupported, "loses data", [&] { lossy.decrypt(encrypted); });
  expect_failure(Cause::Unsupported, "loses data",
                 [&] { lossy.decrypt(encrypted.rgb.data(), 1, 8, 8); });
}

TEST(Verify, TellsOwnPicturesFromOthers) {
  const Protector h(kH);
  const auto plain = some_picture(50, 50);
  const auto own = verify(h, plain, h.protect(plain));
  EXPECT_TRUE(own.of_this_model);
  EXPECT_LT(own.ssim, 0.9);
  const auto other = verify(h, plain, some_picture(32, 32));
  EXPECT_FALSE(other.of_this_model);
  EXPECT_GT(other.difference_levels, 1);
  expect_failure(Cause::InvalidArgument, "9x9", [&] { verify(h, plain, some_picture(9, 9)); });
  expect_failure(Cause::InvalidArgument, "0x0", [&] { verify(h, plain, {}); });
  // A coded h makes no pictures of another size than its own.
  expect_failure(Cause::InvalidArgument, "50x50",
                 [&] { verify(Protector(kCoded, {.threads = 1}), plain, plain); });
}

TEST(Pictures, ComeFromFilesAndGoToThem) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "a.png").string();
  const auto picture = some_picture(5, 7);
  write_png(file, picture);
  EXPECT_EQ(read_picture(file).rgb, picture.rgb);
  const auto bytes = encode_png(picture);
  EXPECT_EQ(decode_picture(bytes.data(), bytes.size()).rgb, picture.rgb);
  EXPECT_EQ(read_picture(file, 5, 7).rgb, picture.rgb);
  EXPECT_EQ(read_picture(file, 2, 3).rgb.size(), 2u * 3 * 3);
  expect_failure(Cause::InvalidArgument, "3x0", [&] { read_picture(file, 0, 3); });
  expect_failure(Cause::AlreadyExists, file, [&] { write_png(file, picture); });
  expect_failure(Cause::BadData, "picture", [&] { decode_picture(bytes.data(), 20); });
  expect_failure(Cause::BadData, "empty", [] { decode_picture(nullptr, 0); });
  expect_failure(Cause::NotFound, "none.png", [] { read_picture("none.png"); });
  expect_failure(Cause::BadData, "regular", [&] { read_picture(folder.path().string()); });
  expect_failure(Cause::Io, "/proc/none", [&] { write_png("/proc/none/a.png", picture); });
  expect_failure(Cause::InvalidArgument, "0x0", [] { encode_png({}); });
}

// A picture of C++ as C is given it.
veilnet_picture in_c(Picture& picture) {
  return {picture.height, picture.width, picture.rgb.data()};
}

// What the library made, as C++ has it; freed.
Picture taken(const veilnet_picture& made) {
  const auto count = std::size_t{3} * static_cast<std::size_t>(made.height * made.width);
  Picture picture{made.height, made.width, {made.rgb, made.rgb + count}};
  veilnet_free(made.rgb);
  return picture;
}

TEST(C, ProtectsAndVerifies) {
  const veilnet_network_options one_thread{1, VEILNET_FLOAT32, nullptr};
  veilnet_protector* h = nullptr;
  ASSERT_EQ(veilnet_protector_open(kH.c_str(), &one_thread, &h), 0) << veilnet_message();
  const Protector expected(kH, {.threads = 1});
  EXPECT_EQ(veilnet_protector_verdict(h), expected.verdict());
  EXPECT_EQ(veilnet_protector_classifier_sha256(h), expected.classifier_sha256());
  auto plain = some_picture(32, 32), large = some_picture(40, 60);
  std::vector<std::uint8_t> out(plain.rgb.size());
  EXPECT_EQ(veilnet_protect(h, plain.rgb.data(), 1, 32, 32, out.data()), 0);
  EXPECT_EQ(out, expected.protect(plain).rgb);
  const auto given = in_c(large);
  veilnet_picture made{};
  ASSERT_EQ(veilnet_protect_picture(h, &given, &made), 0) << veilnet_message();
  veilnet_verification found{};
  EXPECT_EQ(veilnet_verify(h, &given, &made, &found), 0) << veilnet_message();
  const auto seen = taken(made);
  EXPECT_EQ(seen.rgb, expected.protect(large).rgb);
  const auto same = verify(expected, large, seen);
  EXPECT_EQ(found.ssim, same.ssim);
  EXPECT_EQ(found.difference_levels, same.difference_levels);
  EXPECT_EQ(found.of_this_model, 1);
  veilnet_protector_close(h);
  EXPECT_EQ(veilnet_version(), version());
}

TEST(C, Classifies) {
  veilnet_classifier* psi = nullptr;
  const veilnet_network_options one_thread{1, VEILNET_FLOAT32, nullptr};
  ASSERT_EQ(veilnet_classifier_open(kPsi.c_str(), &one_thread, &psi), 0) << veilnet_message();
  const Classifier expected(kPsi, {.threads = 1});
  ASSERT_EQ(veilnet_classifier_classes(psi), 10);
  EXPECT_EQ(veilnet_classifier_class(psi, 10), nullptr);
  EXPECT_EQ(veilnet_classifier_class(psi, 9), expected.class_names()[9]);
  auto picture = some_picture(32, 32);
  std::vector<float> logits(10);
  EXPECT_EQ(veilnet_classify(psi, picture.rgb.data(), 1, 32, 32, logits.data()), 0);
  EXPECT_EQ(logits, expected.logits(picture.rgb.data(), 1, 32, 32));
  const auto given = in_c(picture);
  std::vector<veilnet_label> labels(99);
  int count = 0;
  ASSERT_EQ(veilnet_classify_picture(psi, &given, 99, labels.data(), &count), 0);
  ASSERT_EQ(count, 10);
  const auto names = expected.classify(picture, 10);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(labels[i].name, names[i].name);
    EXPECT_EQ(labels[i].probability, names[i].probability);
  }
  int height = 0, width = 0;
  veilnet_classifier_size(psi, &height, &width);
  EXPECT_EQ(std::pair(height, width), std::pair(32, 32));
  EXPECT_EQ(veilnet_classify_picture(psi, &given, 0, labels.data(), &count),
            VEILNET_INVALID_ARGUMENT);
  EXPECT_EQ(count, 10);
  veilnet_classifier_close(psi);
}

TEST(C, TakesTheOptionsOfNetworks) {
  veilnet_protector* h = nullptr;
  const auto opened = [&](const std::string& model, const veilnet_network_options& options) {
    const int cause = veilnet_protector_open(model.c_str(), &options, &h);
    veilnet_protector_close(h);
    h = nullptr;
    return cause;
  };
  const auto said = [](const char* words) {
    return std::string(veilnet_message()).find(words) != std::string::npos;
  };
  EXPECT_EQ(opened(kH, {0, VEILNET_BFLOAT16, nullptr}), 0) << veilnet_message();
  EXPECT_EQ(opened(kOldH, {0, VEILNET_INT8, nullptr}), VEILNET_INVALID_ARGUMENT);
  EXPECT_TRUE(said("calibrate")) << veilnet_message();
  EXPECT_EQ(opened(kH, {0, 3, nullptr}), VEILNET_INVALID_ARGUMENT);
  EXPECT_TRUE(said("precision is 3")) << veilnet_message();
  EXPECT_EQ(opened(kH, {-1, 0, nullptr}), VEILNET_INVALID_ARGUMENT);
  EXPECT_TRUE(said("threads is -1")) << veilnet_message();
  EXPECT_EQ(opened(kCoded, {0, 0, "no-such-book"}), VEILNET_NOT_FOUND);
  EXPECT_TRUE(said("no-such-book")) << veilnet_message();
  EXPECT_EQ(opened("no-such-model", {}), VEILNET_NOT_FOUND);
  EXPECT_TRUE(said("no-such-model")) << veilnet_message();
  EXPECT_EQ(veilnet_protector_open(nullptr, nullptr, &h), VEILNET_INVALID_ARGUMENT);
  EXPECT_TRUE(said("the model is NULL")) << veilnet_message();
  EXPECT_EQ(h, nullptr);
}

TEST(C, SaysWhyAClientFails) {
  veilnet_client* client = nullptr;
  const auto opened = [&](const char* server, const veilnet_server_options& options) {
    return veilnet_client_open(kH.c_str(), nullptr, server, &options, &client);
  };
  EXPECT_EQ(opened("psi.example", {}), VEILNET_INVALID_ARGUMENT);
  veilnet_server_options options{};
  options.tries = -1;
  EXPECT_EQ(opened("http://127.0.0.1:1", options), VEILNET_INVALID_ARGUMENT);
  options.tries = 1;
  EXPECT_EQ(opened("http://127.0.0.1:1", options), VEILNET_IO) << veilnet_message();
  EXPECT_EQ(client, nullptr);
  veilnet_client_close(client);
}

TEST(C, EncryptsAndDecrypts) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "le.key").string();
  veilnet_cipher *le = nullptr, *cipher = nullptr;
  EXPECT_EQ(veilnet_cipher_generate("rot13", 0, &le), VEILNET_INVALID_ARGUMENT);
  ASSERT_EQ(veilnet_cipher_generate("le", 0, &le), 0) << veilnet_message();
  EXPECT_EQ(std::pair(std::string(veilnet_cipher_scheme(le)), veilnet_cipher_block_size(le)),
            std::pair(std::string("le"), 4));
  EXPECT_EQ(veilnet_cipher_save(le, file.c_str(), 0), 0) << veilnet_message();
  EXPECT_EQ(veilnet_cipher_save(le, file.c_str(), 0), VEILNET_ALREADY_EXISTS);
  EXPECT_EQ(veilnet_cipher_save(le, file.c_str(), 1), 0) << veilnet_message();
  EXPECT_EQ(veilnet_cipher_open("none.key", &cipher), VEILNET_NOT_FOUND);
  ASSERT_EQ(veilnet_cipher_open(file.c_str(), &cipher), 0) << veilnet_message();
  const auto same = Cipher::load(file);
  EXPECT_EQ(veilnet_cipher_key_id(cipher), same.key_id());

  const auto plain = some_picture(32, 32);
  std::vector<std::uint8_t> encrypted(plain.rgb.size()), decrypted(plain.rgb.size());
  EXPECT_EQ(veilnet_encrypt(cipher, plain.rgb.data(), 1, 32, 32, encrypted.data()), 0);
  EXPECT_EQ(encrypted, same.encrypt(plain).rgb);
  EXPECT_EQ(veilnet_decrypt(le, encrypted.data(), 1, 32, 32, decrypted.data()), 0);
  EXPECT_EQ(decrypted, plain.rgb);

  auto odd = some_picture(30, 33);
  const auto given = in_c(odd);
  veilnet_picture padded{}, again{};
  ASSERT_EQ(veilnet_encrypt_picture(cipher, &given, &padded), 0) << veilnet_message();
  EXPECT_EQ(std::pair(padded.height, padded.width), std::pair(32, 36));
  ASSERT_EQ(veilnet_decrypt_picture(cipher, &padded, 30, 33, &again), 0) << veilnet_message();
  EXPECT_EQ(taken(again).rgb, odd.rgb);
  EXPECT_EQ(taken(padded).rgb, same.encrypt(odd).rgb);
  EXPECT_EQ(veilnet_encrypt_picture(cipher, nullptr, &padded), VEILNET_INVALID_ARGUMENT);
  veilnet_cipher_close(le);
  veilnet_cipher_close(cipher);
}

TEST(C, ReadsAndWritesPictures) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "a.png").string();
  auto picture = some_picture(5, 7);
  const auto given = in_c(picture);
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  ASSERT_EQ(veilnet_encode_png(&given, &bytes, &size), 0) << veilnet_message();
  EXPECT_EQ(std::vector(bytes, bytes + size), encode_png(picture));
  veilnet_picture decoded{}, read{};
  ASSERT_EQ(veilnet_decode_picture(bytes, size, &decoded), 0) << veilnet_message();
  EXPECT_EQ(taken(decoded).rgb, picture.rgb);
  veilnet_free(bytes);
  EXPECT_EQ(veilnet_write_png(file.c_str(), &given, 0), 0) << veilnet_message();
  EXPECT_EQ(veilnet_write_png(file.c_str(), &given, 0), VEILNET_ALREADY_EXISTS);
  ASSERT_EQ(veilnet_read_picture(file.c_str(), &read), 0) << veilnet_message();
  EXPECT_EQ(taken(read).rgb, picture.rgb);
  EXPECT_EQ(veilnet_read_picture("none.png", &read), VEILNET_NOT_FOUND);
  veilnet_picture fitted{};
  ASSERT_EQ(veilnet_read_fitted(file.c_str(), 2, 3, &fitted), 0) << veilnet_message();
  EXPECT_EQ(taken(fitted).rgb, read_picture(file, 2, 3).rgb);
  const veilnet_picture none{5, 7, nullptr};
  EXPECT_EQ(veilnet_write_png(file.c_str(), &none, 1), VEILNET_INVALID_ARGUMENT);
  EXPECT_NE(std::string(veilnet_message()).find("at no address"), std::string::npos);
}

TEST(Networks, RefuseThreadsBeyondReason) {
  for (const int threads : {-1, 1025})
    expect_failure(Cause::InvalidArgument, "1024", [&] { Protector(kH, {.threads = threads}); });
}

TEST(Verify, HasNoSsimForThePicturesOfAFewPixels) {
  const Protector h(kH);
  const auto plain = some_picture(6, 6);
  const Picture seen{6, 6, h.protect(plain.rgb.data(), 1, 6, 6)};
  const auto found = verify(h, plain, seen);
  EXPECT_TRUE(found.of_this_model);
  EXPECT_EQ(found.ssim, 0);
}

}  // namespace
}  // namespace veilnet
