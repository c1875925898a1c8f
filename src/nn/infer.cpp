#include "nn/infer.h"

#include <algorithm>

#include "core/error.h"
#include "nn/coded.h"

namespace veilnet::nn {
namespace {

torch::Device device_of(const torch::nn::Module& net) {
  const auto parameters = net.parameters();
  return parameters.empty() ? torch::Device(torch::kCPU) : parameters.front().device();
}

// Pictures first, first + 1, ... of a batch, at most kInferenceBatch, as the network's input.
torch::Tensor part(const image::Batch& pictures, size_t first, const torch::Device& device) {
  const auto count = std::min(static_cast<size_t>(kInferenceBatch), pictures.count() - first);
  return to_tensor(
      pictures.pixels().subspan(first * pictures.picture_bytes(), count * pictures.picture_bytes()),
      static_cast<int64_t>(count), pictures.height(), pictures.width(), device);
}

CodedTransform& coded(const Model& h) {
  auto* net = dynamic_cast<CodedTransform*>(h.net.get());
  if (!net)
    fail(ErrorCode::InvalidArgument, "{} has no code; allowed: a coded transformation",
         model::describe(h.card));
  return *net;
}

void require_finite(const torch::Tensor& output, const model::Card& card) {
  if (torch::isfinite(output).all().item<bool>()) return;
  fail(ErrorCode::BadData, "the output of the {} model ({}) is not finite",
       model::role_name(card.role), model::describe(card));
}

}  // namespace

torch::Tensor logits(const Model& psi, const image::Batch& pictures) {
  torch::NoGradGuard no_grad;
  const auto device = device_of(*psi.net);
  std::vector<torch::Tensor> parts;
  for (size_t first = 0; first < pictures.count(); first += kInferenceBatch)
    parts.push_back(classify(psi, part(pictures, first, device)).to(torch::kCPU));
  if (parts.empty()) return torch::empty({0, static_cast<int64_t>(psi.card.class_names.size())});
  const auto all = torch::cat(parts);
  require_finite(all, psi.card);
  return all;
}

double accuracy(const Model& psi, const image::Batch& pictures, std::span<const int32_t> labels) {
  if (labels.size() != pictures.count() || labels.empty()) {
    fail(ErrorCode::InvalidArgument, "{} labels for {} pictures; allowed: as many, at least one",
         labels.size(), pictures.count());
  }
  const auto guesses = logits(psi, pictures).argmax(1);
  const auto* guess = guesses.data_ptr<int64_t>();
  size_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += guess[i] == labels[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

double confidence(const Model& psi, const image::Batch& pictures) {
  return std::get<0>(logits(psi, pictures).to(torch::kDouble).softmax(1).max(1))
      .mean()
      .item<double>();
}

image::Batch transform(const Model& h, const image::Batch& pictures) {
  torch::NoGradGuard no_grad;
  const auto device = device_of(*h.net);
  image::Batch out(pictures.height(), pictures.width());
  for (size_t first = 0; first < pictures.count(); first += kInferenceBatch) {
    const auto protected_pictures = transform(h, part(pictures, first, device));
    require_finite(protected_pictures, h.card);
    out.append(to_bytes(protected_pictures));
  }
  return out;
}

std::vector<std::uint64_t> codes(const Model& h, const image::Batch& pictures) {
  torch::NoGradGuard no_grad;
  auto& net = coded(h);
  const auto device = device_of(net);
  std::vector<std::uint64_t> out;
  for (size_t first = 0; first < pictures.count(); first += kInferenceBatch) {
    const auto found = net.encode(part(pictures, first, device)).to(torch::kCPU).contiguous();
    const auto* begin = found.data_ptr<int64_t>();
    out.insert(out.end(), begin, begin + found.numel());
  }
  return out;
}

image::Batch pictures_of(const Model& h, std::span<const std::uint64_t> codes) {
  torch::NoGradGuard no_grad;
  auto& net = coded(h);
  const auto device = device_of(net);
  image::Batch out(static_cast<int>(h.card.height), static_cast<int>(h.card.width));
  for (size_t first = 0; first < codes.size(); first += kInferenceBatch) {
    const auto some = codes.subspan(first, std::min<size_t>(kInferenceBatch, codes.size() - first));
    const std::vector<int64_t> wide(some.begin(), some.end());
    const auto pictures = torch::sigmoid(net.decode(torch::tensor(wide).to(device)));
    require_finite(pictures, h.card);
    out.append(to_bytes(pictures));
  }
  return out;
}

std::vector<double> feature_distances(FeatureExtractor& phi, const model::Card& card,
                                      const image::Batch& a, const image::Batch& b) {
  if (a.count() != b.count() || !a.same_size(b)) {
    fail(ErrorCode::InvalidArgument, "{} pictures of {}x{} beside {} of {}x{}", a.count(),
         a.height(), a.width(), b.count(), b.height(), b.width());
  }
  torch::NoGradGuard no_grad;
  const auto device = device_of(phi);
  std::vector<double> distances;
  for (size_t first = 0; first < a.count(); first += kInferenceBatch) {
    const auto features = [&](const image::Batch& pictures) {
      return phi.forward(normalise(part(pictures, first, device), card));
    };
    const auto means = (features(a) - features(b))
                           .square()
                           .mean({1, 2, 3})
                           .to(torch::kCPU, torch::kDouble)
                           .contiguous();
    distances.insert(distances.end(), means.data_ptr<double>(),
                     means.data_ptr<double>() + means.numel());
  }
  return distances;
}

}  // namespace veilnet::nn
