#include "model/onnx.h"

#include <gmock/gmock.h>

#ifdef VEILNET_HAS_ONNX
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>
#endif

#include "runtime/models.h"
#include "support.h"

namespace veilnet::model {
namespace {

TEST(Onnx, RefusesSizesThatTheNetworkCannotTake) {
  const auto psi = test::drawn_model(test::classifier_card("vgg16_bn", 32));
  test::expect_error(ErrorCode::InvalidArgument, {"32x16", "at least 32"},
                     [&] { to_onnx(psi, 16, 32); });
}

#ifdef VEILNET_HAS_ONNX

std::vector<int64_t> sides(const onnx::ValueInfoProto& value) {
  std::vector<int64_t> all;
  for (const auto& dim : value.type().tensor_type().shape().dim())
    all.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  return all;
}

// ONNX's own checker, and the shapes that it finds, for one of every kind of network.
TEST(Onnx, IsValidForEveryNetwork) {
  for (const auto& card : test::every_architecture()) {
    SCOPED_TRACE(describe(card));
    const auto model = test::drawn_model(card);
    // Another size where the network takes any: the first that it has to pad, for a U-Net.
    const int64_t more = model.graph.pads ? 5 : 0;
    onnx::ModelProto file;
    ASSERT_TRUE(file.ParseFromString(to_onnx(model, card.height + more, card.width)));
    ASSERT_NO_THROW(onnx::checker::check_model(file));
    const auto stated = sides(file.graph().output(0));
    file.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
    const onnx::ShapeInferenceOptions options(/*check_type=*/true, /*strict_mode=*/1);
    ASSERT_NO_THROW(
        onnx::shape_inference::InferShapes(file, onnx::OpSchemaRegistry::Instance(), options));
    EXPECT_EQ(sides(file.graph().input(0)),
              (std::vector<int64_t>{-1, 3, card.height + more, card.width}));
    EXPECT_EQ(sides(file.graph().output(0)), stated);
    const bool classifier = card.role == Role::Classifier;
    EXPECT_EQ(stated, classifier ? (std::vector<int64_t>{-1, 3})
                                 : (std::vector<int64_t>{-1, 3, card.height + more, card.width}));
    EXPECT_EQ(file.metadata_props_size(), static_cast<int>(to_metadata(card).size()));
  }
}

#else

TEST(Onnx, IsValidForEveryNetwork) { GTEST_SKIP() << "built without libonnx-dev"; }

#endif

}  // namespace
}  // namespace veilnet::model
