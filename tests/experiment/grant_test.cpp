#include "measure/grant.h"

#include <numeric>
#include <torch/torch.h>

#include "data/sources.h"
#include "experiment/bench.h"
#include "experiment/protections.h"
#include "support.h"

namespace veilnet::experiment {
namespace {

using attack::Access;
using attack::Auxiliary;
using attack::Keys;
using attack::Method;
using measure::grant;
using measure::Sets;

std::unique_ptr<protection::Protection> protection_named(const std::string& label) {
  auto config = Config::parse("[compute]\nthreads = 1\n", "test");
  return make_protection(read_experiment(config), {}, label);
}

Sets sets() {
  data::SyntheticOptions options;
  options.train_size = 40;
  options.test_size = 10;
  const auto pictures = data::make_synthetic(options);
  std::vector<uint32_t> first(20), second(20);
  std::iota(first.begin(), first.end(), 0u);
  std::iota(second.begin(), second.end(), 20u);
  return {pictures.test, subset(pictures.train, first), subset(pictures.train, second), {}, {}};
}

// What an attack is handed is what its threat model grants, and nothing else.
TEST(Grant, HandsOutWhatTheThreatModelSaysAndNothingElse) {
  const auto all = sets();
  for (const std::string label : {"le", "pe-independent", "blur", "random"}) {
    const auto protection = protection_named(label);
    int granted = 0;
    for (const auto method : {Method::Unknown, Method::Public})
      for (const auto access : {Access::CiphertextOnly, Access::ExactPairs, Access::ChosenPlaintext,
                                Access::PublicTransform})
        for (const auto auxiliary :
             {Auxiliary::None, Auxiliary::SameDistribution, Auxiliary::Candidates}) {
          const attack::ThreatModel model{method, access, protection->keys(), auxiliary};
          attack::Materials m;
          try {
            m = grant(*protection, all, model);
          } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
            continue;
          }
          ++granted;
          SCOPED_TRACE(label + " " + to_text(model));
          EXPECT_EQ(m.granted, model);
          EXPECT_EQ(static_cast<bool>(m.run), method == Method::Public);
          EXPECT_EQ(!m.scheme.id.empty(),
                    method == Method::Public && label != "blur" && label != "random");
          EXPECT_EQ(m.pairs.has_value(), access == Access::ExactPairs);
          EXPECT_EQ(m.oracle.has_value(), access == Access::ChosenPlaintext);
          EXPECT_EQ(m.auxiliary.has_value(), auxiliary == Auxiliary::SameDistribution);
          EXPECT_EQ(m.candidates.has_value(), auxiliary == Auxiliary::Candidates);
          EXPECT_EQ(m.ciphertexts.empty(),
                    access != Access::CiphertextOnly || auxiliary != Auxiliary::SameDistribution);
          EXPECT_FALSE(m.network.has_value()) << "none of these is a network";
          EXPECT_EQ(m.attacked, measure::protect_test(*protection, all.attacked));
          EXPECT_NE(m.attacked, all.attacked.pictures);
          if (m.candidates) {
            EXPECT_NE(m.candidates->pictures, all.attacked.pictures)
                << "their order must not tell which is which";
          }
        }
    EXPECT_GT(granted, 0) << label;
  }
}

TEST(Grant, AttackersUseKeysOfTheirOwn) {
  const auto all = sets();
  for (const std::string label : {"le", "pe-same", "pe-independent"}) {
    const auto protection = protection_named(label);
    const auto m =
        grant(*protection, all,
              {Method::Public, Access::CiphertextOnly, protection->keys(), Auxiliary::None});
    EXPECT_NE(m.run(all.attacked), m.attacked) << label;
  }
}

TEST(Protections, MixingDrawsAnewForTheAttackersOwnPictures) {
  const auto all = sets();
  auto pictures = all.attacked;
  std::ranges::fill(pictures.labels, 0);  // block mixing needs two pictures of each label
  for (const std::string label : {"pbm", "instahide"}) {
    const auto protection = protection_named(label);
    EXPECT_EQ(protection->keys(), Keys::Independent);
    auto one = all;
    one.attacked = pictures;
    const auto m =
        grant(*protection, one,
              {Method::Public, Access::CiphertextOnly, protection->keys(), Auxiliary::None});
    EXPECT_NE(m.attacked, pictures.pictures) << label;
    EXPECT_NE(m.run(pictures), m.attacked) << label;
    EXPECT_TRUE(m.scheme.id.empty()) << label;
  }
}

TEST(Grant, RefusesWhatDoesNotFitTheVictim) {
  const auto all = sets();
  const auto le = protection_named("le"), random = protection_named("random");
  test::expect_error(ErrorCode::InvalidArgument, {"keys=independent", "\"le\"", "same"}, [&] {
    grant(*le, all, {Method::Public, Access::CiphertextOnly, Keys::Independent, Auxiliary::None});
  });
  test::expect_error(ErrorCode::InvalidArgument, {"unrelated", "no other data set"}, [&] {
    grant(*le, all, {Method::Public, Access::CiphertextOnly, Keys::Same, Auxiliary::Unrelated});
  });
  auto more = all;
  more.unrelated = all.observed;
  const auto m =
      grant(*le, more, {Method::Public, Access::CiphertextOnly, Keys::Same, Auxiliary::Unrelated});
  EXPECT_EQ(m.auxiliary->pictures, more.unrelated->pictures);
  test::expect_error(ErrorCode::InvalidArgument, {"chosen_plaintext", "\"random\""}, [&] {
    grant(*random, all,
          {Method::Unknown, Access::ChosenPlaintext, Keys::Independent, Auxiliary::None});
  });
}

TEST(Protections, OfUnknownLabelsAreRefused) {
  test::expect_error(ErrorCode::InvalidArgument,
                     {"\"cat\"", "pe-same", "transform, coded<bits>", "random"},
                     [] { protection_named("cat"); });
}

// The attacker's types lead to no key: what he is handed names pictures and functions only.
template <class T>
concept LeadsToASecret = requires(T t) {
  t.experiment;
}
|| requires(T t) { t.scheme.key_seed; }
|| requires(T t) { t.protection; }
|| requires(T t) { t.key; };
static_assert(!LeadsToASecret<attack::Setting> && !LeadsToASecret<attack::Materials> &&
              !LeadsToASecret<attack::Target>);

TEST(Attacks, SayUnderWhatTheyWorkOrWhyNot) {
  for (const std::string label : {"le", "ele", "etc", "pe-same", "pe-independent", "pixel-shuffle",
                                  "bit-flip", "ffx", "blur", "pixelate", "noise", "random"}) {
    const auto target = measure::target_of(*protection_named(label));
    for (const auto& attack : attack::attacks()) {
      const auto against = attack.against(target);
      if (const auto* model = std::get_if<attack::ThreatModel>(&against)) {
        EXPECT_NO_THROW(check(*model)) << label << " " << attack.id;
        EXPECT_EQ(model->keys, target.keys) << label << " " << attack.id;
      } else {
        EXPECT_FALSE(std::get<std::string>(against).empty());
      }
    }
  }
}

}  // namespace
}  // namespace veilnet::experiment
