#include "experiment/protections.h"

#include <functional>
#include <map>
#include <regex>

#include <nlohmann/json.hpp>

#include "cipher/key_file.h"
#include "cipher/mixing.h"
#include "core/error.h"
#include "core/random.h"
#include "measure/bound.h"
#include "measure/grant.h"
#include "nn/infer.h"
#include "nn/protection.h"

namespace veilnet::experiment {
namespace {

using protection::Keys;
using protection::Protection;

class SchemeProtection : public Protection {
 public:
  explicit SchemeProtection(const train::KeyedScheme& scheme)
      : Protection(scheme.label(), text_of(scheme), keys_of(scheme)), scheme_(scheme) {}

  std::string describe() const override { return nlohmann::json(settings_of(scheme_)).dump(); }
  image::Batch protect(const image::Batch& plain, std::uint64_t first_key,
                       std::span<const std::int32_t>) const override {
    return train::encrypt_pictures(scheme_, plain, first_key);
  }
  image::Batch protect_without_key(const image::Batch& plain, std::uint64_t first_key,
                                   std::span<const std::int32_t>) const override {
    auto own = scheme_;
    own.independent_keys = keys() != Keys::None;
    return train::encrypt_pictures(own, plain, first_key);
  }
  const cipher::SchemeOptions* scheme() const override { return &scheme_.options; }

 private:
  static Keys keys_of(const train::KeyedScheme& s) {
    const auto& spec = cipher::scheme_spec(s.options.id);
    return s.independent_keys || spec.drawn_anew ? Keys::Independent
           : spec.keyed()                        ? Keys::Same
                                                 : Keys::None;
  }
  static std::string text_of(const train::KeyedScheme& s) {
    const auto keys = keys_of(s);
    return cipher::describe(s.options) +
           (cipher::scheme_spec(s.options.id).drawn_anew ? ", drawn anew for every picture"
            : keys == Keys::Same                         ? ", one key for all pictures"
            : keys == Keys::Independent                  ? ", a key of its own for every picture"
                                                         : "");
  }

  train::KeyedScheme scheme_;
};

// Has no key and is drawn anew for every set of pictures.
class DrawnProtection : public Protection {
 public:
  using Draw = std::function<image::Batch(const image::Batch& plain, std::uint64_t seed,
                                          std::span<const std::int32_t> labels)>;
  DrawnProtection(const std::string& label, const std::string& text, Draw draw)
      : Protection(label, text, Keys::Independent), draw_(std::move(draw)) {}

  std::string describe() const override { return label(); }
  image::Batch protect(const image::Batch& plain, std::uint64_t first_key,
                       std::span<const std::int32_t> labels) const override {
    return draw_(plain, first_key, labels);
  }
  image::Batch protect_without_key(const image::Batch& plain, std::uint64_t first_key,
                                   std::span<const std::int32_t> labels) const override {
    return draw_(plain, first_key, labels);
  }

