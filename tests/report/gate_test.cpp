#include "report/gate.h"

#include <gmock/gmock.h>

#include "record/matrices.h"
#include "support.h"

namespace veilnet::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Limits limits_of(const std::string& text) {
  auto config = Config::parse("[limits]\n" + text, "limits.toml");
  return Limits::read(config);
}

record::Matrix attacked() {
  record::Matrix m;
  m.title = "t";
  m.protections.resize(1);
  m.protections[0].label = "s";
  m.protections[0].accuracy = 0.8;
  m.cells = {test::cell("s", "weak", {0.1, 0.2}), test::cell("s", "strong", {-0.4, -0.4}),
             test::cell("s", "exact", {0.1, 0.1}, 0.25)};
  m.cells[1].flags.push_back({"under_trained", "t"});
  m.attributes = {{"s", "colour", 0.7, 0.5, {}}};
  return m;
}

TEST(Gate, NamesTheStrongestAttackOfEachLimitThatIsNotKept) {
  EXPECT_THAT(exceeded(attacked(), limits_of("ssim = 0.5\nexact = 0.3\nattribute = 0.25\n"
                                             "accuracy = 0.75\n")),
              IsEmpty());
  EXPECT_THAT(exceeded(attacked(), limits_of("ssim = 0.3\n")),
              ElementsAre(HasSubstr("strong on s: SSIM, 7 x 7 is 0.4, allowed at most 0.3")));
  EXPECT_THAT(exceeded(attacked(), limits_of("exact = 0.2\naccuracy = 0.9\nattribute = 0.1\n")),
              ElementsAre(HasSubstr("exact on s"), HasSubstr("colour on s"),
                          HasSubstr("s: accuracy is 0.8, allowed at least 0.9")));
}

TEST(Gate, CandidatesAreNoReconstruction) {
  auto m = attacked();
  auto picks = test::cell("s", "retrieval", {1, 1}, 1);
  picks.threat_model.auxiliary = "candidates";
  picks.measures["reidentified"] = 1.0;
  picks.candidates = 1000;
  m.cells.push_back(picks);
  EXPECT_THAT(exceeded(m, limits_of("ssim = 0.5\nexact = 0.3\n")), IsEmpty());
  EXPECT_THAT(exceeded(m, limits_of("reidentified = 0.5\n")),
              ElementsAre(HasSubstr("retrieval on s: Re-identified is 1")));
}

TEST(Gate, PicturesThatWereMadeToBeNamedLeakNothingByIt) {
  auto m = attacked();
  m.data.classes = 10;
  m.data.plain_accuracy = 0.8;
  m.cells[0].measures["named"] = 0.7;
  EXPECT_THAT(exceeded(m, limits_of("named = 0.5\n")), ElementsAre(HasSubstr("weak on s: Named")));
  m.protections[0].keys = "none";
  EXPECT_THAT(exceeded(m, limits_of("named = 0.5\n")), ElementsAre(HasSubstr("weak on s: Named")))
      << "a blur is not made for a service";
  m.protections[0].architecture = "unet";
  EXPECT_THAT(exceeded(m, limits_of("named = 0.5\n")), IsEmpty());
}

TEST(Gate, WhatWasNotMeasuredIsNotKept) {
  auto m = attacked();
  m.attributes.clear();
  m.protections[0].accuracy.reset();
  EXPECT_THAT(exceeded(m, limits_of("named = 0.5\nattribute = 0.1\naccuracy = 0.5\n")),
              ElementsAre(HasSubstr("nothing was measured"), HasSubstr("attributes: nothing"),
                          HasSubstr("accuracy was not measured")));
}

TEST(Gate, RefusesLimitsThatAreNone) {
  test::expect_error(ErrorCode::InvalidArgument, {"limits.ssmi", "limits.ssim"},
                     [] { limits_of("ssmi = 0.3\n"); });
  test::expect_error(ErrorCode::InvalidArgument, {"limits.ssim", "2"},
                     [] { limits_of("ssim = 2\n"); });
  test::expect_error(ErrorCode::InvalidArgument, {"no limit"}, [] { limits_of(""); });
}

}  // namespace
}  // namespace veilnet::report
