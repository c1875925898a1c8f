// Ten kinds of things, drawn as small photographs: signed distance functions with soft edges and
// relief, on busy grounds, under uneven light.
//
// The class is in the shape alone. Colours, place, size, tilt, light, ground and clutter come from
// the same distributions for every class, so that no single pixel says much about the class.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/random.h"
#include "data/sources.h"

namespace veilnet::data {
namespace {

constexpr int kSide = 32;
constexpr float kPi = std::numbers::pi_v<float>;
const std::vector<std::string> kClassNames = {"house", "tree", "fish", "car",      "face",
                                              "mug",   "star", "boat", "mushroom", "butterfly"};

struct Vec {
  float x, y;
};
Vec operator+(Vec a, Vec b) { return {a.x + b.x, a.y + b.y}; }
Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y}; }
Vec operator*(float s, Vec a) { return {s * a.x, s * a.y}; }
float dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y; }
float length(Vec a) { return std::sqrt(dot(a, a)); }
Vec direction(float angle) { return {std::cos(angle), std::sin(angle)}; }
/// Turns `a` as direction(angle) is turned from the x axis.
Vec rotate(Vec a, Vec by) { return {by.x * a.x - by.y * a.y, by.y * a.x + by.x * a.y}; }

using Color = std::array<float, 3>;  // 0..1
float mix(float a, float b, float t) { return a + (b - a) * t; }
Color mix(const Color& a, const Color& b, float t) {
  return {mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)};
}
float luminance(const Color& c) { return 0.3f * c[0] + 0.6f * c[1] + 0.1f * c[2]; }

// Signed distances, negative inside; y points down, a thing spans about [-1, 1].
float disc(Vec p, Vec centre, float radius) { return length(p - centre) - radius; }
float ellipse(Vec p, Vec centre, float rx, float ry) {
  const Vec q = p - centre;
  return (length({q.x / rx, q.y / ry}) - 1) * std::min(rx, ry);
}
float box(Vec p, Vec centre, float half_width, float half_height, float rounding = 0) {
  const Vec q = {std::abs(p.x - centre.x) - half_width + rounding,
                 std::abs(p.y - centre.y) - half_height + rounding};
  return length({std::max(q.x, 0.f), std::max(q.y, 0.f)}) + std::min(std::max(q.x, q.y), 0.f) -
         rounding;
}
float line(Vec p, Vec a, Vec b, float half_width) {
  const Vec ab = b - a;
  return length(p - a - std::clamp(dot(p - a, ab) / dot(ab, ab), 0.f, 1.f) * ab) - half_width;
}
float polygon(Vec p, std::initializer_list<Vec> corners) {
  float nearest = 1e9f;
  bool inside = false;
  Vec a = *(corners.end() - 1);
  for (Vec b : corners) {
    nearest = std::min(nearest, line(p, a, b, 0));
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (b.x - a.x) * (p.y - a.y) / (b.y - a.y))
      inside = !inside;
    a = b;
  }
  return inside ? -nearest : nearest;
}

/// Smooth noise in [-1, 1] with features of size 1.
float noise(Vec p, std::uint32_t seed) {
  const auto corner = [seed](int x, int y) {
    auto h = static_cast<std::uint32_t>(x) * 0x8da6b343u ^
             static_cast<std::uint32_t>(y) * 0xd8163841u ^ seed;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    h = (h ^ h >> 12) * 0x297a2d39u;
    return static_cast<float>((h ^ h >> 15) & 0xffff) / 32767.5f - 1;
  };
  const float fx = std::floor(p.x), fy = std::floor(p.y);
  const int x = static_cast<int>(fx), y = static_cast<int>(fy);
  const auto smooth = [](float t) { return t * t * (3 - 2 * t); };
  const float u = smooth(p.x - fx), v = smooth(p.y - fy);
  return mix(mix(corner(x, y), corner(x + 1, y), u), mix(corner(x, y + 1), corner(x + 1, y + 1), u),
             v);
}

class Picture {
 public:
  explicit Picture(Random random) : random_(random) {}

