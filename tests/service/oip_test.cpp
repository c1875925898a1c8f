#include "service/oip.h"

#include "support.h"

namespace veilnet::service {
namespace {

using test::expect_error;

ModelForm form_of_two(int score_digits = 0) {
  return {2, 1, {"cat", "dog", "owl"}, {score_digits, 5}};
}

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::string request(const std::string& data, const std::string& more = "") {
  return R"({"id":"7","inputs":[{"name":"images","datatype":"UINT8","shape":[2,2,1,3],)" + data +
         "}]" + more + "}";
}

TEST(Oip, ReadsFlatNestedAndBinaryPicturesAlike) {
  const std::vector<uint8_t> wanted{0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255};
  const auto flat = request(R"("data":[0,1,2,3,4,5,250,251,252,253,254,255])");
  const auto nested =
      request(R"("data":[[[[0,1,2]],[[3,4,5]]],[[[250,251,252]],[[253,254,255]]]])");
  for (const auto& json : {flat, nested}) {
    const auto read = read_infer(bytes_of(json), {}, form_of_two());
    EXPECT_EQ(read.id, "7");
    EXPECT_EQ(read.pictures.count, 2);
    EXPECT_EQ(test::bytes(read.pictures.pixels_nhwc), wanted);
    EXPECT_EQ(read.outputs.size(), 2u);
  }
  const auto head =
      request(R"("parameters":{"binary_data_size":12})",
              R"(,"parameters":{"binary_data_output":true,"timeout":1500,"priority":1})");
  auto body = bytes_of(head);
  body.insert(body.end(), wanted.begin(), wanted.end());
  const auto read = read_infer(body, head.size(), form_of_two(3));
  EXPECT_EQ(test::bytes(read.pictures.pixels_nhwc), wanted);
  EXPECT_EQ(read.timeout.count(), 2);
  EXPECT_EQ(read.priority, 1);
  ASSERT_EQ(read.outputs.size(), 3u);
  EXPECT_TRUE(read.outputs[2].binary);
}

TEST(Oip, RefusesByFieldAndValue) {
  const auto refused = [](const std::string& json, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::BadData, parts, [&] { read_infer(bytes_of(json), {}, form_of_two()); });
  };
  refused("", {"no JSON"});
  refused("{", {"not valid JSON"});
  refused(request(R"("data":[1])", R"(,"parameters":{"priority":4})"),
          {"parameters.priority is 4", "1, the first, to 3"});
  refused(request(R"("data":[1])", R"(,"parameters":{"priority":-1})"), {"parameters.priority"});
  refused(request(R"("data":[300])"), {"inputs[0].data", "0 to 255"});
  refused(request(R"("data":[1,2])"), {"2 values", "12"});
  refused(request(R"("data":[1],"data":[2])"), {"\"data\"", "twice"});
  refused(request(R"("data":[1],"parameters":{"binary_data_size":12})"), {"either"});
  refused(request(R"("data":[1])", R"(,"outputs":[{"name":"probabilities"}])"),
          {"probabilities", "label, name"});
  InferLimits one;
  one.max_pictures = 1;
  expect_error(ErrorCode::BadData, {"2 pictures", "1 to 1"},
               [&] { read_infer(bytes_of(request(R"("data":[])")), {}, form_of_two(), one); });
  expect_error(ErrorCode::BadData, {"Inference-Header-Content-Length is 9"},
               [] { read_infer(bytes_of("{}"), 9, form_of_two()); });
}

TEST(Oip, AnswersTellTheLabelAndRoundedScoresOnlyWhenAsked) {
  const std::vector<float> logits{0, 1, 3, 2, 1, 0};
  InferRequest wanted;
  wanted.outputs = {{"label"}, {"name"}};
  auto answer = nlohmann::json::parse(write_infer(wanted, logits, form_of_two(), "m", 4).body);
  EXPECT_EQ(answer["model_version"], "4");
  EXPECT_EQ(answer["outputs"][0]["data"], (std::vector{2, 0}));
  EXPECT_EQ(answer["outputs"][1]["data"], (std::vector<std::string>{"owl", "cat"}));
  EXPECT_FALSE(answer.dump().find("probabilities") < answer.dump().size());

  const auto first = std::span(logits).first(3);
  const auto plain = classification(first, form_of_two(), "m", 4, 1);
  EXPECT_EQ(plain.size(), 4u) << plain;
  const auto top = classification(first, form_of_two(2), "m", 4, 2)["top"];
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0]["name"], "owl");
  EXPECT_DOUBLE_EQ(top[0]["probability"], 0.84);  // 0.8438
  EXPECT_DOUBLE_EQ(top[1]["probability"], 0.11);  // 0.1142
}

}  // namespace
}  // namespace veilnet::service
