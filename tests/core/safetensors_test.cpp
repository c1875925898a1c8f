#include "core/safetensors.h"

#include <chrono>
#include <cstring>

#include <nlohmann/json.hpp>

#include "support.h"

namespace veilnet {
namespace {

using test::expect_error;
using test::TemporaryFolder;
using Bytes = std::vector<std::uint8_t>;

Bytes file_of(std::uint64_t length, const std::string& header, std::size_t data_bytes) {
  Bytes bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(length >> (8 * i)));
  for (const char c : header) bytes.push_back(static_cast<std::uint8_t>(c));
  for (std::size_t i = 0; i < data_bytes; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}

/// Parses a file with this header in front of so many bytes of data.
Safetensors parse(const std::string& header, std::size_t data_bytes,
                  const SafetensorsLimits& limits = {}) {
  return Safetensors::parse(file_of(header.size(), header, data_bytes), "x.safetensors", limits);
}

void expect_refused(const std::string& header, std::size_t data_bytes,
                    std::initializer_list<std::string> parts,
                    const SafetensorsLimits& limits = {}) {
  SCOPED_TRACE(header.substr(0, 200));
  expect_error(ErrorCode::BadData, {"x.safetensors: "}, [&] { parse(header, data_bytes, limits); });
  expect_error(ErrorCode::BadData, parts, [&] { parse(header, data_bytes, limits); });
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const auto file =
      parse(R"({"b":)" + tensor("I16", "[1,2]", "[0,4]") +
                R"(,"__metadata__":{"k":"v","ü":""},"a":)" + tensor("F32", "[]", "[4,8]") + "}   ",
            8);
  EXPECT_EQ(file.name(), "x.safetensors");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"k", "v"}, {"ü", ""}}));
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.at("a").dtype, DType::F32);
  EXPECT_TRUE(file.at("a").shape.empty());
  EXPECT_EQ(Bytes(file.at("a").bytes.begin(), file.at("a").bytes.end()), (Bytes{4, 5, 6, 7}));
  EXPECT_EQ(file.at("b").shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(Bytes(file.at("b").bytes.begin(), file.at("b").bytes.end()), (Bytes{0, 1, 2, 3}));
}

TEST(Safetensors, ReadsEmptyFilesAndEmptyTensors) {
  EXPECT_TRUE(parse("{}", 0).tensors().empty());
  const auto file = parse(R"({"e":)" + tensor("F32", "[0,5]", "[2,2]") + R"(,"d":)" +
                              tensor("U8", "[2]", "[0,2]") + "}",
                          2);
  EXPECT_TRUE(file.at("e").bytes.empty());
  EXPECT_EQ(file.at("d").bytes.size(), 2u);
}

TEST(Safetensors, APyTorchFileIsRecognisedAndTheWayToConvertItGiven) {
  for (const Bytes& beginning : {Bytes{'P', 'K', 3, 4, 0, 0, 8, 8, 0, 0},
                                 Bytes{0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46}})
    expect_error(ErrorCode::BadData, {"h.pth: is a PyTorch file", "save_file({k: v.contiguous()"},
                 [&] { Safetensors::parse(beginning, "h.pth"); });
}

TEST(Safetensors, FindsByName) {
  const auto file = parse(R"({"m":)" + tensor("U8", "[1]", "[0,1]") + "}", 1);
  EXPECT_NE(file.find("m"), nullptr);
  EXPECT_EQ(file.find("l"), nullptr);
  EXPECT_EQ(file.find("n"), nullptr);
  expect_error(ErrorCode::BadData, {"x.safetensors", "no tensor 'n'"}, [&] { file.at("n"); });
}

TEST(Safetensors, ViewsSurviveAMove) {
  auto file = parse(R"({"m":)" + tensor("U8", "[3]", "[0,3]") + "}", 3);
  const auto moved = std::move(file);
  EXPECT_EQ(moved.at("m").bytes[2], 2);
  static_assert(!std::is_copy_constructible_v<Safetensors>);
}

