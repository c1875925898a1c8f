#include "service/guard.h"

#include <algorithm>

#include "core/random.h"
#include "support.h"

namespace veilnet::service {
namespace {

using image::Batch;
using test::expect_error;

// Textures of one kind: `rough` decides how far neighbours differ.
Batch textures(size_t count, uint64_t seed, int rough) {
  Batch batch(16, 12, count);
  Random random({seed, static_cast<uint64_t>(rough)});
  for (size_t n = 0; n < count; ++n) {
    int level = 128;
    for (auto& byte : batch.picture(n)) {
      level = std::clamp(level + static_cast<int>(random.below(2 * rough + 1)) - rough, 20, 235);
      byte = static_cast<uint8_t>(level);
    }
  }
  return batch;
}

double share_refused(const Guard& guard, const Batch& pictures) {
  size_t refused = 0;
  for (size_t i = 0; i < pictures.count(); ++i)
    refused += guard.looks_unprotected(pictures.picture(i), 16, 12);
  return static_cast<double>(refused) / static_cast<double>(pictures.count());
}

TEST(Guard, TellsPicturesOfOneKindFromOthersAndKeepsItInAFile) {
  const auto guard = Guard::fit(textures(3000, 1, 40), textures(2000, 2, 40), 0.01);
  EXPECT_NEAR(share_refused(guard, textures(2000, 3, 40)), 0.01, 0.015);
  EXPECT_GT(share_refused(guard, textures(500, 4, 10)), 0.99);
  EXPECT_EQ(share_refused(guard, Batch(16, 12, 1)), 1);  // black

  const test::TemporaryFolder folder;
  const auto file = folder / "guard.safetensors";
  guard.save(file, {{"classifier_sha256", "abc"}}, Overwrite::No);
  const auto again = Guard::load(file, "abc");
  const auto picture = textures(1, 5, 40);
  EXPECT_DOUBLE_EQ(again.threshold(), guard.threshold());
  EXPECT_DOUBLE_EQ(again.distance(picture.picture(0), 16, 12),
                   guard.distance(picture.picture(0), 16, 12));
  expect_error(ErrorCode::BadData, {"guard.safetensors", "abc", "xyz"},
               [&] { Guard::load(file, "xyz"); });
}

TEST(Guard, RefusesWhatItCannotBeFittedTo) {
  const auto some = textures(1000, 1, 20);
  expect_error(ErrorCode::InvalidArgument, {"999"},
               [&] { Guard::fit(some, textures(999, 1, 20), 0.01); });
  expect_error(ErrorCode::InvalidArgument, {"one size"},
               [&] { Guard::fit(some, Batch(12, 16, 1000), 0.01); });
  expect_error(ErrorCode::InvalidArgument, {"sides of 8"},
               [] { Guard::fit(Batch(7, 8, 1000), Batch(7, 8, 1000), 0.01); });
}

}  // namespace
}  // namespace veilnet::service
