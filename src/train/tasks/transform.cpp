#include "train/tasks/transform.h"

#include <cmath>

#include "core/error.h"
#include "nn/coded.h"
#include "train/tasks/classifier.h"
#include "train/tasks/losses.h"

namespace veilnet::train {

namespace {

// Of the quick recipe.
constexpr double kStartNoise = 0.2;

// x itself, whose gradient is multiplied: what learns from it learns as from x, and what made x the
// other way where the factor is negative (gradient reversal, arXiv 1505.07818).
// Not as factor * x + (1 - factor) * x.detach(), which rounds x the coarser the larger the factor.
torch::Tensor gradient_times(const torch::Tensor& x, double factor) {
  const auto same = x.view_as(x);
  if (same.requires_grad())
    same.register_hook([factor](const torch::Tensor& gradient) { return factor * gradient; });
  return same;
}

// Standard normal noise for pictures of a batch. It depends on the seed, the step and their places
// in the whole batch alone, so that a training may be resumed and divided.
torch::Tensor noise_like(const torch::Tensor& pictures, const StepInfo& info) {
  // 0 of the usual seed. LibTorch's generator takes 32 bits, over which the factor spreads others.
  const auto other_seed = (info.seed - Recipe{}.seed) * 0x9e3779b1;
  auto sizes = pictures.sizes().vec();
  if (info.part.step > 1) sizes[0] = info.batch_size;
  const auto whole = torch::randn(
      sizes, at::detail::createCPUGenerator(static_cast<uint64_t>(info.step) + other_seed),
      torch::kFloat);
  return whole.slice(0, info.part.first, c10::nullopt, info.part.step).to(pictures.device());
}

}  // namespace

TransformOptions transform_options_for(TransformOptions options, const std::string& recipe,
                                       double alpha) {
  options.alpha = alpha;
  options.alpha_start = recipe == "quick" && alpha > 0 ? std::max(alpha, 0.05) : alpha;
  return options;
}

TransformOptions read_transform_options(Config& config, const std::string& recipe) {
  TransformOptions o;
  o = transform_options_for(o, recipe, config.get_double("transform.alpha", o.alpha, 0, 10));
  if (recipe == "quick") {
    o.alpha_start_share = 0.4;
    o.encoder_epochs = 20;
    o.bottleneck_weight = 1;
    o.feature_share = 0.25;
    o.code_rate = 10;
    o.start_noise = kStartNoise;
    o.drive = o.alpha > 0 ? "protection" : "steps";
  }
  o.fields(ReadFields(config, "transform."));
  o.additions(ReadFields(config, "transform."));
  if (o.freeze_encoder && o.encoder_epochs == 0) {
    fail(ErrorCode::InvalidArgument,
         "transform.freeze_encoder is true with transform.encoder_epochs 0; an encoder that "
         "was never trained would stay so");
  }
  return o;
}

TransformTask::TransformTask(nn::Model h, nn::Model psi, std::shared_ptr<nn::FeatureExtractor> phi,
                             const TransformOptions& options, const nn::UNetEncoder* encoder,
                             std::vector<nn::Model> further)
    : h_(std::move(h)),
      psi_(std::move(psi)),
      further_(std::move(further)),
      net_(std::dynamic_pointer_cast<nn::TransformNetwork>(h_.net)),
      phi_(std::move(phi)),
      options_(options) {
  if (!net_)
    fail(ErrorCode::InvalidArgument, "{} is no transformation network", h_.card.architecture);
  if (options_.bottleneck_weight > 0 &&
      (!options_.freeze_encoder || !net_->bottleneck_parameters().empty())) {
    auto outputs = static_cast<int64_t>(psi_.card.class_names.size());
    for (const auto& other : further_)
      outputs += static_cast<int64_t>(other.card.class_names.size());
    bottleneck_classifier_ = torch::nn::Linear(net_->bottleneck_size(), outputs);
  }
  if (options_.adversary_weight > 0) adversary_ = std::make_shared<nn::UNet>(net_->width());
  const bool driven = options_.drive == "protection";
  if (bottleneck_classifier_ && !adversary_ && !driven) {
    auxiliary_ = bottleneck_classifier_.ptr();
  } else if (adversary_ || driven) {
    auxiliary_ = std::make_shared<torch::nn::Module>();
    if (adversary_) auxiliary_->register_module("adversary", adversary_);
    if (bottleneck_classifier_)
      auxiliary_->register_module("classifier", bottleneck_classifier_.ptr());
    if (driven)
      driven_ = auxiliary_->register_buffer(
          "driven", torch::tensor({options_.alpha_start, 0.0}, torch::kDouble));
  }
  if (encoder) {
    encoder->copy_into(*net_);
    if (const auto coded = std::dynamic_pointer_cast<nn::CodedTransform>(h_.net)) {
      const auto classes = static_cast<int64_t>(psi_.card.class_names.size());
      const auto stands_for = coded->start_from(encoder->linear(), classes);
      if (bottleneck_classifier_ && stands_for.defined()) {
        torch::NoGradGuard no_grad;
        // A quarter of what names a class for sure, so that doubts can still be learned.
        bottleneck_classifier_->weight.slice(0, 0, classes).copy_(4 * stands_for.t());
      }
    }
    if (bottleneck_classifier_ && net_->bottleneck_parameters().empty()) {
      torch::NoGradGuard no_grad;
      const auto classes = encoder->linear()->weight.size(0);
      bottleneck_classifier_->weight.slice(0, 0, classes).copy_(encoder->linear()->weight);
      bottleneck_classifier_->bias.slice(0, 0, classes).copy_(encoder->linear()->bias);
    }
  }
}

std::shared_ptr<torch::nn::Module> TransformTask::auxiliary() { return auxiliary_; }

std::optional<double> TransformTask::driven_alpha() const {
  if (!driven_.defined()) return std::nullopt;
  return driven_[0].item<double>();
}

Task::Faster TransformTask::faster() {
  Faster faster{net_->bottleneck_parameters(), options_.code_rate};
  if (faster.parameters.empty() || faster.rate == 1) return {};
  if (bottleneck_classifier_)
    for (const auto& p : bottleneck_classifier_->parameters()) faster.parameters.push_back(p);
  return faster;
}

std::string TransformTask::indivisible() const {
  return options_.correlation_weight > 0
             ? "transform.correlation_weight is of all pairs of pictures of a batch"
             : "";
}

bool TransformTask::is_start(const StepInfo& info) const {
  return static_cast<double>(info.step) <
         options_.alpha_start_share * static_cast<double>(info.total_steps);
}

// alpha in force. It waits while h comes to hide more: what is added meanwhile would drive all
// pictures into one pattern, from which a short training does not find back to the classes.
double TransformTask::alpha_at(const StepInfo& info) {
  if (!driven_.defined()) return is_start(info) ? options_.alpha_start : options_.alpha;
  constexpr int64_t kLooks = 50, kLeastSteps = 20;
  constexpr double kMost = 1, kUp = 2, kDown = 0.6, kAmple = 1.5, kScarce = 1.2, kBetter = 1.1;
  // Read from its device at the first step alone, which waits for all before it.
  if (info.step != alpha_step_ && info.step != alpha_step_ + 1) alpha_ = driven_[0].item<double>();
  alpha_step_ = info.step;
  const auto between = std::max(kLeastSteps, info.total_steps / kLooks);
  if (info.step > 0 && info.step % between == 0 && torch::GradMode::is_enabled()) {
    if (!judge_) fail(ErrorCode::InvalidArgument, "nobody judges what drives alpha");
    h_.net->eval();
    const double margin = judge_(h_);
    h_.net->train();
    const bool better = margin > kBetter * driven_[1].item<double>();
    if (margin < kScarce && !better)
      alpha_ = std::min(kUp * alpha_, std::max(kMost, options_.alpha_start));
    if (margin > kAmple) alpha_ = std::max(kDown * alpha_, options_.alpha);
    driven_[0] = alpha_;
    driven_[1] = margin;
  }
  return alpha_;
}

std::vector<torch::Tensor> TransformTask::answers_to(const torch::Tensor& plain,
                                                     const torch::Tensor& labels) {
  std::vector<torch::Tensor> answers{labels};
  torch::NoGradGuard no_grad;
  for (const auto& other : further_) answers.push_back(nn::classify(other, plain).argmax(1));
  return answers;
}

torch::Tensor TransformTask::class_loss_of(const torch::Tensor& shown,
                                           const std::vector<torch::Tensor>& answers) {
  auto loss = classification_loss(nn::classify(psi_, shown), answers.front());
  for (size_t i = 0; i < further_.size(); ++i)
    loss = loss + classification_loss(nn::classify(further_[i], shown), answers[i + 1]);
  return loss / static_cast<double>(answers.size());
}

Losses TransformTask::training_losses(const Batch& batch, const StepInfo& info) {
  const auto& [pictures, labels, plain] = batch;
  const auto output = net_->forward_in_training(pictures, !options_.freeze_encoder);
  const auto protected_pictures = torch::sigmoid(nn::at_least_float32(output.picture));
  auto shown = protected_pictures;
  if (options_.start_noise > 0 && is_start(info))
    shown = (shown + options_.start_noise * noise_like(shown, info)).clamp(0, 1);
  const auto answers = answers_to(pictures, labels);
  const auto class_loss = class_loss_of(shown, answers);

  // Of the whole batch's first pictures those that are here, weighted such that the mean over them
  // is the whole's (Task::training_losses).
  const auto& part = info.part;
  const auto whole = part.step == 1 ? pictures.size(0) : info.batch_size;
  const auto first =
      std::max<int64_t>(1, std::llround(options_.feature_share * static_cast<double>(whole)));
  const auto here = part.of(first);
  auto feat_loss = torch::zeros({}, pictures.options());
  if (here > 0)
    feat_loss = feature_loss(*phi_, psi_.card, protected_pictures.slice(0, 0, here),
                             pictures.slice(0, 0, here));
  if (part.step > 1)
    feat_loss = feat_loss *
                (static_cast<double>(here * whole) / static_cast<double>(first * part.of(whole)));

  // After the forward pass, from which autocast keeps the weights that gradients go through.
  const double alpha = alpha_at(info);
  Losses losses{class_loss - alpha * feat_loss,
                {{"class_loss", class_loss.detach()}, {"feature_loss", feat_loss.detach()}}};
  if (driven_.defined()) {
    losses.parts.emplace_back("alpha", driven_[0].clone());
    losses.parts.emplace_back("hiding_margin", driven_[1].clone());
  }
  if (bottleneck_classifier_) {
    const auto logits = bottleneck_classifier_(output.bottleneck.mean({2, 3}));
    auto loss = torch::zeros({}, logits.options().dtype(torch::kFloat));
    int64_t first_class = 0;
    for (size_t i = 0; i < answers.size(); ++i) {
      const auto& card = i == 0 ? psi_.card : further_[i - 1].card;
      const auto classes = static_cast<int64_t>(card.class_names.size());
      loss = loss + classification_loss(logits.narrow(1, first_class, classes), answers[i]);
      first_class += classes;
    }
    loss = loss / static_cast<double>(answers.size());
    losses.total = losses.total + options_.bottleneck_weight * loss;
    losses.parts.emplace_back("bottleneck_loss", loss.detach());
  }
  if (adversary_) {
    const double weight = options_.adversary_weight;
    const auto seen = gradient_times(protected_pictures, -weight);
    const auto loss =
        torch::mse_loss(torch::sigmoid(adversary_->forward(seen).to(torch::kFloat)), pictures);
    losses.total = losses.total + loss;
    losses.parts.emplace_back("adversary_loss", loss.detach());
  }
  if (options_.correlation_weight > 0) {
    const auto loss = distance_correlation(pictures, protected_pictures);
    losses.total = losses.total + options_.correlation_weight * loss;
    losses.parts.emplace_back("distance_correlation", loss.detach());
  }
  return losses;
}

std::vector<std::pair<std::string, double>> TransformTask::validation_means(const Batch& batch,
                                                                            const StepInfo&) {
  const auto& [pictures, labels, plain] = batch;
  const auto output = h_.net->forward(pictures);
  auto loss = transform_loss(psi_, *phi_, output, pictures, labels, options_.alpha);
  if (!further_.empty()) {
    const auto shown = torch::sigmoid(nn::at_least_float32(output));
    const auto mean = class_loss_of(shown, answers_to(pictures, labels));
    loss.total = loss.total - loss.class_loss + mean;
    loss.class_loss = mean;
  }
  return {{"loss", loss.total.item<double>()},
          {"class_loss", loss.class_loss.item<double>()},
          {"feature_loss", loss.feature_loss.item<double>()},
          {"accuracy", accuracy(loss.logits, labels)}};
}

}  // namespace veilnet::train
