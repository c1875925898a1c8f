#include "attack/retrieval.h"

#include "cipher/key.h"
#include "data/sources.h"
#include "support.h"

namespace veilnet::attack {
namespace {

TEST(Retrieval, FingerprintsDoNotDependOnTheKey) {
  const auto plain = data::make_synthetic({7, 40, 10}).test.pictures;
  for (const std::string id : {"le", "ele", "etc", "pe", "pixel-shuffle", "bit-flip"}) {
    for (const bool shuffle : {false, true}) {
      if (shuffle && id != "pe") continue;
      cipher::SchemeOptions options;
      options.id = id;
      options.variant = shuffle;
      image::Batch one(32, 32, plain.count()), other = one;
      cipher::encrypt_all(*cipher::make_scheme(options, cipher::key_from_seed(1), 32, 32),
                          plain.pixels(), one.pixels());
      cipher::encrypt_all(*cipher::make_scheme(options, cipher::key_from_seed(2), 32, 32),
                          plain.pixels(), other.pixels());
      ASSERT_NE(one, other);
      const auto found = retrieve(options, one, other);
      for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], i) << id;
      EXPECT_EQ(fingerprint(options, one.image(0)), fingerprint(options, other.image(0))) << id;
    }
  }
}

TEST(Retrieval, RefusesSizesThatDoNotFit) {
  cipher::SchemeOptions le;
  le.id = "le";
  const image::Batch picture(6, 6, 1);
  test::expect_error(ErrorCode::InvalidArgument, {"6x6", "block size 4"},
                     [&] { retrieve(le, picture, picture); });
  test::expect_error(ErrorCode::InvalidArgument, {"at least one candidate"},
                     [&] { retrieve(le, picture, {}); });
}

}  // namespace
}  // namespace veilnet::attack
