#include "model/codebook.h"

#include <fmt/format.h>

#include "core/files.h"
#include "image/image.h"
#include "support.h"

namespace veilnet::model {
namespace {

using test::expect_error;

// Two bits: four pictures of 3x2.
void write_codebook(const std::filesystem::path& folder) {
  for (int code = 0; code < 4; ++code) {
    const image::Image picture{2, 3, std::vector<uint8_t>(18, static_cast<uint8_t>(code))};
    write_file(folder / fmt::format("{:05}.png", code), image::encode_png(picture), Overwrite::Yes);
  }
  write_file(folder / "codebook.json", std::string(R"({"bits": 2, "model_sha256": "ab"})"),
             Overwrite::Yes);
}

TEST(Codebook, HasThePictureOfEachCode) {
  const test::TemporaryFolder folder;
  write_codebook(folder.path());
  const auto book = read_codebook(folder.path(), 2, 3);
  EXPECT_EQ(book.bits, 2);
  EXPECT_EQ(book.model_sha256, "ab");
  ASSERT_EQ(book.pictures.count(), 4u);
  for (uint8_t code = 0; code < 4; ++code) EXPECT_EQ(book.pictures.picture(code)[17], code);
}

TEST(Codebook, RefusesWhatIsNone) {
  const test::TemporaryFolder folder;
  const auto refused = [&](ErrorCode code, std::initializer_list<std::string> parts,
                           int64_t height = 2, int64_t width = 3) {
    expect_error(code, parts, [&] { read_codebook(folder.path(), height, width); });
  };
  refused(ErrorCode::NotFound, {"codebook.json"});
  write_codebook(folder.path());
  refused(ErrorCode::BadData, {"00000.png", "3x2", "2x3"}, 3, 2);
  for (const char* text : {R"({"bits": 17})", R"({"bits": 0})", R"({"bits": "2"})", "[]", "{}"}) {
    write_file(folder.path() / "codebook.json", std::string(text), Overwrite::Yes);
    refused(ErrorCode::BadData, {"codebook.json", "bits", "1 to 16"});
  }
  write_file(folder.path() / "codebook.json", std::string(R"({"bits": 3})"), Overwrite::Yes);
  refused(ErrorCode::NotFound, {"00004.png"});
}

}  // namespace
}  // namespace veilnet::model
