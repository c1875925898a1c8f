#include "attack/victim.h"

#include <numeric>
#include <torch/torch.h>

#include "attack/pairs.h"
#include "attack/retrieval.h"
#include "cipher/key_file.h"
#include "data/sources.h"
#include "support.h"

namespace veilnet::attack {
namespace {

const train::Compute kCompute;

Victim victim_named(const std::string& label) {
  if (auto drawn = drawn_victim(label)) return *drawn;
  train::KeyedScheme scheme;
  scheme.options.id = label.substr(0, label.find('-') == 2 ? 2 : std::string::npos);
  scheme.independent_keys = label == "pe-independent";
  return scheme_victim(scheme);
}

Sets sets() {
  data::SyntheticOptions options;
  options.train_size = 40;
  options.test_size = 10;
  const auto pictures = data::make_synthetic(options);
  std::vector<uint32_t> first(20), second(20);
  std::iota(first.begin(), first.end(), 0u);
  std::iota(second.begin(), second.end(), 20u);
  return {pictures.test, subset(pictures.train, first), subset(pictures.train, second),
          std::nullopt};
}

// What an attack is handed is what its threat model grants, and nothing else.
TEST(Grant, HandsOutWhatTheThreatModelSaysAndNothingElse) {
  const auto all = sets();
  for (const std::string label : {"le", "pe-independent", "blur", "random"}) {
    const auto victim = victim_named(label);
    int granted = 0;
    for (const auto method : {Method::Unknown, Method::Public})
      for (const auto access : {Access::CiphertextOnly, Access::ExactPairs, Access::ChosenPlaintext,
                                Access::PublicTransform})
        for (const auto auxiliary :
             {Auxiliary::None, Auxiliary::SameDistribution, Auxiliary::Candidates}) {
          const ThreatModel model{method, access, victim.keys, auxiliary};
          Materials m;
          try {
            m = grant(victim, all, model, kCompute);
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
          EXPECT_EQ(m.attacked, protect(victim, all.attacked, 1ull << 32, kCompute));
          EXPECT_NE(m.attacked, test::bytes(all.attacked.pictures.pixels()));
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
    const auto victim = victim_named(label);
    const auto m =
        grant(victim, all, {Method::Public, Access::CiphertextOnly, victim.keys, Auxiliary::None},
              kCompute);
    EXPECT_NE(m.run(all.attacked), m.attacked) << label;
  }
}

TEST(Victim, MixingDrawsAnewForTheAttackersOwnPictures) {
  const auto all = sets();
  auto pictures = all.attacked;
  std::ranges::fill(pictures.labels, 0);  // block mixing needs two pictures of each label
  for (const std::string label : {"pbm", "instahide"}) {
    const auto victim = victim_named(label);
    EXPECT_EQ(victim.keys, Keys::Independent);
    auto one = all;
    one.attacked = pictures;
    const auto m =
        grant(victim, one, {Method::Public, Access::CiphertextOnly, victim.keys, Auxiliary::None},
              kCompute);
    EXPECT_NE(m.attacked, test::bytes(pictures.pictures.pixels())) << label;
    EXPECT_NE(m.run(pictures), m.attacked) << label;
    EXPECT_TRUE(m.scheme.id.empty()) << label;
  }
}

TEST(Grant, RefusesWhatDoesNotFitTheVictim) {
  const auto all = sets();
  const auto le = victim_named("le"), random = victim_named("random");
  test::expect_error(ErrorCode::InvalidArgument, {"keys=independent", "\"le\"", "same"}, [&] {
    grant(le, all, {Method::Public, Access::CiphertextOnly, Keys::Independent, Auxiliary::None},
          kCompute);
  });
  test::expect_error(ErrorCode::InvalidArgument, {"unrelated", "no other data set"}, [&] {
    grant(le, all, {Method::Public, Access::CiphertextOnly, Keys::Same, Auxiliary::Unrelated},
          kCompute);
  });
  auto more = all;
  more.unrelated = all.observed;
  const auto m =
      grant(le, more, {Method::Public, Access::CiphertextOnly, Keys::Same, Auxiliary::Unrelated},
            kCompute);
  EXPECT_EQ(m.auxiliary->pictures, more.unrelated->pictures);
  test::expect_error(ErrorCode::InvalidArgument, {"chosen_plaintext", "\"random\""}, [&] {
    grant(random, all,
          {Method::Unknown, Access::ChosenPlaintext, Keys::Independent, Auxiliary::None}, kCompute);
  });
}

TEST(Retrieval, FingerprintsDoNotDependOnTheKey) {
  const auto plain = sets().attacked;
  for (const std::string id : {"le", "ele", "etc", "pe", "pixel-shuffle", "bit-flip"}) {
    for (const bool shuffle : {false, true}) {
      if (shuffle && id != "pe") continue;
      cipher::SchemeOptions options;
      options.id = id;
      options.variant = shuffle;
      std::vector<uint8_t> one(plain.pictures.pixels().size()), other(one.size());
      cipher::encrypt_all(*cipher::make_scheme(options, cipher::key_from_seed(1), 32, 32),
                          plain.pictures.pixels(), one);
      cipher::encrypt_all(*cipher::make_scheme(options, cipher::key_from_seed(2), 32, 32),
                          plain.pictures.pixels(), other);
      ASSERT_NE(one, other);
      const auto found = retrieve(options, one, other, 32, 32);
      for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], i) << id;
      const image::Image a{32, 32, {one.begin(), one.begin() + 3072}},
          b{32, 32, {other.begin(), other.begin() + 3072}};
      EXPECT_EQ(fingerprint(options, a), fingerprint(options, b)) << id;
    }
  }
}

TEST(Retrieval, RefusesSizesThatDoNotFit) {
  cipher::SchemeOptions le;
  le.id = "le";
  const std::vector<uint8_t> picture(3 * 6 * 6);
  test::expect_error(ErrorCode::InvalidArgument, {"6x6", "block size 4"},
                     [&] { retrieve(le, picture, picture, 6, 6); });
  test::expect_error(ErrorCode::InvalidArgument, {"at least one candidate"},
                     [&] { retrieve(le, picture, {}, 6, 6); });
}

}  // namespace
}  // namespace veilnet::attack
