#include "attack/threat_model.h"

#include <gmock/gmock.h>

#include "attack/brute_force.h"
#include "attack/chosen_plaintext.h"
#include "attack/fr.h"
#include "attack/table.h"
#include "support.h"

namespace veilnet::attack {
namespace {

using test::expect_error;

std::vector<ThreatModel> every_combination() {
  std::vector<ThreatModel> models;
  for (const auto method : {Method::Unknown, Method::Public})
    for (const auto access : {Access::CiphertextOnly, Access::ExactPairs, Access::ChosenPlaintext,
                              Access::PublicTransform})
      for (const auto keys : {Keys::None, Keys::Same, Keys::Independent})
        for (const auto auxiliary : {Auxiliary::None, Auxiliary::Unrelated,
                                     Auxiliary::SameDistribution, Auxiliary::Candidates})
          models.push_back({method, access, keys, auxiliary});
  return models;
}

TEST(ThreatModel, HasNamesForRecords) {
  EXPECT_THAT(fields(Recovered::threat_model),
              testing::ElementsAre(
                  testing::Pair("method", "public"), testing::Pair("access", "chosen_plaintext"),
                  testing::Pair("keys", "same"), testing::Pair("auxiliary", "none")));
  EXPECT_EQ(to_text({Method::Unknown, Access::CiphertextOnly, Keys::Independent,
                     Auxiliary::SameDistribution}),
            "method=unknown access=ciphertext_only keys=independent auxiliary=same_distribution");
}

TEST(ThreatModel, TextIsReadBackWhereItMakesSenseAndRefusedElsewhere) {
  int sensible = 0;
  for (const auto& model : every_combination()) {
    bool allowed = true;
    try {
      check(model);
    } catch (const Error&) {
      allowed = false;
    }
    if (allowed) {
      ++sensible;
      EXPECT_EQ(threat_model_from(to_text(model)), model);
    } else {
      expect_error(ErrorCode::InvalidArgument, {"exclude each other"},
                   [&] { threat_model_from(to_text(model)); });
    }
  }
  // Public transform: 1. Unknown method: 3 accesses by 3 key modes. Public: same key with each
  // access, independent keys with one.
  EXPECT_EQ(sensible, (1 + 9 + 4) * 4);
}

TEST(ThreatModel, ReadsPartsInAnyOrder) {
  EXPECT_EQ(
      threat_model_from(" keys=none\tauxiliary=unrelated  access=public_transform method=public\n"),
      (ThreatModel{Method::Public, Access::PublicTransform, Keys::None, Auxiliary::Unrelated}));
}

TEST(ThreatModel, RefusesTextThatIsNone) {
  const auto refuse = [](const std::string& text, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { threat_model_from(text); });
  };
  const std::string most = "method=public access=exact_pairs keys=same ";
  refuse(most, {"auxiliary is missing"});
  refuse(most + "auxiliary=none keys=same", {"keys is given twice"});
  refuse(most + "auxiliary=some", {"auxiliary", "\"some\"", "none, unrelated, same_distribution"});
  refuse(most + "auxiliary=", {"auxiliary is \"\""});
  refuse(most + "auxiliary", {"auxiliary is \"\""});
  refuse(most + "colour=red", {"no \"colour\"", "method, access, keys, auxiliary"});
}

TEST(ThreatModel, RefusesWhatMakesNoSenseByName) {
  const auto refuse = [](const ThreatModel& model, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { check(model); });
  };
  refuse({Method::Unknown, Access::PublicTransform, Keys::None, Auxiliary::None},
         {"access=public_transform", "method=unknown"});
  refuse({Method::Public, Access::PublicTransform, Keys::Same, Auxiliary::None},
         {"access=public_transform", "keys=same"});
  refuse({Method::Public, Access::ChosenPlaintext, Keys::None, Auxiliary::None},
         {"access=chosen_plaintext", "keys=none"});
  refuse({Method::Public, Access::ChosenPlaintext, Keys::Independent, Auxiliary::None},
         {"access=chosen_plaintext", "keys=independent"});
  refuse({Method::Public, Access::ExactPairs, Keys::Independent, Auxiliary::None},
         {"access=exact_pairs", "keys=independent"});
}

TEST(ThreatModel, ThoseOfTheAttacksMakeSense) {
  for (const auto& model :
       {Recovered::threat_model, kFrThreatModel, kBruteForceThreatModel, kPublicTransform})
    EXPECT_NO_THROW(check(model));
}

}  // namespace
}  // namespace veilnet::attack
