#include "model/model.h"

#include <cmath>
#include <cstring>
#include <gmock/gmock.h>

#include "model/reference.h"
#include "support.h"

namespace veilnet::model {
namespace {

const auto kModels = std::filesystem::path("tests/data");

// A model with every tensor set to `value`, variances to 1.
Model make(const Card& card, float value = 0.125f) {
  Model model{card, make_graph(card), {}};
  for (const auto& spec : model.graph.tensors()) {
    size_t count = 1;
    for (const auto side : spec.shape) count *= static_cast<size_t>(side);
    model.weights[spec.name] = {
        spec.shape, std::vector<float>(count, spec.name.ends_with("running_var") ? 1.0f : value)};
  }
  return model;
}

Card encoder() {
  Card card;
  card.architecture = "unet_encoder";
  card.base_width = 1;
  card.class_names = {"cat", "dog"};
  card.height = card.width = 16;
  return card;
}

// A valid file taken apart, so that a test can damage one thing and write it again.
struct Parts {
  explicit Parts(const std::filesystem::path& path) : file(Safetensors::load(path)) {
    metadata = file.metadata();
    views = file.tensors();
    for (const auto& view : views) bytes[view.name].assign(view.bytes.begin(), view.bytes.end());
  }
  void write(const std::filesystem::path& path) {
    for (auto& view : views) view.bytes = bytes[view.name];
    save_safetensors(path, views, metadata, Overwrite::Yes);
  }
  TensorView& at(const std::string& name) {
    return *std::ranges::find(views, name, &TensorView::name);
  }
  void set(const std::string& name, size_t index, float value) {
    std::memcpy(bytes.at(name).data() + index * sizeof(float), &value, sizeof value);
  }

  Safetensors file;
  std::vector<TensorView> views;
  std::map<std::string, std::vector<uint8_t>> bytes;
  std::map<std::string, std::string> metadata;
};

class ModelFile : public testing::Test {
 protected:
  void SetUp() override { save(make(encoder()), path, Overwrite::No); }
  void expect_refused(Parts& parts, std::initializer_list<std::string> message) {
    parts.write(path);
    test::expect_error(ErrorCode::BadData, message, [&] { load(path); });
    test::expect_error(ErrorCode::BadData, {path.string()}, [&] { load(path); });
  }
  test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "m.safetensors";
};

TEST_F(ModelFile, RoundTripKeepsWeightsAndCard) {
  const auto original = make(encoder());
  const auto loaded = load(path, Role::Classifier);
  EXPECT_EQ(to_metadata(loaded.card), to_metadata(original.card));
  EXPECT_EQ(loaded.graph.tensors(), original.graph.tensors());
  ASSERT_EQ(loaded.weights.size(), original.weights.size());
  for (const auto& [name, tensor] : original.weights) {
    EXPECT_EQ(loaded.weights.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(loaded.weights.at(name).values, tensor.values) << name;
  }
}

// What files written by the first versions compute stays what it is.
TEST(OldModelFile, ComputesWhatItDid) {
  std::vector<uint8_t> picture(32 * 32 * 3);
  for (size_t i = 0; i < picture.size(); ++i)
    picture[i] = static_cast<uint8_t>(i * 37 + i / 96 * 11);
  const auto h = load(kModels / "transform-format1.safetensors", Role::Transform);
  const auto protected_picture =
      pictures_of(ref_forward(h, network_input(h, picture, 32, 32)), 32, 32);
  const std::vector<int> expected = {172, 159, 126, 167, 159, 126, 159, 159, 126, 162, 159, 126,
                                     161, 159, 126, 164, 159, 126, 162, 159, 125, 162, 158, 122};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(protected_picture[i * 127], expected[i], 1) << i;
  const auto psi = load(kModels / "classifier-format1.safetensors", Role::Classifier);
  const auto logits = ref_forward(psi, network_input(psi, picture, 32, 32)).values;
  EXPECT_THAT(logits, testing::ElementsAre(testing::FloatNear(-0.3171f, 1e-4f),
                                           testing::FloatNear(0.0539f, 1e-4f)));
}

TEST_F(ModelFile, RefusesAnotherRole) {
  test::expect_error(ErrorCode::BadData, {path.string(), "classifier", "transform"},
                     [&] { load(path, Role::Transform); });
}

TEST_F(ModelFile, RefusesTensorsThatDoNotFit) {
  Parts missing(path);
  std::erase_if(missing.views, [](const TensorView& v) { return v.name == "linear.bias"; });
  Parts surplus(path);
  surplus.views.push_back(surplus.at("linear.bias"));
  surplus.views.back().name = "surplus";
  surplus.bytes["surplus"] = surplus.bytes["linear.bias"];
  Parts dtype(path);
  dtype.at("linear.bias").dtype = DType::F16;
  dtype.bytes["linear.bias"].resize(4);
  Parts shape(path);
  shape.at("linear.bias").shape = {2, 1};
  expect_refused(missing, {"linear.bias", "missing; expected with shape [2]"});
  expect_refused(surplus, {"surplus", "of shape [2] does not belong"});
  expect_refused(dtype, {"linear.bias", "F16", "F32"});
  expect_refused(shape, {"linear.bias", "[2, 1]", "[2]"});
}

TEST_F(ModelFile, RefusesValuesThatCannotCompute) {
  for (const float value : {std::nanf(""), INFINITY, -INFINITY, 3e38f, -2e12f}) {
    Parts parts(path);
    parts.set("linear.bias", 1, value);
    expect_refused(parts,
                   {"linear.bias", std::isfinite(value) ? "allowed: -1e+12 to" : "not finite"});
    save(make(encoder()), path, Overwrite::Yes);
  }
  Parts parts(path);
  parts.set("conv1.conv.1.running_var", 0, -0.5f);
  expect_refused(parts, {"conv1.conv.1.running_var", "-0.5", "allowed: 0 to"});
}

TEST_F(ModelFile, RefusesMetadataThatDescribesNoNetwork) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"architecture", "perceptron", "perceptron"},
      {"parameters", R"({"base_width": 300})", "width is 300"},
      {"std_rgb", "[1e-320, 1, 1]", "std_rgb"},
      {"std_rgb", "[1e30, 1, 1]", "std_rgb"},
      {"mean_rgb", "[1e30, 1, 1]", "mean_rgb"},
      {"input_size", "[8, 16]", "at least 16"}};
  for (const auto& [key, value, message] : cases) {
    SCOPED_TRACE(key + "=" + value);
    Parts parts(path);
    parts.metadata[key] = value;
    expect_refused(parts, {message});
    save(make(encoder()), path, Overwrite::Yes);
  }
}