TEST(Safetensors, EveryDtypeHasItsSize) {
  const std::pair<std::string, std::size_t> known[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
  for (const auto& [name, size] : known) {
    const auto file = parse(
        R"({"t":)" + tensor(name, "[3]", "[0," + std::to_string(3 * size) + "]") + "}", 3 * size);
    EXPECT_EQ(dtype_name(file.at("t").dtype), name);
    EXPECT_EQ(dtype_size(file.at("t").dtype), size);
  }
}

// One test per kind of hostile file.

TEST(SafetensorsHostile, ShorterThanItsLength) {
  expect_error(ErrorCode::BadData, {"x: truncated", "has 0 bytes"},
               [] { Safetensors::parse({}, "x"); });
  expect_error(ErrorCode::BadData, {"x: truncated", "has 7 bytes"},
               [] { Safetensors::parse(Bytes(7), "x"); });
}

TEST(SafetensorsHostile, HugeHeaderLength) {
  expect_error(ErrorCode::BadData, {"claims 18446744073709551615 bytes", "at most 4194304"},
               [] { Safetensors::parse(file_of(~0ull, "{}", 0), "x"); });
  SafetensorsLimits limits;
  limits.max_header_bytes = 4;
  expect_refused("{    }", 0, {"claims 6 bytes", "at most 4"}, limits);
}

TEST(SafetensorsHostile, TruncatedHeader) {
  expect_error(ErrorCode::BadData, {"truncated", "claims 100 bytes", "has 2"},
               [] { Safetensors::parse(file_of(100, "{}", 0), "x"); });
}

TEST(SafetensorsHostile, LargerThanTheLimit) {
  SafetensorsLimits limits;
  limits.max_file_bytes = 9;
  expect_refused("{}", 0, {"has 10 bytes", "at most 9"}, limits);
  const TemporaryFolder folder;
  write_file(folder / "f", "0123456789", Overwrite::No);
  expect_error(ErrorCode::BadData, {"/f", "10 bytes", "at most 9"},
               [&] { Safetensors::load(folder / "f", limits); });
}

TEST(SafetensorsHostile, MissingFile) {
  expect_error(ErrorCode::NotFound, {"/nowhere/m.safetensors"},
               [] { Safetensors::load("/nowhere/m.safetensors"); });
}

TEST(SafetensorsHostile, NoJsonObject) {
  for (const std::string header : {"", "[]", " {}", "null", "\"a\"", "\xef\xbb\xbf{}"})
    expect_refused(header, 0, {"not a JSON object"});
}

TEST(SafetensorsHostile, BrokenJson) {
  for (const std::string header :
       {"{", "{}x", "{\"a\":}", "{\"a\xff\":1}", "{/**/}", "{\"a\":1e999}"})
    expect_refused(header, 0, {"not valid JSON"});
  expect_refused(std::string("{}\0", 3), 0, {"not valid JSON", "is zero"});
  expect_refused(std::string("{}\0{}", 5), 0, {"not valid JSON", "is zero"});
}

TEST(SafetensorsHostile, DuplicateTensor) {
  const auto one = R"("a":)" + tensor("U8", "[1]", "[0,1]");
  expect_refused("{" + one + "," + one + "}", 1, {"the key 'a' stands twice"});
}

TEST(SafetensorsHostile, DuplicateKeyInside) {
  expect_refused(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1,
                 {"the key 'dtype' stands twice"});
  expect_refused(R"({"__metadata__":{"k":"1","k":"2"}})", 0, {"the key 'k' stands twice"});
}

TEST(SafetensorsHostile, DeepNesting) {
  expect_refused(R"({"a":{"shape":[[1]]}})", 0, {"nested deeper than the 3"});
  const std::size_t depth = 1'000'000;
  expect_refused(R"({"a":)" + std::string(depth, '[') + std::string(depth, ']') + "}", 0,
                 {"nested deeper than the 3"});
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) objects += "\"a\":{";
  expect_refused(objects, 0, {"nested deeper than the 3"});
}

TEST(SafetensorsHostile, MetadataThatIsNoText) {
  expect_refused(R"({"__metadata__":[]})", 0, {"__metadata__ is no object"});
  expect_refused(R"({"__metadata__":{"k":1}})", 0,
                 {"__metadata__", "'k'", "number", "must be a string"});
  expect_refused(R"({"__metadata__":{"k":null}})", 0, {"'k'", "null"});
}

