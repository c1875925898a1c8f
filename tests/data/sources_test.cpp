#include "data/sources.h"

#include <set>

#include "data/fixtures.h"

namespace veilnet::data {
namespace {

using namespace test;

TEST(Sources, EveryLineOfTheTableLoadsOrSaysWhatIsMissing) {
  std::set<std::string_view> names;
  for (const auto& line : sources()) {
    EXPECT_TRUE(names.insert(line.name).second) << line.name;
    EXPECT_FALSE(line.reads.empty()) << line.name;
    EXPECT_EQ(&source(line.name), &line);
    SourceOptions options;
    options.train_size = 20;
    options.test_size = 10;
    if (line.needs_path) {
      options.path = "absent-folder";
      expect_error(ErrorCode::NotFound, {"no such folder", "absent-folder"},
                   [&] { line.load(options); });
    } else {
      EXPECT_EQ(line.load(options).train.size(), 20u) << line.name;
    }
  }
  EXPECT_EQ(source_names().size(), names.size());
}

TEST(Sources, RefusesANameThatIsNotInTheTable) {
  expect_error(ErrorCode::InvalidArgument, {"\"cifar\"", "cifar10", "idx", "synthetic"},
               [] { source("cifar"); });
}

}  // namespace
}  // namespace veilnet::data
