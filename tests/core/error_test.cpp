#include "core/error.h"

#include <gmock/gmock.h>

namespace veilnet {
namespace {

TEST(Fail, ThrowsTheCodeAndTheFormattedMessage) {
  try {
    fail(ErrorCode::BadData, "{}: epochs is {}; allowed: 1 to {}", "run.toml", 0, 300);
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::BadData);
    EXPECT_STREQ(e.what(), "run.toml: epochs is 0; allowed: 1 to 300");
  }
}

TEST(Error, QuotesWithoutHarm) {
  const Error error(ErrorCode::BadData, "\x1b[2J\nclass \xff: " + std::string(10'000'000, 'x'));
  const std::string message = error.what();
  EXPECT_TRUE(message.starts_with("\\x1B[2J\\nclass \\xFF: xxx")) << message.substr(0, 40);
  EXPECT_EQ(message.size(), 2000u);
}

}  // namespace
}  // namespace veilnet
