#include "attack/retrieval.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "attack/table.h"
#include "core/error.h"
#include "nn/infer.h"

namespace veilnet::attack {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::uint8_t folded(std::uint8_t value, int top) {
  return static_cast<std::uint8_t>(std::min<int>(value, top - value));
}

/// The values of each block, in order of position: bytes, or two nibbles for each.
std::vector<Bytes> blocks_of(const image::Image& picture, int side, bool nibbles) {
  std::vector<Bytes> blocks;
  for (int top = 0; top < picture.height; top += side) {
    for (int left = 0; left < picture.width; left += side) {
      auto& block = blocks.emplace_back();
      for (int y = top; y < top + side; ++y) {
        const auto* row =
            &picture
                 .rgb[3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                           static_cast<std::size_t>(left))];
        for (int i = 0; i < 3 * side; ++i) {
          if (nibbles) block.push_back(row[i] >> 4);
          block.push_back(nibbles ? row[i] & 15 : row[i]);
        }
      }
    }
  }
  return blocks;
}

}  // namespace

std::vector<std::uint8_t> fingerprint(const cipher::SchemeOptions& scheme,
                                      const image::Image& picture) {
  using Order = cipher::Structure::Order;
  const auto structure = scheme.id.empty() ? cipher::Structure{} : cipher::structure_of(scheme);
  const bool nibbles = structure.unit_bits == 4;
  const auto fold = [&](Bytes& units) {
    if (!structure.complements) return;
    for (auto& v : units) v = folded(v, nibbles ? 15 : 255);
  };
  const bool by_blocks = structure.order == Order::Block || structure.order == Order::Oriented;
  if (!by_blocks && !structure.moves_blocks) {
    auto values = picture.rgb;
    fold(values);
    if (structure.order == Order::Pixel) {
      for (auto pixel = values.begin(); pixel != values.end(); pixel += 3)
        std::sort(pixel, pixel + 3);
    }
    return values;
  }
  const int side = scheme.block_size;
  if (side < 1 || picture.height % side != 0 || picture.width % side != 0)
    fail(ErrorCode::InvalidArgument,
         "the protected picture is {}x{}; its sides must be multiples of the block size {}",
         picture.height, picture.width, side);
  auto blocks = blocks_of(picture, side, nibbles);
  for (auto& block : blocks) {
    fold(block);
    if (by_blocks) std::ranges::sort(block);
  }
  if (structure.moves_blocks) {
    std::ranges::sort(blocks, [](const Bytes& a, const Bytes& b) {
      return std::ranges::lexicographical_compare(a, b);
    });
  }
  Bytes out;
  for (const auto& block : blocks) out.insert(out.end(), block.begin(), block.end());
  return out;
}

std::vector<std::uint32_t> retrieve(const cipher::SchemeOptions& scheme,
                                    const image::Batch& protected_pictures,
                                    const image::Batch& protected_candidates) {
  if (protected_candidates.empty() || !protected_candidates.same_size(protected_pictures))
    fail(ErrorCode::InvalidArgument,
         "{} candidates of {}x{} for protected pictures of {}x{}; allowed is at least one "
         "candidate, of the same size",
         protected_candidates.count(), protected_candidates.height(), protected_candidates.width(),
         protected_pictures.height(), protected_pictures.width());
  const auto fingerprints = [&](const image::Batch& pictures) {
    std::vector<Bytes> out;
    for (std::size_t i = 0; i < pictures.count(); ++i)
      out.push_back(fingerprint(scheme, pictures.image(i)));
    return out;
  };
  const auto candidates = fingerprints(protected_candidates);
  std::vector<std::uint32_t> nearest;
  for (const auto& wanted : fingerprints(protected_pictures)) {
    std::uint32_t best = 0;
    auto least = std::numeric_limits<std::uint32_t>::max();
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      std::uint32_t distance = 0;
      for (std::size_t j = 0; j < wanted.size(); ++j)
        distance += static_cast<std::uint32_t>(std::abs(int{wanted[j]} - int{candidates[i][j]}));
      if (distance < least) {
        least = distance;
        best = i;
      }
    }
    nearest.push_back(best);
  }
  return nearest;
}

Attack retrieval() {
  Attack attack{"retrieval",
                "Runs the public method on every candidate picture and picks the one whose result "
                "agrees with "
                "the protected picture in all that no key changes.",
                [](const Target& t) -> Against {
                  if (t.keys == Keys::None)
                    return ThreatModel{Method::Public, Access::PublicTransform, Keys::None,
                                       Auxiliary::Candidates};
                  return ciphertext_only(t, Auxiliary::Candidates);
                },
                [](Materials& m, const Setting&) -> Outcome {
                  // Of a network without its chance on the code, if any: the likeliest answer of
                  // each.
                  const auto made = m.network ? nn::transform(*m.network, m.candidates->pictures)
                                              : m.run(*m.candidates);
                  return {m.candidates->pictures.subset(retrieve(m.scheme, m.attacked, made)),
                          {{"candidates", static_cast<int64_t>(m.candidates->size())}}};
                }};
  attack.version = 2;
  return attack;
}

}  // namespace veilnet::attack
