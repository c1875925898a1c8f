#include "nn/model.h"

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

TEST(ModelFile, RoundTripKeepsWeightsAndCard) {
  const test::TemporaryFolder folder;
  torch::manual_seed(1);
  const auto original = make_model(tiny_card());
  save_model(original, folder / "m", Overwrite::No);
  const auto loaded = load_model(folder / "m", model::Role::Classifier);
  EXPECT_EQ(model::to_metadata(loaded.card), model::to_metadata(original.card));
  const auto a = state_tensors(*original.net), b = state_tensors(*loaded.net);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(torch::equal(a[i].second, b[i].second)) << a[i].first;
  }
  EXPECT_FALSE(loaded.net->is_training());
  test::expect_error(ErrorCode::BadData, {(folder / "m").string(), "classifier", "transform"},
                     [&] { load_model(folder / "m", model::Role::Transform); });
}

TEST(FeatureExtractorFile, IgnoresDeeperLayersAndRefusesMissingOnes) {
  const test::TemporaryFolder folder;
  const auto phi = std::make_shared<FeatureExtractor>("relu1_2");
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : state_tensors(*phi)) {
    views.push_back({name,
                     DType::F32,
                     tensor.sizes().vec(),
                     {static_cast<const uint8_t*>(tensor.data_ptr()),
                      static_cast<size_t>(tensor.numel()) * sizeof(float)}});
  }
  save_safetensors(folder / "phi.safetensors", views, {}, Overwrite::No);
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
