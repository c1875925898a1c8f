#include <fmt/format.h>
#include <zlib.h>

#include "data/fixtures.h"
#include "data/sources.h"

namespace veilnet::data {
namespace {

using namespace test;
using Bytes = std::vector<std::uint8_t>;

/// A header with these sizes, and values.
Bytes idx(const std::vector<std::uint32_t>& sizes, const Bytes& values) {
  Bytes out = {0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const auto size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  out.insert(out.end(), values.begin(), values.end());
  return out;
}

void write_gzip(const std::filesystem::path& path, const Bytes& bytes) {
  const auto file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
            static_cast<int>(bytes.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
}

/// Three training and two test pictures of 2 rows and 3 columns.
Bytes pictures(std::uint32_t count) {
  Bytes values;
  for (std::uint32_t i = 0; i < count * 6; ++i) values.push_back(static_cast<std::uint8_t>(1 + i));
  return idx({count, 2, 3}, values);
}
void write_set(const std::filesystem::path& folder) {
  write_bytes(folder / "train-images-idx3-ubyte", pictures(3));
  write_bytes(folder / "train-labels-idx1-ubyte", idx({3}, {0, 2, 1}));
  write_bytes(folder / "t10k-images-idx3-ubyte", pictures(2));
  write_bytes(folder / "t10k-labels-idx1-ubyte", idx({2}, {1, 2}));
}

TrainTest load(const std::filesystem::path& folder,
               const std::vector<std::string>& class_names = {}) {
  SourceOptions options;
  options.path = folder;
  options.class_names = class_names;
  return source("idx").load(options);
}

TEST(Idx, ReadsGreyAsRgbInTheMiddleOfBlack) {
  TemporaryFolder folder;
  write_set(folder / "letters");
  const auto data = load(folder / "letters");
  EXPECT_EQ(data.train.name, "letters");
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{0, 2, 1}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"0", "1", "2"}));
  ASSERT_EQ(data.train.pictures.height(), 16);
  ASSERT_EQ(data.train.pictures.width(), 16);
  const auto picture = data.train.image(1);
  for (std::size_t y = 0; y < 16; ++y) {
    for (std::size_t x = 0; x < 16; ++x) {
      const bool inside = y >= 7 && y < 9 && x >= 6 && x < 9;
      const auto expected = inside ? 7 + (y - 7) * 3 + (x - 6) : 0;
      for (std::size_t c = 0; c < 3; ++c)
        EXPECT_EQ(picture[(y * 16 + x) * 3 + c], expected) << y << ' ' << x;
    }
  }
}

TEST(Idx, ReadsMnistsSizeAs32) {
  TemporaryFolder folder;
  write_set(folder.path());
  for (const char* part : {"train", "t10k"})
    write_bytes(folder / fmt::format("{}-images-idx3-ubyte", part),
                idx({part[1] == 'r' ? 3u : 2u, 28, 28}, Bytes((part[1] == 'r' ? 3 : 2) * 784, 5)));
  const auto data = load(folder.path());
  EXPECT_EQ(data.train.pictures.height(), 32);
  EXPECT_EQ(data.train.image(0)[(2 * 32 + 2) * 3], 5);
  EXPECT_EQ(data.train.image(0)[(1 * 32 + 2) * 3], 0);
  EXPECT_EQ(data.train.image(0)[(29 * 32 + 29) * 3], 5);
  EXPECT_EQ(data.train.image(0)[(30 * 32 + 30) * 3], 0);
}

TEST(Idx, ReadsGzipAndTheNamesWithADot) {
  TemporaryFolder folder;
  write_set(folder.path());
  const auto hash = load(folder.path()).hash();
  std::filesystem::remove(folder / "train-images-idx3-ubyte");
  write_gzip(folder / "train-images-idx3-ubyte.gz", pictures(3));
  std::filesystem::rename(folder / "t10k-labels-idx1-ubyte", folder / "t10k-labels.idx1-ubyte");
  EXPECT_EQ(load(folder.path()).hash(), hash);
}

TEST(Idx, TakesClassNames) {
  TemporaryFolder folder;
  write_set(folder.path());
  EXPECT_EQ(load(folder.path(), {"shirt", "shoe", "bag"}).test.class_names[2], "bag");
  expect_error(ErrorCode::BadData, {"data.class_names", "\"..\""}, [&] {
    load(folder.path(), {"shirt", "..", "bag"});
  });
}

TEST(Idx, RefusesLabelsWithoutAName) {
  TemporaryFolder folder;
  write_set(folder.path());
  expect_error(ErrorCode::BadData,
               {"train-labels-idx1-ubyte", "label 2 of picture 1", "allowed is 0 to 1"}, [&] {
                 load(folder.path(), {"shirt", "shoe"});
               });
  write_bytes(folder / "t10k-labels-idx1-ubyte", idx({2}, {1, 3}));
  expect_error(ErrorCode::BadData,
               {"t10k-labels-idx1-ubyte", "label 3 of picture 1", "allowed is 0 to 2"},
               [&] { load(folder.path()); });
}

TEST(Idx, RefusesAnotherMagicNumberTypeOrDimension) {
  TemporaryFolder folder;
  write_set(folder.path());
  for (const auto& [at, value, shown] : {std::tuple{0, 1, "01 00 08 03"},
                                         {1, 9, "00 09 08 03"},
                                         {2, 0x0d, "00 00 0d 03"},
                                         {3, 4, "00 00 08 04"}}) {
    auto bytes = pictures(3);
    bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(value);
    write_bytes(folder / "train-images-idx3-ubyte", bytes);
    expect_error(ErrorCode::BadData, {"train-images-idx3-ubyte", shown, "begins with 00 00 08 03"},
                 [&] { load(folder.path()); });
  }
}

TEST(Idx, RefusesATruncatedFile) {
  TemporaryFolder folder;
  for (const std::size_t size : {0, 3, 6, 15, 16, 33}) {
    write_set(folder.path());
    auto bytes = pictures(3);
    bytes.resize(size);
    write_bytes(folder / "train-images-idx3-ubyte", bytes);
    expect_error(ErrorCode::BadData, {"train-images-idx3-ubyte", "truncated"},
                 [&] { load(folder.path()); });
  }
}

TEST(Idx, RefusesDamagedAndTruncatedGzip) {
  TemporaryFolder folder;
  write_set(folder.path());
  std::filesystem::remove(folder / "train-images-idx3-ubyte");
  const auto path = folder / "train-images-idx3-ubyte.gz";
  write_gzip(path, pictures(3));
  auto bytes = read_file(path, 1 << 20);
  const auto whole = bytes;
  bytes[bytes.size() - 6] ^= 1;  // of the checksum
  write_bytes(path, bytes);
  expect_error(ErrorCode::BadData, {"ubyte.gz", "damaged"}, [&] { load(folder.path()); });
  for (const std::ptrdiff_t size : {12, 20, 30}) {
    write_bytes(path, {whole.begin(), whole.begin() + size});
    expect_error(ErrorCode::BadData, {"ubyte.gz"}, [&] { load(folder.path()); });
  }
}

TEST(Idx, RefusesMoreThanItsSizesSay) {
  TemporaryFolder folder;
  write_set(folder.path());
  auto bytes = pictures(3);
  bytes.push_back(0);
  write_bytes(folder / "train-images-idx3-ubyte", bytes);
  expect_error(ErrorCode::BadData, {"train-images-idx3-ubyte", "goes on after the 18 values"},
               [&] { load(folder.path()); });
}

TEST(Idx, RefusesWhatGrowsBeyondMemory) {
  TemporaryFolder folder;
  write_set(folder.path());
  constexpr std::uint32_t count = 6'000'000;  // 6 KB, 6 MB, 4.6 GB
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"})
    std::filesystem::remove(folder / name);
  write_gzip(folder / "train-images-idx3-ubyte.gz", idx({count, 1, 1}, Bytes(count)));
  write_gzip(folder / "train-labels-idx1-ubyte.gz", idx({count}, Bytes(count)));
  expect_error(ErrorCode::BadData,
               {"train-images-idx3-ubyte.gz", "6000000 pictures of 1x1", "4294967296 bytes"},
               [&] { load(folder.path()); });
}

TEST(Idx, RefusesDifferentCounts) {
  TemporaryFolder folder;
  write_set(folder.path());
  write_bytes(folder / "t10k-labels-idx1-ubyte", idx({1}, {1}));
  expect_error(ErrorCode::BadData, {"t10k-labels-idx1-ubyte", "1 labels", "2 pictures"},
               [&] { load(folder.path()); });
}

// 65536^3 values overflow nothing, and no memory is taken for what the file does not hold.
TEST(Idx, RefusesSizesThatOverflowOrAreEmpty) {
  TemporaryFolder folder;
  write_set(folder.path());
  for (const auto& sizes :
       std::vector<std::vector<std::uint32_t>>{{65536, 65536, 65536},
                                               {0xffffffff, 0xffffffff, 0xffffffff},
                                               {3, 0, 3},
                                               {0, 2, 3},
                                               {3, 0x80000000, 2}}) {
    write_bytes(folder / "train-images-idx3-ubyte", idx(sizes, Bytes(18)));
    expect_error(ErrorCode::BadData, {"train-images-idx3-ubyte", "allowed are 1 to 2147483648"},
                 [&] { load(folder.path()); });
  }
  write_bytes(folder / "train-images-idx3-ubyte", idx({0x7fffffff}, Bytes(18)));
  write_bytes(folder / "train-labels-idx1-ubyte", idx({0x7fffffff}, Bytes(3)));
  expect_error(ErrorCode::BadData, {"train-labels-idx1-ubyte", "truncated: 3 of 2147483647"},
               [&] { load(folder.path()); });
}

TEST(Idx, RefusesLongSides) {
  TemporaryFolder folder;
  write_set(folder.path());
  write_bytes(folder / "train-images-idx3-ubyte", idx({3, 1, 1025}, Bytes(3 * 1025)));
  expect_error(ErrorCode::BadData, {"train-images-idx3-ubyte", "1025x1", "up to 1024"},
               [&] { load(folder.path()); });
}

TEST(Idx, RefusesAMissingFileOrFolder) {
  TemporaryFolder folder;
  write_set(folder.path());
  std::filesystem::remove(folder / "t10k-images-idx3-ubyte");
  expect_error(ErrorCode::NotFound, {"t10k-images-idx3-ubyte", ".gz"},
               [&] { load(folder.path()); });
  expect_error(ErrorCode::NotFound, {"no such folder"}, [&] { load(folder / "absent"); });
}

// Debian's package dataset-fashion-mnist.
TEST(Idx, ReadsFashionMnistWhereItIsInstalled) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  const auto data = load(folder);
  EXPECT_EQ(data.train.name, "fashion-mnist");
  EXPECT_EQ(data.train.size(), 60'000u);
  EXPECT_EQ(data.test.size(), 10'000u);
  EXPECT_EQ(data.train.class_names.size(), 10u);
  EXPECT_EQ(data.train.labels[0], 9);  // an ankle boot
  EXPECT_EQ(data.train.pictures.height(), 32);
}

}  // namespace
}  // namespace veilnet::data
