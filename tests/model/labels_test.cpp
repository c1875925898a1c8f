#include "model/labels.h"

#include <gmock/gmock.h>
#include <numeric>

namespace veilnet::model {
namespace {

using testing::ElementsAre;

TEST(Labels, SharesSumToOneHoweverLargeTheLogits) {
  const auto shares = softmax(std::vector<float>{1000, 999, -1000});
  EXPECT_NEAR(std::reduce(shares.begin(), shares.end()), 1, 1e-12);
  EXPECT_NEAR(shares[0], 1 / (1 + std::exp(-1.0)), 1e-12);
}

TEST(Labels, LargestComeFirstAndEqualOnesInTheirOrder) {
  const std::vector<float> values{1, 3, 2, 3};
  EXPECT_THAT(largest(values, 3), ElementsAre(1, 3, 2));
  EXPECT_THAT(largest(values, 9), ElementsAre(1, 3, 2, 0));
  EXPECT_THAT(largest(values, 0), ElementsAre());
}

}  // namespace
}  // namespace veilnet::model
