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

}  // namespace
}  // namespace veilnet