 private:
  Draw draw_;
};

image::Batch random_pictures(const image::Batch& plain, std::uint64_t seed,
                             std::span<const std::int32_t>) {
  Random random({977, seed});
  image::Batch out(plain.height(), plain.width(), plain.count());
  for (auto& value : out.pixels()) value = static_cast<std::uint8_t>(random.below(256));
  return out;
}

// Calls `use` with the pictures and labels as cipher/mixing.h takes them.
image::Batch mix(const image::Batch& plain, std::span<const std::int32_t> labels,
                 const std::function<std::vector<std::uint8_t>(const cipher::PictureSet&)>& use) {
  const std::vector<std::int64_t> wide(labels.begin(), labels.end());
  std::int64_t classes = 1;
  for (const auto label : wide) classes = std::max(classes, label + 1);
  return {plain.height(), plain.width(),
          use({plain.pixels(), wide, plain.height(), plain.width(), classes})};
}

std::unique_ptr<Protection> drawn(const std::string& label) {
  if (label == "random")
    return std::make_unique<DrawnProtection>(
        label, "uniform random noise instead of the picture: nothing can be recovered",
        random_pictures);
  if (label == "pbm")
    return std::make_unique<DrawnProtection>(
        label,
        "pixel-block mixing: half of the blocks of 8x8 come from other pictures of the same label",
        [](const auto& plain, auto seed, auto labels) {
          return mix(plain, labels,
                     [&](const auto& set) { return cipher::mix_blocks(set, {}, seed); });
        });
  if (label == "instahide")
    return std::make_unique<DrawnProtection>(
        label, "InstaHide \"inside\": every picture is a mixture of four, with random signs",
        [](const auto& plain, auto seed, auto labels) {
          return mix(plain, labels, [&](const auto& set) {
            return cipher::mix_instahide(set, {}, seed).images_nhwc;
          });
        });
  return nullptr;
}

// What a protection may be called besides the schemes.
constexpr const char* kOthers =
    "transform, coded<bits>, coded<bits>-shared, coded<bits>-eps<epsilon>, minmax, nopeek, pbm, "
    "instahide, random";

}  // namespace

std::unique_ptr<Protection> protection_of(const train::KeyedScheme& scheme) {
  return std::make_unique<SchemeProtection>(scheme);
}

std::unique_ptr<Protection> protection_of(const Experiment& point, nn::Model h) {
  const auto& t = point.transform;
  std::optional<protection::RandomisedResponse> response;
  std::string text = t.bits > 0 ? "coded transformation h" : "transformation network h";
  if (t.options.adversary_weight > 0) text += " against an inverse network that learnt beside it";
  if (t.options.correlation_weight > 0) text += " with little distance correlation (NoPeek)";
  if (!t.services.empty()) text += fmt::format(" for {} services", t.services.size() + 1);
  if (t.epsilon > 0) {
    response.emplace(t.bits, t.epsilon);
    text += fmt::format(" with chance, epsilon {} a picture", t.epsilon);
  }
  return std::make_unique<nn::NetworkProtection>(point.transform_label(), text, std::move(h),
                                                 response, t.recipe.seed);
}

std::optional<record::Bound> bound_of(const Protection& protection, const Workspace& w) {
  const auto* network = dynamic_cast<const nn::NetworkProtection*>(&protection);
  if (!network || network->network().card.bits == 0) return std::nullopt;
  const auto& h = network->network();
  const auto& test = w.data.test;
  const auto* response = network->response() ? &*network->response() : nullptr;
  const auto seen = measure::protect_test(protection, test);
  auto codes = nn::codes(h, test.pictures);
  auto bound = response ? measure::bound(test, seen, codes, *response)
                        : measure::bound(test, seen, h.card.bits);
  const auto others = nn::codes(h, w.data.train.pictures);
  codes.insert(codes.end(), others.begin(), others.end());
  measure::add_pictures_at_hand(bound, codes, response);
  return bound;
}

std::optional<Experiment> at_transform(const Experiment& e, const std::string& label) {
  if (label == "transform") return e;
  if (label == "minmax" || label == "nopeek") return e.without_services().at_rival(label);
  static const std::regex form("coded([0-9]{1,2})(-shared)?(-eps([0-9]+(\\.[0-9]+)?))?");
  std::smatch parts;
  if (!std::regex_match(label, parts, form)) return std::nullopt;
  if (parts[4].matched && std::stod(parts[4]) == 0)
    fail(ErrorCode::InvalidArgument, "\"{}\": epsilon is {}; it must be above 0", label,
         parts[4].str());
  const auto point = parts[2].matched ? e : e.without_services();
  return point.at_bits(std::stoll(parts[1]), parts[4].matched ? std::stod(parts[4]) : 0);
}

void check_protection(const Experiment& e, const std::string& label) {
  if (!drawn(label) && !at_transform(e, label)) e.at_scheme(label, kOthers);
}

std::unique_ptr<Protection> make_protection(const Experiment& e, const Workspace& w,
                                            const std::string& label) {
  if (auto protection = drawn(label)) return protection;
  if (const auto network = at_transform(e, label))
    return protection_of(*network, required(finished_transform(*network, w),
                                            network->transform_folder(), "train transform"));
  const auto point = e.at_scheme(label, kOthers);
  if (label == "gan")
    return std::make_unique<nn::NetworkProtection>(
        label, "GAN-based transformation",
        required(finished_gan(point, w), point.scheme_folder(), "train scheme --scheme gan"));
  return protection_of(point.scheme);
}

}  // namespace veilnet::experiment
