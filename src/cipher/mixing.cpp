#include "cipher/mixing.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "cipher/key.h"
#include "core/error.h"

namespace veilnet::cipher {

namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::InvalidArgument, message);
}

/// Bytes of one picture. Checks the set.
std::size_t check_set(const PictureSet& set) {
  if (set.height < 1 || set.width < 1) {
    refuse("pictures of " + std::to_string(set.height) + "x" + std::to_string(set.width) +
           " pixels; sides must be positive");
  }
  const auto bytes = 3 * static_cast<std::size_t>(set.height) * static_cast<std::size_t>(set.width);
  if (set.images_nhwc.size() != set.labels.size() * bytes) {
    refuse("the pictures have " + std::to_string(set.images_nhwc.size()) + " bytes; " +
           std::to_string(set.labels.size()) + " labels of pictures of " + std::to_string(bytes) +
           " bytes need " + std::to_string(set.labels.size() * bytes));
  }
  for (const auto label : set.labels) {
    if (label < 0 || label >= set.classes)
      refuse("label " + std::to_string(label) + " is out of range; allowed is 0 to " +
             std::to_string(set.classes - 1));
  }
  return bytes;
}

/// Uniform in [0, count) without `excluded`.
std::size_t draw_other(KeyStream& stream, std::size_t count, std::size_t excluded) {
  const std::size_t drawn = stream.below(static_cast<std::uint32_t>(count - 1));
  return drawn + (drawn >= excluded ? 1 : 0);
}

}  // namespace

std::vector<std::uint8_t> mix_blocks(const PictureSet& plain, const PbmOptions& options,
                                     std::uint64_t seed) {
  const auto bytes = check_set(plain);
  if (options.block_height < 1 || options.block_width < 1) {
    refuse("blocks of " + std::to_string(options.block_height) + "x" +
           std::to_string(options.block_width) + " pixels; sides must be positive");
  }
  if (!(options.share >= 0 && options.share <= 1))
    refuse("the share of replaced blocks is " + std::to_string(options.share) +
           "; allowed is 0 to 1");

  std::vector<std::vector<std::size_t>> of_label(
      static_cast<std::size_t>(std::max<std::int64_t>(plain.classes, 0)));
  std::vector<std::size_t> place(plain.labels.size());  // of each picture among those of its label
  for (std::size_t i = 0; i < plain.labels.size(); ++i) {
    auto& group = of_label[static_cast<std::size_t>(plain.labels[i])];
    place[i] = group.size();
    group.push_back(i);
  }
  for (std::size_t label = 0; label < of_label.size(); ++label) {
    if (of_label[label].size() == 1)
      refuse("label " + std::to_string(label) +
             " has one picture; each needs another one of its label to mix with");
  }

  const auto height = static_cast<std::size_t>(plain.height), row_bytes = bytes / height;
  const auto block_rows = static_cast<std::size_t>(options.block_height);
  const auto block_bytes = 3 * static_cast<std::size_t>(options.block_width);
  const auto across = (row_bytes + block_bytes - 1) / block_bytes,
             down = (height + block_rows - 1) / block_rows;
  std::vector<std::size_t> blocks(across * down);
  std::iota(blocks.begin(), blocks.end(), std::size_t{0});
  const auto replaced =
      static_cast<std::size_t>(std::lround(options.share * static_cast<double>(blocks.size())));

  KeyStream stream(key_from_seed(seed), Purpose::Mixing);
  std::vector<std::uint8_t> mixed(plain.images_nhwc.begin(), plain.images_nhwc.end());
  for (std::size_t i = 0; i < plain.labels.size(); ++i) {
    const auto& group = of_label[static_cast<std::size_t>(plain.labels[i])];
    stream.shuffle(std::span(blocks));
    for (std::size_t b = 0; b < replaced; ++b) {
      const auto from = group[draw_other(stream, group.size(), place[i])];
      const auto top = blocks[b] / across * block_rows, left = blocks[b] % across * block_bytes;
      for (auto row = top; row < std::min(top + block_rows, height); ++row) {
        const auto at = row * row_bytes + left;
        std::copy_n(&plain.images_nhwc[from * bytes + at], std::min(block_bytes, row_bytes - left),
                    &mixed[i * bytes + at]);
      }
    }
  }
  return mixed;
}

InstaHideSet mix_instahide(const PictureSet& plain, const InstaHideOptions& options,
                           std::uint64_t seed) {
  const auto bytes = check_set(plain);
  if (options.pictures < 2 || options.pictures > 16)
    refuse("a mixture of " + std::to_string(options.pictures) + " pictures; allowed is 2 to 16");
  const auto k = static_cast<std::size_t>(options.pictures), count = plain.labels.size();
  if (count < k) refuse(std::to_string(count) + " pictures; a mixture needs " + std::to_string(k));
  // Close to 1/k almost every draw would be rejected.
  const double least = 1.2 / static_cast<double>(k);
  if (!(options.max_weight >= least && options.max_weight <= 1)) {
    refuse("the largest weight is " + std::to_string(options.max_weight) + "; allowed for " +
           std::to_string(k) + " pictures is " + std::to_string(least) + " to 1");
  }
  for (const float deviation : options.std_rgb)
    if (!(deviation > 0))
      refuse("a standard deviation is " + std::to_string(deviation) + "; it must be positive");

  InstaHideSet mixed{std::vector<std::uint8_t>(plain.images_nhwc.size()),
                     std::vector<float>(count * static_cast<std::size_t>(plain.classes)), 0};
  std::array<float, 3> scale, shift;
  for (std::size_t c = 0; c < 3; ++c) {
    scale[c] = 1 / (255 * options.std_rgb[c]);
    shift[c] = -options.mean_rgb[c] / options.std_rgb[c];
    mixed.limit = std::max({mixed.limit, std::abs(shift[c]), std::abs(255 * scale[c] + shift[c])});
  }

  KeyStream choices(key_from_seed(seed), Purpose::Mixing),
      signs(key_from_seed(seed), Purpose::Negate);
  std::vector<float> sum(bytes);
  std::vector<std::uint8_t> sign(bytes);
  std::vector<std::size_t> members(k);
  std::vector<float> weights(k);
  for (std::size_t i = 0; i < count; ++i) {
    members.assign(1, i);
    while (members.size() < k) {
      const auto other = draw_other(choices, count, i);
      if (std::ranges::find(members, other) == members.end()) members.push_back(other);
    }
    do {
      float total = 0;
      for (auto& weight : weights) total += weight = static_cast<float>(std::abs(choices.normal()));
      for (auto& weight : weights) weight /= total;
    } while (*std::ranges::max_element(weights) > static_cast<float>(options.max_weight));

    std::ranges::fill(sum, 0.0f);
    for (std::size_t m = 0; m < k; ++m) {
      const auto picture = plain.images_nhwc.subspan(members[m] * bytes, bytes);
      for (std::size_t v = 0; v < bytes; ++v) sum[v] += weights[m] * static_cast<float>(picture[v]);
      mixed.soft_labels[i * static_cast<std::size_t>(plain.classes) +
                        static_cast<std::size_t>(plain.labels[members[m]])] += weights[m];
    }
    signs.fill_bits(sign);
    for (std::size_t v = 0; v < bytes; ++v) {
      const float value = (sum[v] * scale[v % 3] + shift[v % 3]) / mixed.limit;
      const float byte = 127.5f + 127.5f * (sign[v] ? -value : value);
      mixed.images_nhwc[i * bytes + v] =
          static_cast<std::uint8_t>(std::clamp(std::lround(byte), 0L, 255L));
    }
  }
  return mixed;
}

}  // namespace veilnet::cipher
