#include "core/json_file.h"

#include <chrono>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "support.h"

namespace veilnet {
namespace {

using nlohmann::json;
using test::expect_error;
using test::TemporaryFolder;

void expect_refused(const std::string& text, std::initializer_list<std::string> parts,
                    const JsonLimits& limits = {}) {
  SCOPED_TRACE(text.substr(0, 100));
  expect_error(ErrorCode::BadData, {"x.json"}, [&] { parse_json(text, "x.json", limits); });
  expect_error(ErrorCode::BadData, parts, [&] { parse_json(text, "x.json", limits); });
}

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(JsonFile, ReadsWhatTheLibraryReads) {
  for (const std::string text :
       {"null", "true", "-1", "18446744073709551615", "1.5e-3", "\"a\\u00fc\\n\"", "[]", "{}",
        "[[]]", R"({"a":[1,{"b":[[],{}]},"c",null],"d":{"e":{"f":-0.0}},"":[[1,2],[3]]})",
        " \t\r\n[ 1 , 2 ]\n"})
    EXPECT_EQ(parse_json(text, "x.json"), json::parse(text)) << text;
}

TEST(JsonFile, ReadsFiles) {
  const TemporaryFolder folder;
  write_file(folder / "a.json", "{\"a\":1}\n", Overwrite::No);
  EXPECT_EQ(read_json(folder / "a.json"), json({{"a", 1}}));
  expect_error(ErrorCode::NotFound, {"gone.json"}, [&] { read_json(folder / "gone.json"); });
  expect_error(ErrorCode::BadData, {"a.json", "8 bytes", "at most 7"},
               [&] { read_json(folder / "a.json", {.max_bytes = 7}); });
  write_file(folder / "b.json", "{\n\"a\":\n", Overwrite::No);
  expect_error(ErrorCode::BadData, {(folder / "b.json").string() + ":3: not valid JSON: "},
               [&] { read_json(folder / "b.json"); });
}

TEST(JsonFile, RefusesWhatIsNoJson) {
  expect_refused("", {"x.json:1: not valid JSON"});
  expect_refused("{\n\"a\": 1,\n}", {"x.json:3: not valid JSON"});
  expect_refused("[1 2]", {"x.json:1: not valid JSON"});
  expect_refused("[1] 2", {"not valid JSON"});
  expect_refused("nan", {"not valid JSON"});
  expect_refused("[1e999]", {"not valid JSON"});
  expect_refused("\"\xff\"", {"not valid JSON"});
  expect_refused("\"\xed\xa0\x80\"", {"not valid JSON"});
  expect_refused(std::string("[1]\0[2]", 7), {"byte 3 is zero"});
}

TEST(JsonFile, RefusesRepeatedKeys) {
  expect_refused(R"({"key":1,"key":2})", {"x.json: the key 'key' stands twice in one object"});
  expect_refused(R"([{"a":{"b":1,"c":2,"b":[]}}])", {"the key 'b' stands twice"});
  EXPECT_NO_THROW(parse_json(R"({"a":{"b":1},"b":{"a":1}})", "x.json"));
}

TEST(JsonFile, RefusesDeepNestingCheaply) {
  EXPECT_NO_THROW(parse_json(repeated("[", 32) + repeated("]", 32), "x.json"));
  expect_refused(repeated("[", 33) + repeated("]", 33), {"deeper than the 32 levels"});
  expect_refused(repeated("{\"a\":", 33) + "1" + repeated("}", 33), {"deeper than the 32 levels"});
  expect_refused("[[]]", {"deeper than the 1 levels"}, {.max_depth = 1});
  const auto begin = std::chrono::steady_clock::now();
  expect_refused(repeated("{\"a\":", 20'000), {"x.json: ", "deeper than the 32 levels"});
  expect_refused(std::string(20'000'000, '['), {"deeper than the 32 levels"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(JsonFile, RefusesTooManyValuesAndBytes) {
  expect_refused("[1,[],{\"a\":2}]", {"more than the 4 JSON values"}, {.max_values = 4});
  EXPECT_NO_THROW(parse_json("[1,[],{\"a\":2}]", "x.json", {.max_values = 5}));
  expect_refused("[10]", {"4 bytes", "at most 3"}, {.max_bytes = 3});
}

TEST(JsonFile, ManyKeysTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":{}";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_json(text + "}", "x.json").size(), 200'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(JsonFile, MessagesDoNotQuoteValues) {
  for (const std::string text : {"{\"key\":\"5ec2e7\" x}", "{\"key\":\"5ec2e7", "[5ec2e7]",
                                 "[5e2e7]", "{\"key\":5e7772}", "{\"key\":\"5ec2e7\xff\"}"}) {
    try {
      parse_json(text, "x.json");
      FAIL() << text;
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find("5e"), std::string::npos) << e.what();
      EXPECT_GT(std::string(e.what()).size(), std::string("x.json:1: not valid JSON: ").size() + 5);
    }
  }
}

TEST(JsonFile, MessagesAreShortAndPrintable) {
  const std::string noise = "\\u001b[2J" + std::string(1'000'000, 'x');
  const std::string cases[] = {"{\"" + noise + "\":1,\"" + noise + "\":2}", "[\"" + noise + "\" 1]",
                               "[\x1b" + noise};
  for (const auto& text : cases) {
    try {
      parse_json(text, "x.json");
      FAIL();
    } catch (const Error& e) {
      EXPECT_LT(std::string(e.what()).size(), 300u);
      EXPECT_EQ(std::string(e.what()).find('\x1b'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace veilnet
