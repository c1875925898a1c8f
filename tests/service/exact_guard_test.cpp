#include "service/exact_guard.h"

#include <fmt/format.h>

#include "core/files.h"
#include "image/image.h"
#include "support.h"

namespace veilnet::service {
namespace {

TEST(ExactGuard, HoldsThePicturesOfACodebookAndNoOther) {
  const test::TemporaryFolder folder;  // two bits: four pictures of 3x2, of which two are the same
  for (int code = 0; code < 4; ++code) {
    const image::Image picture{2, 3, std::vector<uint8_t>(18, static_cast<uint8_t>(code / 2))};
    write_file(folder / fmt::format("{:05}.png", code), image::encode_png(picture), Overwrite::Yes);
  }
  write_file(folder / "codebook.json", std::string(R"({"bits": 2})"), Overwrite::Yes);
  const ExactGuard guard(folder.path(), 2, 3);
  EXPECT_EQ(guard.pictures(), 2u);
  std::vector<uint8_t> pixels(18, 1);
  EXPECT_TRUE(guard.holds(pixels));
  pixels[17] = 0;
  EXPECT_FALSE(guard.holds(pixels));
  EXPECT_FALSE(guard.holds(std::vector<uint8_t>(18, 2)));
}

}  // namespace
}  // namespace veilnet::service
