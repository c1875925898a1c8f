#include "nn/model.h"

#include <cmath>

#include "nn/tensors.h"
#include "support.h"

namespace veilnet::nn {
namespace {

model::Card tiny_card() {
  model::Card card;
  card.role = model::Role::Classifier;
  card.architecture = "resnet";
  card.depth = 8;
  card.class_names = {"cat", "dog"};
  card.height = card.width = 16;
  card.notes = {{"commit", "abc"}, {"metric.accuracy", "0.5"}};
  return card;
}

// A valid file taken apart, so that a test can damage one thing and write it again.
struct Parts {
  std::vector<std::string> names;
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<TensorView> views;
  std::map<std::string, std::string> metadata;

  explicit Parts(const std::filesystem::path& path) {
    const auto file = Safetensors::load(path);
    metadata = file.metadata();
    for (const auto& view : file.tensors()) {
      bytes.emplace_back(view.bytes.begin(), view.bytes.end());
      views.push_back(view);
    }
    for (size_t i = 0; i < views.size(); ++i) views[i].bytes = bytes[i];
  }
  void write(const std::filesystem::path& path) const {
    save_safetensors(path, views, metadata, Overwrite::Yes);
  }
  TensorView& at(const std::string& name) {
    return *std::find_if(views.begin(), views.end(),
                         [&](const TensorView& v) { return v.name == name; });
  }
};

class ModelFile : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(1);
    save_model(make_model(tiny_card()), path, Overwrite::No);
  }
  void expect_refused(const Parts& parts, std::initializer_list<std::string> message) {
    parts.write(path);
    test::expect_error(ErrorCode::BadData, message, [&] { load_model(path); });
  }
  test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "m.safetensors";
};

TEST_F(ModelFile, RoundTripKeepsWeightsAndCard) {
  torch::manual_seed(1);
  const auto original = make_model(tiny_card());
  const auto loaded = load_model(path, model::Role::Classifier);
  EXPECT_EQ(loaded.card.class_names, original.card.class_names);
  EXPECT_EQ(loaded.card.depth, 8);
  EXPECT_EQ(loaded.card.height, 16);
  EXPECT_EQ(loaded.card.notes.at("metric.accuracy"), "0.5");
  const auto a = state_tensors(*original.net), b = state_tensors(*loaded.net);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(torch::equal(a[i].second, b[i].second)) << a[i].first;
  }
  EXPECT_FALSE(loaded.net->is_training());
}

TEST_F(ModelFile, RefusesAnotherRole) {
  test::expect_error(ErrorCode::BadData, {path.string(), "classifier", "transform"},
                     [&] { load_model(path, model::Role::Transform); });
}

TEST_F(ModelFile, RefusesAMissingTensor) {
  Parts parts(path);
  std::erase_if(parts.views, [](const TensorView& v) { return v.name == "linear.bias"; });
  expect_refused(parts, {"linear.bias", "missing"});
}

TEST_F(ModelFile, RefusesASurplusTensor) {
  Parts parts(path);
  auto extra = parts.at("linear.bias");
  extra.name = "surplus";
  parts.views.push_back(extra);
  expect_refused(parts, {"surplus", "does not belong"});
}

TEST_F(ModelFile, RefusesAnotherDtype) {
  Parts parts(path);
  const std::vector<uint8_t> halves(4);
  parts.at("linear.bias").dtype = DType::F16;
  parts.at("linear.bias").bytes = halves;
  expect_refused(parts, {"linear.bias", "F16", "F32"});
}

TEST_F(ModelFile, RefusesAnotherShape) {
  Parts parts(path);
  parts.at("linear.bias").shape = {2, 1};
  expect_refused(parts, {"linear.bias", "[2, 1]", "[2]"});
}

TEST_F(ModelFile, RefusesNanAndInfinity) {
  for (const float bad : {std::nanf(""), INFINITY}) {
    Parts parts(path);
    std::vector<uint8_t> bytes(parts.at("linear.bias").bytes.begin(),
                               parts.at("linear.bias").bytes.end());
    std::memcpy(bytes.data() + 4, &bad, 4);
    parts.at("linear.bias").bytes = bytes;
    expect_refused(parts, {"linear.bias", "not finite"});
    torch::manual_seed(1);
    save_model(make_model(tiny_card()), path, Overwrite::Yes);
  }
}

TEST_F(ModelFile, RefusesMetadataThatDoesNotDescribeAModel) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"format", "other", "other"},
      {"format_version", "99", "99"},
      {"role", "king", "king"},
      {"architecture", "perceptron", "perceptron"},
      {"parameters", "{", "parameters"},
      {"parameters", R"({"depth": 9})", "depth is 9"},
      {"input_size", "[0, 16]", "input_size"},
      {"std_rgb", "[0, 1, 1]", "std_rgb"},
      {"class_names", "[\"one\"]", "1 class"},
      {"mean_rgb", "\"x\"", "mean_rgb"}};
  for (const auto& [key, value, message] : cases) {
    SCOPED_TRACE(key + "=" + value);
    torch::manual_seed(1);
    save_model(make_model(tiny_card()), path, Overwrite::Yes);
    Parts parts(path);
    parts.metadata[key] = value;
    expect_refused(parts, {message});
  }
  Parts parts(path);
  parts.metadata.clear();
  expect_refused(parts, {"lacks", "format"});
}

TEST(FeatureExtractorFile, IgnoresDeeperLayersAndRefusesMissingOnes) {
  const test::TemporaryFolder folder;
  const auto phi = std::make_shared<FeatureExtractor>("relu1_2");
  Model as_model{model::Card{}, phi};
  save_model(as_model, folder / "phi.safetensors", Overwrite::No);
  EXPECT_NO_THROW(load_feature_extractor(folder / "phi.safetensors", "relu1_1"));
  test::expect_error(ErrorCode::BadData, {"features.5.weight", "missing"},
                     [&] { load_feature_extractor(folder / "phi.safetensors", "relu2_1"); });
}

TEST(Pictures, BytesSurviveTheWayThroughATensor) {
  std::vector<uint8_t> bytes(2 * 4 * 5 * 3);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37);
  const auto tensor = to_tensor(bytes, 2, 4, 5);
  EXPECT_EQ(tensor.sizes().vec(), (std::vector<int64_t>{2, 3, 4, 5}));
  EXPECT_FLOAT_EQ(tensor[1][2][3][4].item<float>(), static_cast<float>(bytes.back()) / 255.0f);
  EXPECT_EQ(to_bytes(tensor), bytes);
  test::expect_error(ErrorCode::InvalidArgument, {"120", "60"}, [&] { to_tensor(bytes, 1, 4, 5); });
}

TEST(Pictures, ToBytesRoundsAndClamps) {
  const auto picture = torch::tensor({-1.0f, 0.499f / 255, 0.501f / 255, 2.0f})
                           .view({1, 1, 1, 4})
                           .expand({1, 3, 1, 4});
  EXPECT_EQ(to_bytes(picture), (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 1, 1, 1, 255, 255, 255}));
}

}  // namespace
}  // namespace veilnet::nn
