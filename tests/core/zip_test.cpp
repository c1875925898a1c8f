#include "core/zip.h"

#include <gtest/gtest.h>

#include "support.h"

namespace veilnet {
namespace {

// What Python's zipfile and PyTorch's reader say is in tests/e2e/models_test.py and tests/nn.
TEST(ZipWriter, WritesOneHeaderAFileAndOneDirectory) {
  ZipWriter zip;
  zip.add("a/b", "123456789");
  const auto bytes = std::move(zip).finish();
  const auto at = [&](size_t from) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i)
      value |= uint32_t{static_cast<uint8_t>(bytes[from + i])} << 8 * i;
    return value;
  };
  const size_t file = 30 + 3 + 9, entry = 46 + 3;
  ASSERT_EQ(bytes.size(), file + entry + 22);
  EXPECT_EQ(at(14), 0xcbf43926u);  // the check value that every description of CRC-32 gives
  EXPECT_EQ(bytes.substr(30, 12), "a/b123456789");
  EXPECT_EQ(at(file + 16), at(14));
  EXPECT_EQ(at(file + 42), 0u);             // where its header begins
  EXPECT_EQ(at(file + entry + 12), entry);  // the directory's size
  EXPECT_EQ(at(file + entry + 16), file);   // and beginning
}

TEST(ZipWriter, RefusesMoreFilesThanTheFormatCounts) {
  ZipWriter zip;
  for (int i = 0; i < 65535; ++i) zip.add("x", "");
  test::expect_error(ErrorCode::InvalidArgument, {"\"last\"", "65536 files", "65535"},
                     [&] { zip.add("last", ""); });
}

}  // namespace
}  // namespace veilnet
