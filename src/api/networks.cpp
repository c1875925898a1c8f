#include <algorithm>
#include <cmath>
#include <memory>
#include <omp.h>
#include <pthread.h>
#include <utility>

#include "api/guarded.h"
#include "api/pictures.h"
#include "core/error.h"
#include "image/metrics.h"
#include "model/labels.h"
#include "model/prepare.h"
#include "model/zoo.h"
#include "runtime/network.h"
#include "runtime/transformation.h"

namespace veilnet {
namespace {

using api::guarded;

constexpr int kMostThreads = 1024;

// OpenMP's threads do not live on in a forked child, which would wait for them for ever: its pool
// is given up before. (Python's multiprocessing forks.)
void survive_forks() {
  static const int registered =
      ::pthread_atfork([] { omp_pause_resource_all(omp_pause_hard); }, nullptr, nullptr);
  static_cast<void>(registered);
}

runtime::Options options_of(const NetworkOptions& o) {
  survive_forks();
  if (o.threads < 0 || o.threads > kMostThreads)
    fail(ErrorCode::InvalidArgument, "threads is {}; allowed: 0 for the physical cores, to {}",
         o.threads, kMostThreads);
  runtime::Options options{.threads = o.threads};
  switch (o.precision) {
    case Precision::Float32: options.precision = runtime::Type::Float32; break;
    case Precision::BFloat16: options.precision = runtime::Type::BFloat16; break;
    case Precision::Int8: options.precision = runtime::Type::Int8; break;
  }
  return options;
}

std::string note(const model::Card& card, const std::string& name) {
  const auto found = card.notes.find(name);
  return found == card.notes.end() ? "" : found->second;
}

}  // namespace

struct Protector::Impl {
  runtime::Transformation h;
};

Protector::Protector(const std::string& model, const NetworkOptions& options) {
  guarded([&] {
    impl_ = std::make_unique<Impl>(Impl{
        runtime::Transformation(model::file_of(model), options_of(options), options.codebook)});
  });
}
Protector::~Protector() = default;
Protector::Protector(Protector&&) noexcept = default;
Protector& Protector::operator=(Protector&&) noexcept = default;

int Protector::height() const { return static_cast<int>(impl_->h.card().height); }
int Protector::width() const { return static_cast<int>(impl_->h.card().width); }
std::string Protector::verdict() const { return note(impl_->h.card(), model::kVerdictNote); }
std::string Protector::classifier_sha256() const {
  return note(impl_->h.card(), "classifier_sha256");
}

Picture Protector::protect(const Picture& plain) const {
  return guarded([&] {
    const auto fitted = model::fit(api::checked(plain), impl_->h.card());
    return Picture{fitted.height, fitted.width,
                   impl_->h.transform(fitted.rgb, fitted.height, fitted.width)};
  });
}

std::vector<std::uint8_t> Protector::protect(const std::uint8_t* images_nhwc, std::size_t count,
                                             int height, int width) const {
  return guarded([&] {
    return impl_->h.transform(api::checked(images_nhwc, count, height, width), height, width);
  });
}

struct Classifier::Impl {
  Impl(model::Model model, const runtime::Options& options) : network(std::move(model), options) {}
  runtime::Network network;
};

Classifier::Classifier(const std::string& model, const NetworkOptions& options) {
  guarded([&] {
    if (!options.codebook.empty())
      fail(ErrorCode::InvalidArgument, "codebook is \"{}\"; a classifier has none",
           options.codebook);
    impl_ = std::make_unique<Impl>(model::load(model::file_of(model), model::Role::Classifier),
                                   options_of(options));
  });
}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;

int Classifier::height() const { return static_cast<int>(impl_->network.card().height); }
int Classifier::width() const { return static_cast<int>(impl_->network.card().width); }
const std::vector<std::string>& Classifier::class_names() const {
  return impl_->network.card().class_names;
}

std::vector<Label> Classifier::classify(const Picture& picture, int top_k) const {
  return guarded([&] {
    if (top_k < 1) fail(ErrorCode::InvalidArgument, "top_k is {}; allowed: 1 or more", top_k);
    const auto& card = impl_->network.card();
    const auto fitted = model::fit(api::checked(picture), card);
    const auto logits = impl_->network.logits(fitted.rgb, fitted.height, fitted.width);
    const auto shares = model::softmax(logits);
    std::vector<Label> labels;
    for (const auto i : model::largest(logits, static_cast<std::size_t>(top_k)))
      labels.push_back({card.class_names[i], shares[i]});
    return labels;
  });
}

std::vector<float> Classifier::logits(const std::uint8_t* images_nhwc, std::size_t count,
                                      int height, int width) const {
  return guarded([&] {
    return impl_->network.logits(api::checked(images_nhwc, count, height, width), height, width);
  });
}

Verification verify(const Protector& h, const Picture& plain, const Picture& seen) {
  return guarded([&] {
    auto input = api::checked(plain);
    const auto protected_picture = api::checked(seen);
    const auto is = [&](int height, int width) {
      return seen.height == height && seen.width == width;
    };
    if (is(h.height(), h.width()))
      input = image::resize_and_crop(input, h.height(), h.width());
    else if (!is(plain.height, plain.width))
      fail(ErrorCode::InvalidArgument,
           "the protected picture is {}x{}; allowed is the model's {}x{} or the plain one's {}x{}",
           seen.width, seen.height, h.width(), h.height(), plain.width, plain.height);
    const auto made = h.protect(input.rgb.data(), 1, input.height, input.width);
    Verification found;
    for (std::size_t i = 0; i < made.size(); ++i)
      found.difference_levels += std::abs(made[i] - seen.rgb[i]);
    found.difference_levels /= static_cast<double>(made.size());
    found.of_this_model = found.difference_levels <= runtime::kOwnLevels;
    constexpr int kWindow = 7;  // of SSIM
    if (std::min(input.height, input.width) >= kWindow)
      found.ssim = image::ssim(input.rgb, protected_picture.rgb, input.height, input.width);
    return found;
  });
}

}  // namespace veilnet
