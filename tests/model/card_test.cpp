#include "model/card.h"

#include <functional>
#include <gmock/gmock.h>

#include "support.h"

namespace veilnet::model {
namespace {

const auto kData = std::filesystem::path("tests/data");

Card sample() {
  Card card;
  card.role = Role::Classifier;
  card.architecture = "resnet";
  card.depth = 20;
  card.adaptation = "le";
  card.block_size = 4;
  card.class_names = {"cat", "dog"};
  card.height = 32;
  card.width = 48;
  card.mean_rgb = {0.1, 0.2, 0.3};
  card.std_rgb = {0.4, 0.5, 0.6};
  card.notes = {{"commit", "abc"}};
  return card;
}

// One tensor of these values in a file with this card.
void write(const std::filesystem::path& path, const std::map<std::string, std::string>& metadata,
           const std::vector<float>& values = {1, 2}) {
  const std::vector<TensorView> tensors = {
      {"a",
       DType::F32,
       {static_cast<int64_t>(values.size())},
       {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)}}};
  save_safetensors(path, tensors, metadata, Overwrite::Yes);
}

TEST(Card, SurvivesItsFile) {
  const test::TemporaryFolder folder;
  write(folder / "m", to_metadata(sample()));
  const auto card = card_of(Safetensors::load(folder / "m"));
  EXPECT_EQ(to_metadata(card), to_metadata(sample()));
  EXPECT_EQ(card.height, 32);
  EXPECT_EQ(card.width, 48);
  EXPECT_EQ(card.notes.at("commit"), "abc");
  EXPECT_EQ(describe(card), "resnet-20 behind adaptation le");
}

// Files of format version 1 stay readable for ever: these were written before src/model existed.
TEST(Card, OfFormatVersionOneIsRead) {
  const auto h = card_of(Safetensors::load(kData / "transform-format1.safetensors"));
  EXPECT_EQ(h.role, Role::Transform);
  EXPECT_EQ(describe(h), "unet width 1");
  EXPECT_EQ(h.notes.at("alpha"), "0.01");
  const auto psi = card_of(Safetensors::load(kData / "classifier-format1.safetensors"));
  EXPECT_EQ(psi.role, Role::Classifier);
  EXPECT_EQ(describe(psi), "unet_encoder width 1");
  EXPECT_THAT(psi.class_names, testing::ElementsAre("cat", "dog"));
  EXPECT_THAT(psi.mean_rgb, testing::ElementsAre(0.4, 0.5, 0.6));
  EXPECT_THAT(psi.std_rgb, testing::ElementsAre(0.25, 0.2, 0.3));
  EXPECT_EQ(psi.height, 32);
}

TEST(Card, RefusesMetadataThatDoesNotDescribeAModel) {
  const test::TemporaryFolder folder;
  const std::string long_text(1'000'000, 'x'), deep(20'000, '[');
  const std::vector<std::array<std::string, 3>> cases = {
      {"format", "other", "other"},
      {"format_version", "99", "99"},
      {"role", "king", "king"},
      {"parameters", "{", "parameters"},
      {"input_size", "[0, 16]", "[0, 16]"},
      {"input_size", "[16]", "input_size"},
      {"std_rgb", "[0, 1, 1]", "std_rgb"},
      {"class_names", "[\"one\"]", "1 class"},
      {"mean_rgb", "\"x\"", "mean_rgb"},
      {"format", long_text, "\"xxx"},
      {"role", "\x1b[31mred", "\\x1B[31mred"},
      {"parameters", deep, "deeper than the 32"},
      {"notes", deep, "deeper than the 32"},
      {"parameters", "[]", "no object"},
      {"parameters", R"({"depth": 1e300})", "no whole depth in {\"depth\": 1e300}"},
      {"parameters", R"({"depth": 20.5})", "no whole depth"},
      {"parameters", R"({"adaptation": 1})", "no name of adaptation"},
      {"input_size", "[16.5, 16]", "not 2"},
      {"input_size", "[16, 16, 3]", "not 2"},
      {"mean_rgb", "[0, 1, true]", "not 3"},
      {"std_rgb", "[1e-320, 1, 1]", "std_rgb"},
      {"class_names", "[\"a\", 1]", "strings"},
      {"class_names", R"(["a", ""])", "\"\" cannot name a class"},
      {"class_names", R"(["a", "\u001b[2J"])", "\"\\x1B[2J\" cannot name a class"},
      {"class_names", "[\"a\", \"" + long_text + "\"]", "xxx...\" cannot name a class"},
      {"notes", "{\"a\": 1}", "not strings"}};
  for (const auto& [key, value, message] : cases) {
    SCOPED_TRACE(key + "=" + value);
    auto metadata = to_metadata(sample());
    metadata[key] = value;
    write(folder / "m", metadata);
    test::expect_error(ErrorCode::BadData, {(folder / "m").string(), message},
                       [&] { card_of(Safetensors::load(folder / "m")); });
    metadata.erase(key);
    write(folder / "m", metadata);
    test::expect_error(ErrorCode::BadData, {(folder / "m").string(), "lacks", key},
                       [&] { card_of(Safetensors::load(folder / "m")); });
  }
}

TEST(ContentHash, FollowsWhatIsComputedAndNotTheNotes) {
  const test::TemporaryFolder folder;
  const auto hash = [&](const Card& card, const std::vector<float>& values = {1, 2}) {
    write(folder / "m", to_metadata(card), values);
    return content_hash(folder / "m");
  };
  const auto expected = hash(sample());
  EXPECT_EQ(expected.size(), 64u);
  auto card = sample();
  card.notes = {{"metric.accuracy", "0.9"}};
  EXPECT_EQ(hash(card), expected);
  const std::vector<std::function<void(Card&)>> changes = {
      [](Card& c) { c.role = Role::Inverse; }, [](Card& c) { c.architecture = "densenet"; },
      [](Card& c) { c.depth = 32; },           [](Card& c) { c.adaptation = "ele"; },
      [](Card& c) { c.block_size = 8; },       [](Card& c) { c.base_width = 1; },
      [](Card& c) { c.height = 16; },          [](Card& c) { c.mean_rgb[1] = 0.21; },
      [](Card& c) { c.std_rgb[2] = 0.61; },    [](Card& c) { c.class_names[0] = "cow"; }};
  for (size_t i = 0; i < changes.size(); ++i) {
    card = sample();
    changes[i](card);
    EXPECT_NE(hash(card), expected) << "change " << i;
  }
  EXPECT_NE(hash(sample(), {1, 3}), expected);
}

TEST(ContentHash, DoesNotDependOnTheOrderOfTensors) {
  const std::vector<uint8_t> x(8, 1), y(8, 2);
  std::vector<TensorView> tensors = {{"x", DType::F32, {2}, x}, {"y", DType::F32, {2}, y}};
  const auto expected = content_hash(sample(), tensors);
  std::swap(tensors[0], tensors[1]);
  EXPECT_EQ(content_hash(sample(), tensors), expected);
  std::swap(tensors[0].bytes, tensors[1].bytes);
  EXPECT_NE(content_hash(sample(), tensors), expected);
  tensors = {{"x", DType::F32, {1, 2}, x}, {"y", DType::F32, {2}, y}};
  EXPECT_NE(content_hash(sample(), tensors), expected);
}

}  // namespace
}  // namespace veilnet::model
