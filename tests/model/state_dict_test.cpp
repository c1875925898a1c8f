#include "model/state_dict.h"

#include <array>
#include <fstream>
#include <gmock/gmock.h>

#include "core/hash.h"
#include "runtime/models.h"
#include "support.h"

namespace veilnet::model {
namespace {

// What a caller knows of a network, without what its tensors say.
Card told(Card card) {
  card.depth = card.base_width = 0;
  card.notes.clear();
  return card;
}

// A state dict as PyTorch writes it, of a model with drawn weights.
class StateDict : public testing::Test {
 protected:
  void SetUp() override { take(test::drawn_model(test::classifier_card("resnet", 16))); }

  void take(Model of) {
    model = std::move(of);
    views.clear();
    for (const auto& [name, tensor] : model.weights) {
      views.push_back({name,
                       DType::F32,
                       tensor.shape,
                       {reinterpret_cast<const uint8_t*>(tensor.values.data()),
                        tensor.values.size() * sizeof(float)}});
      if (name.ends_with("running_mean")) {
        const auto norm = name.substr(0, name.size() - std::string_view("running_mean").size());
        views.push_back({norm + "num_batches_tracked", DType::I64, {}, count});
      }
    }
  }
  TensorView& at(const std::string& name) {
    return *std::ranges::find(views, name, &TensorView::name);
  }
  Model read() {
    save_safetensors(path, views, {}, Overwrite::Yes);
    return from_state_dict(path, told(model.card));
  }
  void expect_refused(ErrorCode code, std::initializer_list<std::string> parts) {
    test::expect_error(code, parts, [&] { read(); });
    if (code == ErrorCode::BadData) test::expect_error(code, {path.string()}, [&] { read(); });
  }

  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "s.safetensors";
  const std::array<uint8_t, 8> count{7};
  Model model;
  std::vector<TensorView> views;
};

TEST_F(StateDict, BecomesTheModelThatItCameFrom) {
  for (const auto& card : test::every_architecture()) {
    // Those with parameters that no tensor's shape tells have no reference to come from.
    if (card.bits > 0 || card.block_size > 0) continue;
    SCOPED_TRACE(describe(card));
    take(test::drawn_model(card));
    const auto imported = read();
    auto expected = card;
    expected.notes = {{"state_dict_sha256", sha256_file(path)}};
    EXPECT_EQ(to_metadata(imported.card), to_metadata(expected));
    EXPECT_EQ(imported.graph.tensors(), model.graph.tensors());
    ASSERT_EQ(imported.weights.size(), model.weights.size());
    for (const auto& [name, tensor] : model.weights)
      EXPECT_EQ(imported.weights.at(name).values, tensor.values) << name;
  }
}

TEST_F(StateDict, MayBeOfDataParallel) {
  for (auto& view : views) view.name = "module." + view.name;
  EXPECT_EQ(read().weights.size(), model.weights.size());
  views.front().name = "conv1.weight";  // then the prefix is a part of the names
  expect_refused(ErrorCode::BadData, {"layer1.0.conv1.weight", "missing"});
}

TEST_F(StateDict, MayLackTheCountsOfBatches) {
  std::erase_if(views, [](const auto& view) { return view.dtype == DType::I64; });
  EXPECT_NO_THROW(read());
}

TEST_F(StateDict, IsRefusedByNameShapeAndWhatIsExpected) {
  const auto whole = views;
  std::erase_if(views, [](const auto& v) { return v.name == "layer1.0.conv2.weight"; });
  expect_refused(ErrorCode::BadData,
                 {"\"layer1.0.conv2.weight\" is missing; expected with shape [16, 16, 3, 3]"});
  views = whole;
  views.push_back({"fc.bias", DType::F32, at("linear.bias").shape, at("linear.bias").bytes});
  expect_refused(ErrorCode::BadData, {"\"fc.bias\" of shape [3] does not belong"});
  views = whole;
  at("conv1.weight").shape = {16, 27};
  expect_refused(ErrorCode::BadData,
                 {"\"conv1.weight\" has shape [16, 27]; expected [16, 3, 3, 3]"});
  views = whole;
  at("linear.bias") = {"linear.bias", DType::F16, {3}, at("linear.bias").bytes.first(6)};
  expect_refused(ErrorCode::BadData, {"\"linear.bias\" has dtype F16; expected F32"});
}

TEST_F(StateDict, MustSayHowDeepOrWideItsNetworkIs) {
  std::erase_if(views, [](const auto& v) { return v.name.starts_with("layer1."); });
  expect_refused(ErrorCode::BadData, {"layer1.0.conv1.weight", "how deep"});
  take(test::drawn_model(test::picture_card(Role::Transform, "unet", 4)));
  at("conv1.conv.0.weight").name = "x";
  expect_refused(ErrorCode::BadData, {"conv1.conv.0.weight", "how wide"});
}

TEST_F(StateDict, NeedsACardThatAModelCanHave) {
  const auto expect = [&](Card card, std::initializer_list<std::string> parts) {
    save_safetensors(path, views, {}, Overwrite::Yes);
    test::expect_error(ErrorCode::InvalidArgument, parts, [&] { from_state_dict(path, card); });
  };
  auto card = told(model.card);
  card.class_names = {"only"};
  expect(card, {"1 class names", "2 to"});
  card = told(model.card);
  card.height = 9000;
  expect(card, {"[9000, 20]", "1 to 8192"});
  card = told(model.card);
  card.std_rgb = {0, 1, 1};
  expect(card, {"std_rgb [0", "1e-6"});
  card = told(model.card);
  card.architecture = "perceptron";
  expect(card, {"perceptron", "resnet18"});
  card.architecture = "coded";
  expect(card, {"coded", "cannot be imported"});
  card = told(model.card);
  card.class_names.push_back("d");
  save_safetensors(path, views, {}, Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"\"linear.weight\" has shape [3, 64]; expected [4, 64]"},
                     [&] { from_state_dict(path, card); });
}

TEST_F(StateDict, IsNeitherAModelNorAPyTorchFile) {
  save(model, path, Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {path.string(), "already", "state dict"},
                     [&] { from_state_dict(path, told(model.card)); });
  std::ofstream(path) << "PK\3\4 as torch.save begins";
  test::expect_error(ErrorCode::BadData, {path.string(), ".pth", "convert it", "safetensors"},
                     [&] { from_state_dict(path, told(model.card)); });
}

}  // namespace
}  // namespace veilnet::model