TEST(SafetensorsHostile, TooManyTensors) {
  std::string header = R"({"__metadata__":{})";
  for (int i = 0; i < 3; ++i)
    header += R"(,"t)" + std::to_string(i) + "\":" + tensor("U8", "[0]", "[0,0]");
  header += "}";
  SafetensorsLimits limits;
  limits.max_tensors = 3;
  EXPECT_EQ(parse(header, 0, limits).tensors().size(), 3u);
  limits.max_tensors = 2;
  expect_refused(header, 0, {"more tensors than the 2"}, limits);
  // Without metadata the count is exact as well.
  expect_refused(R"({"a":)" + tensor("U8", "[0]", "[0,0]") + R"(,"b":)" +
                     tensor("U8", "[0]", "[0,0]") + R"(,"c":)" + tensor("U8", "[0]", "[0,0]") + "}",
                 0, {"more tensors than the 2"}, limits);
}

TEST(SafetensorsHostile, ManyTensorsTakeLinearTime) {
  std::string header = "{";
  for (int i = 0; i < 40'000; ++i)
    header += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":" + tensor("U8", "[0]", "[0,0]");
  header += "}";
  const auto begin = std::chrono::steady_clock::now();
  expect_refused(header, 0, {"more tensors than the 10000"});
  SafetensorsLimits limits;
  limits.max_tensors = 40'000;
  EXPECT_EQ(parse(header, 0, limits).tensors().size(), 40'000u);
  // Quadratic time made it half a minute.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(SafetensorsHostile, EntryOfAnotherForm) {
  expect_refused(R"({"a":1})", 0, {"tensor 'a'", "no object"});
  expect_refused(R"({"a":{"shape":[],"data_offsets":[0,0]}})", 0, {"tensor 'a'", "lacks 'dtype'"});
  expect_refused(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})", 0, {"lacks 'shape'"});
  expect_refused(R"({"a":{"dtype":"U8","shape":[0]}})", 0, {"lacks 'data_offsets'"});
  expect_refused(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"extra":1}})", 0,
                 {"unknown entry 'extra'"});
}

TEST(SafetensorsHostile, UnknownDtype) {
  expect_refused(
      R"({"a":)" + tensor("F8_E4M3", "[1]", "[0,1]") + "}", 1,
      {"tensor 'a'", "'F8_E4M3' is unknown", "F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL"});
  expect_refused(R"({"a":)" + tensor("f32", "[1]", "[0,4]") + "}", 4, {"'f32' is unknown"});
  expect_refused(R"({"a":{"dtype":7,"shape":[0],"data_offsets":[0,0]}})", 0, {"dtype is a number"});
}

