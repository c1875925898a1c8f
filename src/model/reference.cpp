#include "model/reference.h"

#include <algorithm>
#include <cmath>

namespace veilnet::model {
namespace {

// One picture's activation, [height][width][channels].
struct Map {
  Shape shape;
  std::vector<float> values;

  explicit Map(const Shape& s) : shape(s), values(static_cast<size_t>(s.size())) {}
  float& at(int64_t y, int64_t x, int64_t c) {
    return values[static_cast<size_t>((y * shape.width + x) * shape.channels + c)];
  }
  float at(int64_t y, int64_t x, int64_t c) const { return const_cast<Map*>(this)->at(y, x, c); }
};

// Sets every value of `out` to f(y, x, c).
template <class F>
void fill(Map& out, F&& f) {
  for (int64_t y = 0; y < out.shape.height; ++y)
    for (int64_t x = 0; x < out.shape.width; ++x)
      for (int64_t c = 0; c < out.shape.channels; ++c)
        out.at(y, x, c) = static_cast<float>(f(y, x, c));
}

class Evaluator {
 public:
  Evaluator(const Layer& layer, const Weights& weights) : layer_(layer) {
    for (const auto& spec : layer.tensors) tensors_.push_back(weights.at(spec.name).values.data());
  }

  void run(const Map& x, const Map* y, Map& out) const {
    const int64_t k = layer_.kernel, stride = layer_.stride;
    switch (layer_.op) {
      case Op::Input: break;
      case Op::Conv: return conv(x, out);
      case Op::BatchNorm:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) { return normed(x.at(i, j, c), c); });
      case Op::PositionNorm:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          const int64_t pixel = i * x.shape.width + j;
          return normed(x.at(i, j, c), pixel * x.shape.channels + c);
        });
      case Op::Relu:
        return fill(out,
                    [&](int64_t i, int64_t j, int64_t c) { return std::max(x.at(i, j, c), 0.0f); });
      case Op::Sign:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          return x.at(i, j, c) >= 0 ? 1.0f : -1.0f;
        });
      case Op::Largest:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          int64_t best = c / k * k;
          for (int64_t other = best; other < c / k * k + k; ++other)
            if (x.at(i, j, other) > x.at(i, j, best)) best = other;
          return best == c ? 1.0f : 0.0f;
        });
      case Op::LeakyRelu:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          const double v = x.at(i, j, c);
          return v < 0 ? v * layer_.slope : v;
        });
      case Op::MaxPool:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          return std::max({x.at(2 * i, 2 * j, c), x.at(2 * i, 2 * j + 1, c),
                           x.at(2 * i + 1, 2 * j, c), x.at(2 * i + 1, 2 * j + 1, c)});
        });
      case Op::AveragePool:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          return (double{x.at(2 * i, 2 * j, c)} + x.at(2 * i, 2 * j + 1, c) +
                  x.at(2 * i + 1, 2 * j, c) + x.at(2 * i + 1, 2 * j + 1, c)) /
                 4;
        });
      case Op::Upsample:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) { return x.at(i / 2, j / 2, c); });
      case Op::Concat:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          return c < x.shape.channels ? x.at(i, j, c) : y->at(i, j, c - x.shape.channels);
        });
      case Op::Add:
        return fill(
            out, [&](int64_t i, int64_t j, int64_t c) { return x.at(i, j, c) + y->at(i, j, c); });
      case Op::Shortcut:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          const int64_t from = c - (out.shape.channels - x.shape.channels) / 2;
          return from >= 0 && from < x.shape.channels ? x.at(i * stride, j * stride, from) : 0.0f;
        });
      case Op::GlobalAverage:
        return fill(out, [&](int64_t, int64_t, int64_t c) {
          double sum = 0;
          for (int64_t i = 0; i < x.shape.height; ++i)
            for (int64_t j = 0; j < x.shape.width; ++j) sum += x.at(i, j, c);
          return sum / static_cast<double>(x.shape.height * x.shape.width);
        });
      case Op::Linear:
        return fill(out, [&](int64_t, int64_t, int64_t c) {
          double sum = tensors_[1][c];
          for (int64_t i = 0; i < x.shape.channels; ++i)
            sum += double{tensors_[0][c * x.shape.channels + i]} * x.at(0, 0, i);
          return sum;
        });
      case Op::PixelShuffle:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          return x.at(i / k, j / k, (c * k + i % k) * k + j % k);
        });
      case Op::PixelUnshuffle:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          return x.at(i * k + c / k % k, j * k + c % k, c / (k * k));
        });
      case Op::BitPlanes:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          const auto level = static_cast<int>(std::nearbyint(x.at(i, j, c % 3) * 255));
          return (level >> (7 - c / 3) & 1) * 2 - 1;
        });
      case Op::PositionLinear: return position_linear(x, out);
      case Op::Mix:
        return fill(out, [&](int64_t i, int64_t j, int64_t c) {
          const int64_t pixels = x.shape.height * x.shape.width, q = i * x.shape.width + j;
          double sum = 0;
          for (int64_t p = 0; p < pixels; ++p)
            sum += double{tensors_[0][q * pixels + p]} *
                   x.values[static_cast<size_t>(p * x.shape.channels + c)];
          return sum;
        });
    }
  }

 private:
  double normed(double x, int64_t i) const {
    constexpr double epsilon = 1e-5;
    return (x - tensors_[2][i]) / std::sqrt(tensors_[3][i] + epsilon) * tensors_[0][i] +
           tensors_[1][i];
  }

  void conv(const Map& x, Map& out) const {
    const int64_t k = layer_.kernel, in = x.shape.channels;
    std::vector<double> sums(static_cast<size_t>(out.shape.channels));
    for (int64_t i = 0; i < out.shape.height; ++i) {
      for (int64_t j = 0; j < out.shape.width; ++j) {
        for (int64_t o = 0; o < out.shape.channels; ++o) {
          double sum = tensors_.size() > 1 ? tensors_[1][o] : 0;
          for (int64_t a = 0; a < k; ++a) {
            const int64_t row = i * layer_.stride + a - layer_.padding;
            if (row < 0 || row >= x.shape.height) continue;
            for (int64_t b = 0; b < k; ++b) {
              const int64_t column = j * layer_.stride + b - layer_.padding;
              if (column < 0 || column >= x.shape.width) continue;
              for (int64_t c = 0; c < in; ++c)
                sum += double{tensors_[0][((o * in + c) * k + a) * k + b]} * x.at(row, column, c);
            }
          }
          out.at(i, j, o) = static_cast<float>(sum);
        }
      }
    }
  }

  void position_linear(const Map& x, Map& out) const {
    const int64_t in = x.shape.channels, to = out.shape.channels;
    for (int64_t p = 0; p < x.shape.height * x.shape.width; ++p) {
      const auto* w = tensors_[0] + p * in * to;
      const auto weight = [&](int64_t o, int64_t i) {
        return double{layer_.spectral ? w[o * in + i] : w[i * to + o]};
      };
      double sigma = 1;
      if (layer_.spectral) {
        sigma = 0;
        for (int64_t o = 0; o < to; ++o)
          for (int64_t i = 0; i < in; ++i)
            sigma += weight(o, i) * tensors_[1][p * to + o] * tensors_[2][p * in + i];
      }
      const bool bias = !layer_.spectral && tensors_.size() > 1;
      for (int64_t o = 0; o < to; ++o) {
        double sum = bias ? tensors_[1][p * to + o] * sigma : 0;
        for (int64_t i = 0; i < in; ++i)
          sum += weight(o, i) * x.values[static_cast<size_t>(p * in + i)];
        out.values[static_cast<size_t>(p * to + o)] = static_cast<float>(sum / sigma);
      }
    }
  }

  const Layer& layer_;
  std::vector<const float*> tensors_;
};

}  // namespace

Activations ref_forward(const Model& model, const Activations& input) {
  const auto& layers = model.graph.layers;
  const auto all = shapes(model.graph, input.height, input.width);
  const auto& last = all.back();
  Activations output{input.count, last.height, last.width, last.channels, {}};
  const auto size = static_cast<size_t>(all[0].size());
  for (size_t n = 0; n < static_cast<size_t>(input.count); ++n) {
    std::vector<Map> maps;
    for (size_t i = 0; i < layers.size(); ++i) {
      maps.emplace_back(all[i]);
      const auto& from = layers[i].inputs;
      if (from.empty()) {
        std::copy_n(input.values.data() + n * size, size, maps[i].values.data());
      } else {
        Evaluator(layers[i], model.weights)
            .run(maps[from[0]], from.size() > 1 ? &maps[from[1]] : nullptr, maps[i]);
      }
    }
    output.values.insert(output.values.end(), maps.back().values.begin(), maps.back().values.end());
  }
  return output;
}

}  // namespace veilnet::model
