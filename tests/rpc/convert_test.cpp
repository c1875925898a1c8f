#include "rpc/convert.h"

#include "support.h"

namespace veilnet::rpc {
namespace {

using test::expect_error;

service::ModelForm form_of_two(int score_digits = 0) {
  return {2, 1, {"cat", "dog", "owl"}, {score_digits, 5}};
}

const std::string kLevels{"\0\1\2\3\4\5\xfa\xfb\xfc\xfd\xfe\xff", 12};

inference::ModelInferRequest request(bool raw) {
  inference::ModelInferRequest message;
  message.set_id("7");
  auto& input = *message.add_inputs();
  input.set_name("images");
  input.set_datatype("UINT8");
  for (const int side : {2, 2, 1, 3}) input.add_shape(side);
  if (raw) {
    message.add_raw_input_contents(kLevels);
  } else {
    for (const char level : kLevels)
      input.mutable_contents()->add_uint_contents(static_cast<uint8_t>(level));
  }
  return message;
}

TEST(Convert, ReadsRawAndTypedPicturesAlike) {
  for (const bool raw : {true, false}) {
    auto message = request(raw);
    (*message.mutable_parameters())["timeout"].set_int64_param(1500);
    (*message.mutable_parameters())["priority"].set_uint64_param(3);
    const auto read = read_infer(message, form_of_two());
    EXPECT_EQ(read.id, "7");
    EXPECT_EQ(read.timeout.count(), 2);
    EXPECT_EQ(read.priority, 3);
    EXPECT_EQ(read.pictures.count, 2);
    EXPECT_EQ(std::string(read.pictures.pixels_nhwc.begin(), read.pictures.pixels_nhwc.end()),
              kLevels);
    ASSERT_EQ(read.outputs.size(), 2u);
    EXPECT_EQ(read.outputs[0].binary, raw);
  }
}

TEST(Convert, RefusesByFieldAndValue) {
  const auto refused = [](std::initializer_list<std::string> parts, auto&& change,
                          bool raw = true) {
    auto message = request(raw);
    change(message);
    expect_error(ErrorCode::BadData, parts, [&] { read_infer(message, form_of_two()); });
  };
  refused({"inputs has 0"}, [](auto& m) { m.clear_inputs(); });
  refused({"inputs[0].name", "pixels", "images"},
          [](auto& m) { m.mutable_inputs(0)->set_name("pixels"); });
  refused({"inputs[0].datatype", "FP32", "UINT8"},
          [](auto& m) { m.mutable_inputs(0)->set_datatype("FP32"); });
  refused({"inputs[0].shape", "[n, 2, 1, 3]"}, [](auto& m) { m.mutable_inputs(0)->add_shape(1); });
  refused({"9000000000000000000 pictures", "1024"},
          [](auto& m) { m.mutable_inputs(0)->set_shape(0, 9'000'000'000'000'000'000); });
  refused({"-1 pictures"}, [](auto& m) { m.mutable_inputs(0)->set_shape(0, -1); });
  refused({"11 bytes", "12"}, [](auto& m) { m.mutable_raw_input_contents(0)->pop_back(); });
  refused({"2 entries", "1 input"}, [](auto& m) { m.add_raw_input_contents("x"); });
  refused({"either"},
          [](auto& m) { m.mutable_inputs(0)->mutable_contents()->add_uint_contents(1); });
  refused({"either"}, [](auto& m) { m.clear_raw_input_contents(); });
  refused(
      {"13 values", "12"},
      [](auto& m) { m.mutable_inputs(0)->mutable_contents()->add_uint_contents(1); }, false);
  refused(
      {"value 3 is 256", "0 to 255"},
      [](auto& m) { m.mutable_inputs(0)->mutable_contents()->set_uint_contents(3, 256); }, false);
  refused(
      {"0 values", "12"},
      [](auto& m) {
        m.mutable_inputs(0)->mutable_contents()->clear_uint_contents();
        m.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1);
      },
      false);
  refused({"id", "257"}, [](auto& m) { m.set_id(std::string(257, 'x')); });
  refused({"parameters.timeout"},
          [](auto& m) { (*m.mutable_parameters())["timeout"].set_int64_param(-1); });
  refused({"parameters.priority is 4"},
          [](auto& m) { (*m.mutable_parameters())["priority"].set_int64_param(4); });
  refused({"parameters.timeout"},
          [](auto& m) { (*m.mutable_parameters())["timeout"].set_string_param("5"); });
  refused({"outputs[0].name", "probabilities", "label, name"},
          [](auto& m) { m.add_outputs()->set_name("probabilities"); });
  refused({"outputs[1].name", "twice"}, [](auto& m) {
    m.add_outputs()->set_name("label");
    m.add_outputs()->set_name("label");
  });
  refused({"outputs[0]", "classification"}, [](auto& m) {
    m.add_outputs()->set_name("label");
    (*m.mutable_outputs(0)->mutable_parameters())["classification"].set_int64_param(1);
  });
}

TEST(Convert, AnswersAsItWasAsked) {
  const std::vector<float> logits{0, 2, 0, 3, 0, 0};
  const auto form = form_of_two(2);
  for (const bool raw : {true, false}) {
    const auto message = request(raw);
    inference::ModelInferResponse answer;
    write_infer(read_infer(message, form), logits, form, "m", 4, answer);
    EXPECT_EQ(answer.model_name(), "m");
    EXPECT_EQ(answer.model_version(), "4");
    EXPECT_EQ(answer.id(), "7");
    ASSERT_EQ(answer.outputs_size(), 3);
    EXPECT_EQ(answer.outputs(2).shape(1), 3);
    if (raw) {
      ASSERT_EQ(answer.raw_output_contents_size(), 3);
      EXPECT_EQ(answer.raw_output_contents(0), std::string("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
      EXPECT_EQ(answer.raw_output_contents(1), std::string("\3\0\0\0dog\3\0\0\0cat", 14));
      EXPECT_EQ(answer.raw_output_contents(2).size(), 24u);
      EXPECT_FALSE(answer.outputs(0).has_contents());
    } else {
      EXPECT_EQ(answer.raw_output_contents_size(), 0);
      EXPECT_EQ(answer.outputs(0).contents().int64_contents(0), 1);
      EXPECT_EQ(answer.outputs(1).contents().bytes_contents(0), "dog");
      EXPECT_EQ(answer.outputs(1).contents().bytes_contents(1), "cat");
      EXPECT_FLOAT_EQ(answer.outputs(2).contents().fp32_contents(1), 0.79f);
    }
  }
}

}  // namespace
}  // namespace veilnet::rpc
