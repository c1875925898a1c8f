#include "train/device_pictures.h"

#include <vector>

namespace veilnet::train {

DevicePictures::DevicePictures(const image::Batch& pictures, const torch::Device& device)
    : height_(pictures.height()), width_(pictures.width()) {
  // from_blob does not take const; the tensor is copied before it leaves this function.
  bytes_ =
      torch::from_blob(const_cast<uint8_t*>(pictures.pixels().data()),
                       {static_cast<int64_t>(pictures.count()), height_ * width_, 3}, torch::kUInt8)
          .to(device, torch::kUInt8, /*non_blocking=*/false, /*copy=*/true);
}

torch::Tensor DevicePictures::take(std::span<const uint32_t> indices,
                                   std::span<const data::Draw> draws) const {
  const auto count = static_cast<int64_t>(indices.size());
  const auto device = bytes_.device();
  const auto on_device = [&](auto value) {
    std::vector<int64_t> values(indices.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = value(i);
    return torch::tensor(values, torch::kLong).to(device).view({count, 1, 1});
  };
  auto pixels =
      bytes_.index_select(0, on_device([&](size_t i) -> int64_t { return indices[i]; }).flatten());
  if (!draws.empty()) {
    const auto places = [&](int64_t side) {
      return torch::arange(side, torch::dtype(torch::kLong).device(device));
    };
    const auto y =
        places(height_).view({1, height_, 1}) + on_device([&](size_t i) { return draws[i].top; });
    auto x =
        places(width_).view({1, 1, width_}) + on_device([&](size_t i) { return draws[i].left; });
    const auto inside = y.ge(0) & y.lt(height_) & x.ge(0) & x.lt(width_);
    x = torch::where(on_device([&](size_t i) { return draws[i].flip; }).to(torch::kBool),
                     width_ - 1 - x, x);
    const auto from = y.clamp(0, height_ - 1) * width_ + x.clamp(0, width_ - 1);
    const auto flat = [&](const torch::Tensor& t) { return t.reshape({count, -1, 1}); };
    pixels = pixels.gather(1, flat(from).expand({-1, -1, 3})) * flat(inside);
    const auto cut = on_device([&](size_t i) { return draws[i].cut; }),
               down = places(height_).view({1, height_, 1}) -
                      on_device([&](size_t i) { return draws[i].cut_top; }),
               across = places(width_).view({1, 1, width_}) -
                        on_device([&](size_t i) { return draws[i].cut_left; });
    pixels.masked_fill_(flat(down.ge(0) & down.lt(cut) & across.ge(0) & across.lt(cut)),
                        data::kCutGrey);
  }
  return pixels.view({count, height_, width_, 3})
      .permute({0, 3, 1, 2})
      .to(torch::kFloat)
      .div_(255.0);
}

}  // namespace veilnet::train