  /// The whole way from nothing to 8-bit pixels.
  void draw(int label, std::uint8_t* out_hwc) {
    light_ = direction(between(-2.9f, -0.3f));  // from above
    ground();
    for (int i = static_cast<int>(random_.below(4)); i > 0; --i) clutter();
    const float scale = between(9.5f, 13.f);
    const float slack = std::max(0.f, 16 - scale) + 1;
    place({{15.5f + between(-slack, slack), 15.5f + between(-slack, slack)},
           scale,
           between(-0.35f, 0.35f)});
    thing(label);
    expose(out_hwc);
  }

 private:
  // Draws stand in declarations and braces only, where their order is the same for every compiler.
  struct Pose {
    Vec centre;
    float scale, angle;
  };

  float between(float low, float high) { return static_cast<float>(random_.uniform(low, high)); }
  float any_angle() { return between(0, 2 * kPi); }
  std::uint32_t any() { return static_cast<std::uint32_t>(random_.next()); }

  /// A colour as far as `contrast` in luminance from another one.
  Color color_apart(const Color& other, float contrast) {
    for (;;) {
      const float value = between(0.15f, 1), saturation = between(0, 0.7f), hue = between(0, 6);
      Color c;
      for (int i = 0; i < 3; ++i) {
        const float k = std::fmod(hue + 2 * static_cast<float>(i), 6.f);
        c[static_cast<std::size_t>(i)] =
            value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.f, 1.f));
      }
      if (std::abs(luminance(c) - luminance(other)) >= contrast) return c;
    }
  }

  void place(const Pose& pose) {
    pose_ = pose;
    turn_ = direction(-pose.angle);
    stretch_ = between(0.88f, 1.12f);
    mirror_ = random_.below(2) ? 1.f : -1.f;
  }
  Vec to_thing(Vec pixel) const {
    const Vec p = rotate(1 / pose_.scale * (pixel - pose_.centre), turn_);
    return {mirror_ * p.x * stretch_, p.y / stretch_};
  }

  template <class Change>
  void each_pixel(Change&& change) {
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        change(Vec{static_cast<float>(x), static_cast<float>(y)},
               pixels_[static_cast<std::size_t>(y * kSide + x)]);
      }
    }
  }

  /// Covers the pixels where shape(p) < 0. `bevel` is how far from the edge the surface still bends
  /// away from the viewer.
  template <class Shape>
  void paint(const Color& color, float bevel, Shape&& shape) {
    const auto grain = any();
    each_pixel([&](Vec at, Color& pixel) {
      const Vec p = to_thing(at);
      const float d = shape(p), coverage = std::clamp(0.5f - d * pose_.scale, 0.f, 1.f);
      if (coverage == 0) return;
      const Vec slope = {pose_.scale * (shape(to_thing(at + Vec{0.1f, 0})) - d) * 10,
                         pose_.scale * (shape(to_thing(at + Vec{0, 0.1f})) - d) * 10};
      const float steepness = std::clamp(1 + d / bevel, 0.f, 1.f);
      const float shade = 1 + 0.45f * steepness * dot(slope, light_) + 0.1f * noise(5.f * p, grain);
      Color lit;
      for (std::size_t c = 0; c < 3; ++c)
        lit[c] = color[c] * shade + 0.25f * std::max(0.f, shade - 1.2f);
      pixel = mix(pixel, lit, coverage);
    });
  }

  /// Darkens the ground behind a shape, away from the light.
  template <class Shape>
  void cast_shadow(Shape&& shape) {
    const float reach = between(1, 3), darkness = between(0.2f, 0.5f);
    each_pixel([&](Vec at, Color& pixel) {
      const float d = shape(to_thing(at + reach * light_)) * pose_.scale;
      const float shadow = darkness * std::clamp(0.5f - d / 4, 0.f, 1.f);
      for (auto& c : pixel) c *= 1 - shadow;
    });
  }

  /// A gradient with texture and, for some, a horizon or a pattern of stripes.
  void ground() {
    ground_ = color_apart({0.5f, 0.5f, 0.5f}, 0);
    const Color far = color_apart(ground_, 0), other = mix(ground_, far, between(0.1f, 0.5f));
    const Vec across = direction(any_angle()), along = direction(any_angle());
    const auto coarse = any(), fine = any();
    const float coarse_size = between(5, 12), amount = between(0.05f, 0.3f),
                fine_amount = between(0, 0.15f);
    const bool horizon = random_.below(3) == 0, stripes = random_.below(4) == 0;
    const float level = between(-6, 10), tilt = between(-0.15f, 0.15f), period = between(3, 9),
                stripe = between(0.05f, 0.2f);
    each_pixel([&](Vec at, Color& pixel) {
      const Vec p = at - Vec{15.5f, 15.5f};
      float t = 0.5f + dot(p, across) / 45;
      if (horizon) t = std::clamp(p.y + tilt * p.x - level + 0.5f, 0.f, 1.f);
      float shade =
          1 + amount * noise(1 / coarse_size * at, coarse) + fine_amount * noise(0.6f * at, fine);
      if (stripes)
        shade += stripe * std::clamp(3 * std::sin(dot(p, along) * 2 * kPi / period), -1.f, 1.f);
      pixel = mix(ground_, other, std::clamp(t, 0.f, 1.f));
      for (auto& c : pixel) c *= shade;
    });
  }

  /// A stray thing of no class: a bar, a box or a blob, smaller or partly outside.
  void clutter() {
    place({{between(-2, 34), between(-2, 34)}, between(3, 7), any_angle()});
    const auto kind = random_.below(3);
    const float size = between(0.4f, 1);
    const Color far = color_apart(ground_, 0.1f), color = mix(ground_, far, between(0.4f, 0.9f));
    const auto shape = [=](Vec p) {
      if (kind == 0) return line(p, {-2, 0}, {2, 0}, 0.25f * size);
      return kind == 1 ? box(p, {0, 0}, size, 0.7f, 0.15f) : ellipse(p, {0, 0}, size, 0.7f);
    };
    paint(color, 0.5f, shape);
  }

  void thing(int label) {
    const Color body = color_apart(ground_, 0.22f), second = color_apart(body, 0.2f),
                dark = color_apart(body, 0.3f);
    const float a = between(0, 1), b = between(0, 1);  // proportions
    const auto solid = [&](const Color& color, float bevel, auto&& shape) {
      cast_shadow(shape);
      paint(color, bevel, shape);
    };
    switch (label) {
      case 0: {  // house
        const float eaves = mix(-0.25f, 0.05f, a), width = mix(0.6f, 0.8f, b);
        solid(body, 0.2f, [=](Vec p) {
          return box(p, {0, (eaves + 0.9f) / 2}, width, (0.9f - eaves) / 2);
        });
        solid(second, 0.3f, [=](Vec p) {
          return polygon(p, {{-width - 0.25f, eaves}, {0, -0.95f}, {width + 0.25f, eaves}});
        });
        paint(dark, 0.1f, [=](Vec p) { return box(p, {-0.3f, 0.6f}, 0.17f, 0.3f); });
        paint(dark, 0.1f, [=](Vec p) { return box(p, {0.3f, 0.4f}, 0.17f, 0.17f); });
        break;
      }
      case 1:  // tree
        solid(second, 0.15f, [=](Vec p) {
          return line(p, {0, 0.95f}, {0, 0}, mix(0.11f, 0.17f, a));
        });
        solid(body, 0.5f, [=](Vec p) {
          return std::min({disc(p, {0, -0.5f}, 0.47f),
                           disc(p, {-0.38f, -0.08f}, mix(0.36f, 0.44f, b)),
                           disc(p, {0.38f, -0.12f}, mix(0.44f, 0.36f, b))});
        });
        break;
      case 2: {  // fish
        const float height = mix(0.4f, 0.52f, a);
        solid(second, 0.2f, [=](Vec p) {
          return polygon(p, {{0.35f, 0}, {1, -0.5f}, {0.82f, 0}, {1, 0.5f}});
        });
        paint(second, 0.2f, [=](Vec p) {
          return polygon(p, {{-0.3f, -0.3f}, {0.15f, -0.8f}, {0.3f, -0.2f}});
        });
        solid(body, 0.4f, [=](Vec p) { return ellipse(p, {-0.2f, 0}, 0.78f, height); });
        paint(dark, 0.1f, [=](Vec p) { return disc(p, {-0.62f, -0.1f}, 0.1f); });
        break;
      }
      case 3: {  // car
        const float roof = mix(-0.55f, -0.4f, a), front = mix(0.35f, 0.55f, b);
        solid(second, 0.2f, [=](Vec p) {
          return polygon(p, {{-0.75f, 0}, {-0.5f, roof}, {front - 0.2f, roof}, {front + 0.1f, 0}});
        });
        solid(body, 0.25f, [=](Vec p) { return box(p, {0, 0.18f}, 1, 0.27f, 0.15f); });
        for (float x : {-0.55f, 0.55f}) {
          paint(dark, 0.2f, [=](Vec p) { return disc(p, {x, 0.45f}, 0.25f); });
          paint(body, 0.1f, [=](Vec p) { return disc(p, {x, 0.45f}, 0.09f); });
        }
        break;
      }
      case 4: {  // face
        const float smile = mix(0.35f, 0.6f, a), eye = mix(0.09f, 0.14f, b);
        solid(body, 0.6f, [=](Vec p) { return disc(p, {0, 0}, 0.9f); });
        for (float x : {-0.33f, 0.33f})
          paint(dark, 0.1f, [=](Vec p) { return ellipse(p, {x, -0.25f}, eye, 1.5f * eye); });
        paint(dark, 0.1f, [=](Vec p) {
          const Vec q = {p.x, p.y - 0.5f + smile};
          return std::max(std::abs(length(q) - smile) - 0.09f, 0.35f * smile - q.y);
        });
        break;
      }
      case 5: {  // mug
        const float top = mix(-0.8f, -0.6f, a), half = mix(0.5f, 0.6f, b);
        solid(body, 0.15f, [=](Vec p) {
          return std::abs(disc(p, {half - 0.2f, 0.1f}, 0.4f)) - 0.1f;
        });
        solid(body, 0.5f, [=](Vec p) {
          return box(p, {-0.2f, (top + 0.85f) / 2}, half, (0.85f - top) / 2, 0.15f);
        });
        paint(dark, 0.1f, [=](Vec p) {
          return ellipse(p, {-0.2f, top + 0.12f}, half - 0.08f, 0.13f);
        });
        break;
      }
      case 6: {  // star
        const float inner = mix(0.38f, 0.5f, a);
        const auto corner = [=](int i) {
          return rotate({0, i % 2 ? -inner : -1.f}, direction(static_cast<float>(i) * kPi / 5));
        };
        solid(body, 0.35f, [&](Vec p) {
          return polygon(p, {corner(0), corner(1), corner(2), corner(3), corner(4), corner(5),
                             corner(6), corner(7), corner(8), corner(9)});
        });
        break;
      }
      case 7:  // boat
        solid(second, 0.2f, [=](Vec p) {
          return polygon(p, {{0.1f, -1}, {0.1f, 0.35f}, {mix(0.7f, 0.95f, a), 0.35f}});
        });
        solid(second, 0.2f, [=](Vec p) {
          return polygon(p, {{-0.1f, -0.8f}, {-0.1f, 0.35f}, {mix(-0.6f, -0.8f, b), 0.35f}});
        });
        paint(dark, 0.1f, [=](Vec p) { return line(p, {0, -0.95f}, {0, 0.5f}, 0.06f); });
        solid(body, 0.2f, [=](Vec p) {
          return polygon(p, {{-0.95f, 0.45f}, {0.95f, 0.45f}, {0.6f, 0.9f}, {-0.65f, 0.9f}});
        });
        break;
      case 8: {  // mushroom
        const float width = mix(0.75f, 0.95f, a), stem = mix(0.2f, 0.3f, b);
        solid(second, 0.25f, [=](Vec p) { return box(p, {0, 0.4f}, stem, 0.55f, 0.15f); });
        solid(body, 0.5f, [=](Vec p) {
          return std::max(ellipse(p, {0, 0.05f}, width, 0.9f), p.y - 0.1f);
        });
        for (Vec spot : {Vec{-0.4f, -0.2f}, Vec{0.05f, -0.5f}, Vec{0.42f, -0.15f}}) {
          paint(dark, 0.1f, [=](Vec p) { return disc(p, spot, 0.13f); });
        }
        break;
      }
      case 9: {  // butterfly
        const float spread = mix(0.45f, 0.6f, a), size = mix(0.36f, 0.44f, b);
        solid(body, 0.3f, [=](Vec p) {
          const Vec q = {std::abs(p.x), p.y};
          return std::min(
              ellipse(rotate(q - Vec{spread, -0.35f}, direction(0.6f)), {0, 0}, size + 0.1f,
                      size - 0.03f),
              ellipse(rotate(q - Vec{0.42f, 0.42f}, direction(-0.8f)), {0, 0}, 0.4f, 0.28f));
        });
        paint(second, 0.1f, [=](Vec p) {
          return disc({std::abs(p.x), p.y}, {spread + 0.05f, -0.38f}, 0.15f);
        });
        paint(dark, 0.1f, [=](Vec p) { return line(p, {0, -0.5f}, {0, 0.6f}, 0.1f); });
        break;
      }
    }
  }

  /// Uneven light, colour cast, slight blur and sensor noise.
  void expose(std::uint8_t* out_hwc) {
    const Vec side = direction(any_angle());
    const float uneven = between(0, 0.25f), blur = between(0, 0.12f), grain = between(0.01f, 0.03f),
                gain = between(0.85f, 1.2f);
    const Color cast = {gain * between(0.94f, 1.06f), gain, gain * between(0.94f, 1.06f)};
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const auto at = [&](int dx, int dy) -> const Color& {
          return pixels_[static_cast<std::size_t>(std::clamp(y + dy, 0, kSide - 1) * kSide +
                                                  std::clamp(x + dx, 0, kSide - 1))];
        };
        const Vec p = {(static_cast<float>(x) - 15.5f) / 16, (static_cast<float>(y) - 15.5f) / 16};
        const float lamp = 1 + uneven * dot(p, side);
        for (std::size_t c = 0; c < 3; ++c) {
          const float around = at(-1, 0)[c] + at(1, 0)[c] + at(0, -1)[c] + at(0, 1)[c];
          const float value = mix(at(0, 0)[c], around / 4, 4 * blur) * lamp * cast[c] +
                              grain * static_cast<float>(random_.normal());
          *out_hwc++ = static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.f, 1.f)));
        }
      }
    }
  }

  Random random_;
  std::array<Color, kSide * kSide> pixels_{};
  Color ground_{};
  Pose pose_{};
  Vec light_{0, -1}, turn_{1, 0};
  float stretch_ = 1, mirror_ = 1;
};

Dataset make_set(std::uint64_t seed, std::uint64_t part, std::size_t size) {
  Dataset set{"synthetic", kClassNames, image::Batch(kSide, kSide, size), {}};
  for (std::size_t i = 0; i < size; ++i) {
    set.labels.push_back(static_cast<std::int32_t>(i % kClassNames.size()));
    Picture(Random({seed, part, i})).draw(set.labels.back(), set.pictures.picture(i).data());
  }
  return set;
}

}  // namespace

TrainTest make_synthetic(const SyntheticOptions& options) {
  constexpr std::size_t max_size = 1'000'000;
  const auto require = [max_size](const char* what, std::size_t size, std::size_t min) {
    if (size >= min && size <= max_size) return;
    fail(ErrorCode::InvalidArgument, "synthetic {} size {}; allowed is {} to {}", what, size, min,
         max_size);
  };
  require("train", options.train_size, kClassNames.size());
  require("test", options.test_size, 1);
  TrainTest data{make_set(options.seed, 0, options.train_size),
                 make_set(options.seed, 1, options.test_size)};
  check(data);
  return data;
}

}  // namespace veilnet::data
