#include "train/gradients.h"

#include <algorithm>

namespace veilnet::train {
namespace {

constexpr int64_t kBucketValues = 1 << 20;  // 4 MiB

}  // namespace

GradientSum::GradientSum(Group& group, const std::vector<torch::Tensor>& parameters)
    : group_(group) {
  std::vector<int64_t> sizes;
  for (auto p = parameters.rbegin(); p != parameters.rend(); ++p) {
    if (buckets_.empty() || sizes.back() + p->numel() > kBucketValues) {
      buckets_.emplace_back();
      sizes.push_back(0);
    }
    sizes.back() += p->numel();
    ++buckets_.back().slots;
    slots_.push_back(std::make_unique<Slot>(Slot{*p, {}, buckets_.size() - 1, false, 0}));
  }
  for (size_t i = 0; i < buckets_.size(); ++i)
    buckets_[i].values =
        torch::zeros({sizes[i]}, parameters.front().options().requires_grad(false));
  std::fill(sizes.begin(), sizes.end(), 0);
  for (auto& slot : slots_) {
    auto& begin = sizes[slot->bucket];
    slot->place = buckets_[slot->bucket]
                      .values.slice(0, begin, begin + slot->parameter.numel())
                      .view(slot->parameter.sizes());
    begin += slot->parameter.numel();
    slot->hook = slot->parameter.register_hook(
        [this, slot = slot.get()](const torch::Tensor& gradient) { fill(*slot, gradient); });
  }
}

GradientSum::~GradientSum() {
  for (auto& slot : slots_) slot->parameter.remove_hook(slot->hook);
}

void GradientSum::begin() {
  sent_ = 0;
  for (auto& slot : slots_) slot->filled = false;
  for (auto& bucket : buckets_) {
    bucket.values.zero_();
    bucket.missing = bucket.slots;
    bucket.wait = nullptr;
  }
}

void GradientSum::fill(Slot& slot, const torch::Tensor& gradient) {
  slot.place.copy_(gradient);
  slot.filled = true;
  --buckets_[slot.bucket].missing;
  send_full();
}

void GradientSum::send_full() {
  for (; sent_ < buckets_.size() && buckets_[sent_].missing == 0; ++sent_)
    buckets_[sent_].wait = group_.start_sum(buckets_[sent_].values);
}

void GradientSum::finish() {
  // Those with parameters that got no gradient.
  for (auto& bucket : buckets_) bucket.missing = 0;
  send_full();
  for (auto& bucket : buckets_) bucket.wait();
  torch::NoGradGuard no_grad;
  for (auto& slot : slots_)
    if (slot->filled) slot->parameter.mutable_grad().copy_(slot->place);
}

}  // namespace veilnet::train
