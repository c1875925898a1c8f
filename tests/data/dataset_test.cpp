#include "data/dataset.h"

#include <set>

#include "data/fixtures.h"

namespace veilnet::data {
namespace {

using namespace test;

TrainTest valid() { return {numbered(6, 4, 5, 3), numbered(3, 4, 5, 3)}; }

TEST(Dataset, ImageIsTheRightSlice) {
  const auto set = numbered(3, 2, 4, 2);
  EXPECT_EQ(set.size(), 3u);
  EXPECT_EQ(set.image_bytes(), 24u);
  EXPECT_EQ(set.image(2).size(), 24u);
  EXPECT_EQ(set.image(2)[0], 1 + 74);
}

TEST(Dataset, CheckAcceptsAValidSet) { EXPECT_NO_THROW(check(valid())); }

TEST(Dataset, HashIsStableAndNamesTheContent) {
  const auto hash = valid().hash();
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(hash, valid().hash());
  auto renamed = valid();
  renamed.train.name = "another";  // where the pictures came from is not what they are
  EXPECT_EQ(hash, renamed.hash());

  std::set<std::string> hashes = {hash};
  const auto differs = [&](const char* what, auto&& change) {
    auto data = valid();
    change(data);
    EXPECT_TRUE(hashes.insert(data.hash()).second) << what;
  };
  differs("pixel of train", [](auto& d) { d.train.pictures.pixels()[7] ^= 1; });
  differs("pixel of test", [](auto& d) { d.test.pictures.pixels()[7] ^= 1; });
  differs("label of train", [](auto& d) { d.train.labels[0] = 1; });
  differs("label of test", [](auto& d) { d.test.labels[0] = 1; });
  differs("class name", [](auto& d) { d.train.class_names[0] += 'x'; });
  differs("border between class names", [](auto& d) {
    d.train.class_names[0] = "class0c";
    d.train.class_names[1] = "lass1";
  });
  differs("sides swapped", [](auto& d) {
    const auto& now = d.train.pictures;
    d.train.pictures = image::Batch(now.width(), now.height(), bytes(now.pixels()));
  });
  differs("sets swapped", [](auto& d) { std::swap(d.train, d.test); });
}

TEST(Dataset, RefusesAnEmptySet) {
  auto data = valid();
  data.test = numbered(0, 4, 5, 3);
  expect_error(ErrorCode::BadData, {"'numbered' (test)", "no pictures"}, [&] { check(data); });
}

TEST(Dataset, RefusesOtherThanOneLabelAPicture) {
  auto data = valid();
  data.train.labels.pop_back();
  expect_error(ErrorCode::BadData, {"(train)", "6 pictures and 5 labels"}, [&] { check(data); });
}

TEST(Dataset, RefusesDifferentSizes) {
  auto data = valid();
  data.test = numbered(3, 5, 4, 3);
  expect_error(ErrorCode::BadData, {"(test)", "5x4", "4x5"}, [&] { check(data); });
}

TEST(Dataset, RefusesDifferentClassNames) {
  auto data = valid();
  data.test.class_names[1] = "other";
  expect_error(ErrorCode::BadData, {"(test)", "class names differ"}, [&] { check(data); });
}

TEST(Dataset, RefusesLabelsOutOfRange) {
  for (int label : {-1, 3}) {
    auto data = valid();
    data.test.labels[2] = label;
    expect_error(ErrorCode::BadData,
                 {"(test)", "label " + std::to_string(label), "picture 2", "[0, 3)"},
                 [&] { check(data); });
  }
}

TEST(Dataset, RefusesOneClassOnly) {
  auto data = valid();
  data.train.labels.assign(6, 2);
  expect_error(ErrorCode::BadData, {"(train)", "only one class", "'class2'", "at least two"},
               [&] { check(data); });
}

}  // namespace
}  // namespace veilnet::data