// A few hundred bytes must not be able to ask for gigabytes: each of these is refused from the
// header alone. (The test's own limit of time is the check: a network of that size takes minutes.)
TEST_F(ModelFile, RefusesGiantsBeforeTakingMemory) {
  const auto claim = [&](std::map<std::string, std::string> changes,
                         std::initializer_list<std::string> message) {
    auto metadata = to_metadata(encoder());
    for (const auto& [key, value] : changes) metadata[key] = value;
    save_safetensors(path, {}, metadata, Overwrite::Yes);
    test::expect_error(ErrorCode::BadData, message, [&] { load(path); });
  };
  claim({{"role", "inverse"},
         {"architecture", "block_inverse"},
         {"parameters", R"({"block_size": 64})"},
         {"input_size", "[64, 64]"}},
        {path.string(), "layers.0.weight", "missing"});
  claim({{"architecture", "resnet"},
         {"parameters", R"({"depth": 8, "adaptation": "ele", "block_size": 1})"},
         {"input_size", "[512, 512]"}},
        {path.string(), "adaptation.weight", "missing"});
  claim({{"role", "transform"},
         {"architecture", "unet"},
         {"parameters", R"({"base_width": 16})"},
         {"input_size", "[8192, 8192]"}},
        {path.string(), "8192x8192", "allowed: 4096 MB"});
}

TEST(PaddedShape, FollowsTheNetworkAndTheBudget) {
  Card card;
  card.role = Role::Transform;
  card.architecture = "unet";
  card.base_width = 4;
  const auto graph = make_graph(card);
  EXPECT_EQ(padded_shape(graph, 32, 33), (Shape{3, 32, 48}));
  EXPECT_EQ(padded_shape(graph, 1, 1), (Shape{3, 16, 16}));
  const auto bytes = activation_bytes(graph, 64, 64);
  EXPECT_NO_THROW(padded_shape(graph, 64, 64, bytes));
  test::expect_error(ErrorCode::InvalidArgument, {"64x64", "allowed"},
                     [&] { padded_shape(graph, 64, 64, bytes - 1); });
}

}  // namespace
}  // namespace veilnet::model