TEST(SafetensorsHostile, ShapeThatIsNone) {
  expect_refused(R"({"a":)" + tensor("U8", "3", "[0,3]") + "}", 3, {"shape is a number", "array"});
  for (const std::string side :
       {"-1", "1.0", "1e2", "\"1\"", "null", "9223372036854775808", "18446744073709551616"})
    expect_refused(R"({"a":)" + tensor("U8", "[" + side + "]", "[0,1]") + "}", 1,
                   {"tensor 'a'", "shape holds"});
  expect_refused(R"({"a":)" + tensor("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1,
                 {"9 dimensions", "at most 8"});
}

TEST(SafetensorsHostile, ShapeThatOverflows) {
  expect_refused(R"({"a":)" + tensor("F32", "[4294967296,4294967296]", "[0,0]") + "}", 0,
                 {"overflows"});
  expect_refused(R"({"a":)" + tensor("F64", "[2305843009213693952]", "[0,0]") + "}", 0,
                 {"overflows"});
  expect_refused(R"({"a":)" + tensor("U8", "[0,9223372036854775807,3]", "[0,0]") + "}", 0,
                 {"overflows"});
}

TEST(SafetensorsHostile, OffsetsThatAreNone) {
  for (const std::string offsets :
       {"[0]", "[0,1,2]", "[-1,0]", "[0.0,1]", "\"01\"", "[0,18446744073709551616]", "{}"})
    expect_refused(R"({"a":)" + tensor("U8", "[1]", offsets) + "}", 1,
                   {"tensor 'a'", "data_offsets is"});
}

TEST(SafetensorsHostile, OffsetsRunBackwards) {
  expect_refused(R"({"a":)" + tensor("U8", "[1]", "[1,0]") + "}", 1,
                 {"tensor 'a'", "[1,0]", "backwards"});
}

TEST(SafetensorsHostile, OffsetsOutOfRange) {
  expect_refused(R"({"a":)" + tensor("U8", "[5]", "[0,5]") + "}", 4,
                 {"tensor 'a'", "[0,5]", "past the 4 bytes"});
  expect_refused(
      R"({"a":)" + tensor("U8", "[1]", "[18446744073709551614,18446744073709551615]") + "}", 4,
      {"past the 4 bytes"});
}

TEST(SafetensorsHostile, OffsetsThatDoNotFitTheShape) {
  expect_refused(R"({"a":)" + tensor("F32", "[2]", "[0,4]") + "}", 4,
                 {"tensor 'a'", "hold 4 bytes", "F32 [2] needs 8"});
  expect_refused(R"({"a":)" + tensor("F32", "[0]", "[0,4]") + "}", 4, {"hold 4 bytes", "needs 0"});
}

TEST(SafetensorsHostile, Overlap) {
  expect_refused(
      R"({"a":)" + tensor("U8", "[3]", "[0,3]") + R"(,"b":)" + tensor("U8", "[2]", "[2,4]") + "}",
      4, {"'b' overlaps", "byte 2, expected 3"});
  expect_refused(
      R"({"a":)" + tensor("U8", "[2]", "[0,2]") + R"(,"b":)" + tensor("U8", "[2]", "[0,2]") + "}",
      2, {"overlaps"});
}

TEST(SafetensorsHostile, Gap) {
  expect_refused(
      R"({"a":)" + tensor("U8", "[1]", "[0,1]") + R"(,"b":)" + tensor("U8", "[1]", "[2,3]") + "}",
      3, {"gap before tensor 'b'", "byte 2, expected 1"});
  expect_refused(R"({"a":)" + tensor("U8", "[1]", "[1,2]") + "}", 2, {"gap before tensor 'a'"});
}

TEST(SafetensorsHostile, TrailingBytes) {
  expect_refused(R"({"a":)" + tensor("U8", "[1]", "[0,1]") + "}", 4,
                 {"3 trailing bytes", "byte 1 of 4"});
  expect_refused("{}", 1, {"1 trailing bytes"});
}

TEST(SafetensorsHostile, MessagesStayShortAndPrintable) {
  const std::string name(10'000, 'n');
  try {
    parse("{\"\\u001b[2J" + name + "\":1}", 0);
    FAIL();
  } catch (const Error& e) {
    const std::string message = e.what();
    EXPECT_LT(message.size(), 300u);
    EXPECT_EQ(message.find('\x1b'), std::string::npos);
  }
}

TEST(SafetensorsHostile, EveryTruncationOfAGoodFileIsRefused) {
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":)" + tensor("U8", "[2,3]", "[0,6]") + "}";
  const auto good = file_of(header.size(), header, 6);
  EXPECT_NO_THROW(Safetensors::parse(good, "x"));
  for (std::size_t size = 0; size < good.size(); ++size)
    expect_error(ErrorCode::BadData, {"x: "},
                 [&] { Safetensors::parse(Bytes(good.begin(), good.begin() + size), "x"); });
}

TEST(SafetensorsHostile, NoChangedByteBreaksTheParser) {
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":)" + tensor("U8", "[2,3]", "[0,6]") + "}";
  const auto good = file_of(header.size(), header, 6);
  int refused = 0;
  for (std::size_t i = 0; i < good.size() - 6; ++i)
    for (int flip = 1; flip < 256; ++flip) {
      auto bad = good;
      bad[i] ^= static_cast<std::uint8_t>(flip);
      try {
        const auto file = Safetensors::parse(bad, "x");
        for (const auto& t : file.tensors()) EXPECT_EQ(t.bytes.size(), 6u);
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::BadData);
        ++refused;
      }
    }
  EXPECT_GT(refused, 10'000);
}

// Writing.

TEST(SafetensorsSave, RoundTrips) {
  const TemporaryFolder folder;
  const Bytes floats(24, 7), flags{1, 0, 1};
  const TensorView tensors[] = {{"z.weight", DType::F32, {2, 3}, floats},
                                {"a \"quoted\" ü", DType::Bool, {3}, flags},
                                {"scalar", DType::I64, {}, std::span(floats).first(8)},
                                {"none", DType::F16, {4, 0}, {}}};
  const std::map<std::string, std::string> metadata{{"note", "line\nbreak"}, {"format", "pt"}};
  save_safetensors(folder / "m.safetensors", tensors, metadata, Overwrite::No);
  const auto file = Safetensors::load(folder / "m.safetensors");
  EXPECT_EQ(file.metadata(), metadata);
  ASSERT_EQ(file.tensors().size(), 4u);
  for (const auto& expected : tensors) {
    const auto& got = file.at(expected.name);
    EXPECT_EQ(got.dtype, expected.dtype);
    EXPECT_EQ(got.shape, expected.shape);
    EXPECT_TRUE(std::ranges::equal(got.bytes, expected.bytes));
  }
}

TEST(SafetensorsSave, AlignsDataAndKeepsOrder) {
  const TemporaryFolder folder;
  const Bytes data(8, 1);
  for (std::size_t extra = 0; extra < 9; ++extra) {
    const TensorView tensors[] = {{"z" + std::string(extra, 'x'), DType::F64, {1}, data},
                                  {"a", DType::F32, {2}, data}};
    save_safetensors(folder / "m", tensors, {}, Overwrite::Yes);
    const auto bytes = read_file(folder / "m", 1 << 20);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ((8 + length) % 8, 0u);
    EXPECT_EQ(bytes.size(), 8 + length + 16);
    const auto header = nlohmann::json::parse(
        bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(header.contains("__metadata__"));
    EXPECT_EQ(header["a"]["data_offsets"], (nlohmann::json{8, 16}));
  }
}

TEST(SafetensorsSave, RefusesWhatWouldNotLoad) {
  const TemporaryFolder folder;
  const Bytes data(8, 1);
  const auto save = [&](std::vector<TensorView> tensors) {
    save_safetensors(folder / "m", tensors, {}, Overwrite::No);
  };
  const auto code = ErrorCode::InvalidArgument;
  expect_error(code, {"tensor 'a'", "8 bytes", "F32 [3]"}, [&] {
    save({{"a", DType::F32, {3}, data}});
  });
  expect_error(code, {"tensor 'a'", "F32 [-2]"}, [&] { save({{"a", DType::F32, {-2}, data}}); });
  expect_error(code, {"'a'", "repeats"}, [&] {
    save({{"a", DType::F64, {1}, data}, {"a", DType::F64, {1}, data}});
  });
  expect_error(code, {"reserved"}, [&] { save({{"__metadata__", DType::F64, {1}, data}}); });
  expect_error(code, {"UTF-8"}, [&] { save({{"\xff", DType::F64, {1}, data}}); });
  expect_error(code, {"UTF-8"}, [&] {
    save_safetensors(folder / "m", {}, {{"k", "\xff"}}, Overwrite::No);
  });
  EXPECT_FALSE(std::filesystem::exists(folder / "m"));
}

TEST(SafetensorsSave, NeverOverwritesUnasked) {
  const TemporaryFolder folder;
  save_safetensors(folder / "m", {}, {}, Overwrite::No);
  expect_error(ErrorCode::AlreadyExists, {"/m"},
               [&] { save_safetensors(folder / "m", {}, {}, Overwrite::No); });
}

// Files from the reference library.

TEST(SafetensorsVectors, EveryReferenceFileLoadsAndIsRewrittenEqually) {
  const auto any = test::vector_file("metrics.safetensors");
  VEILNET_NEED_VECTOR(any);
  const TemporaryFolder folder;
  int files = 0;
  for (const auto& source : {any.parent_path(), any.parent_path() / "../weights"}) {
    if (!std::filesystem::is_directory(source)) continue;
    for (const auto& found : std::filesystem::directory_iterator(source)) {
      if (found.path().extension() != ".safetensors") continue;
      SCOPED_TRACE(found.path().filename());
      const auto original = Safetensors::load(found.path());
      EXPECT_FALSE(original.tensors().empty());
      save_safetensors(folder / "copy", original.tensors(), original.metadata(), Overwrite::Yes);
      const auto copy = Safetensors::load(folder / "copy");
      EXPECT_EQ(copy.metadata(), original.metadata());
      ASSERT_EQ(copy.tensors().size(), original.tensors().size());
      for (const auto& tensor : original.tensors()) {
        EXPECT_EQ(copy.at(tensor.name).shape, tensor.shape);
        EXPECT_TRUE(std::ranges::equal(copy.at(tensor.name).bytes, tensor.bytes));
      }
      ++files;
    }
  }
  EXPECT_GE(files, 1);
  RecordProperty("files", files);
}

}  // namespace
}  // namespace veilnet
