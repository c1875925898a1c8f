#include "runtime/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <span>

#include "runtime/kernels.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

using model::Op;
using model::Shape;

class Loop : public Step {
 public:
  explicit Loop(std::function<void()> body) : body_(std::move(body)) {}
  void run() override { body_(); }

 private:
  std::function<void()> body_;
};

// Row y of picture n in a value of this shape.
template <class T>
T* row_of(T* value, const Shape& shape, int64_t row) {
  return value + row * shape.width * shape.channels;
}

// The steps of layers without tensors. x and out are [count, shape].
std::function<void()> plain_loop(const model::Layer& layer, int64_t count, int threads,
                                 const float* x, const Shape& in, float* out, const Shape& to) {
  const auto& k = kernels();
  const int64_t rows = count * to.height, block = layer.kernel;
  // Calls f(picture, row, pointer to the row) for every row of the output.
  const auto by_row = [=](auto f) {
    return [=] {
      parallel_for(threads, rows, [&](int64_t row, int) {
        f(row / to.height, row % to.height, row_of(out, to, row));
      });
    };
  };
  const auto source = [=](int64_t n, int64_t y) { return row_of(x, in, n * in.height + y); };
  switch (layer.op) {
    case Op::MaxPool:
    case Op::AveragePool: {
      const auto pool = layer.op == Op::MaxPool ? k.max_pool : k.average_pool;
      return by_row([=](int64_t n, int64_t y, float* row) {
        pool(to.width, to.channels, source(n, 2 * y), source(n, 2 * y + 1), row);
      });
    }
    case Op::Upsample:
      return by_row([=](int64_t n, int64_t y, float* row) {
        for (int64_t j = 0; j < to.width; ++j)
          std::copy_n(source(n, y / 2) + j / 2 * in.channels, in.channels, row + j * in.channels);
      });
    case Op::Shortcut: {
      const int64_t before = (to.channels - in.channels) / 2;
      return by_row([=](int64_t n, int64_t y, float* row) {
        std::fill_n(row, to.width * to.channels, 0.0f);
        for (int64_t j = 0; j < to.width; ++j)
          std::copy_n(source(n, y * layer.stride) + j * layer.stride * in.channels, in.channels,
                      row + j * to.channels + before);
      });
    }
    case Op::GlobalAverage:
      return by_row([=](int64_t n, int64_t, float* row) {
        const int64_t pixels = in.height * in.width;
        std::fill_n(row, in.channels, 0.0f);
        for (int64_t p = 0; p < pixels; ++p)
          k.add(in.channels, row, source(n, 0) + p * in.channels, kNoActivation, row);
        for (int64_t c = 0; c < in.channels; ++c) row[c] /= static_cast<float>(pixels);
      });
    case Op::PixelShuffle:
      return by_row([=](int64_t n, int64_t y, float* row) {
        for (int64_t j = 0; j < to.width; ++j) {
          const float* from = source(n, y / block) + j / block * in.channels;
          for (int64_t c = 0; c < to.channels; ++c)
            *row++ = from[(c * block + y % block) * block + j % block];
        }
      });
    case Op::PixelUnshuffle:
      return by_row([=](int64_t n, int64_t y, float* row) {
        for (int64_t j = 0; j < to.width; ++j)
          for (int64_t c = 0; c < to.channels; ++c)
            *row++ = source(
                n,
                y * block +
                    c / block % block)[(j * block + c % block) * in.channels + c / (block * block)];
      });
    case Op::Sign:
      return by_row([=](int64_t n, int64_t y, float* row) {
        const float* from = source(n, y);
        for (int64_t i = 0; i < to.width * to.channels; ++i) row[i] = from[i] >= 0 ? 1.0f : -1.0f;
      });
    case Op::Largest:
      return by_row([=](int64_t n, int64_t y, float* row) {
        const float* from = source(n, y);
        std::fill_n(row, to.width * to.channels, 0.0f);
        for (int64_t i = 0; i < to.width * to.channels; i += block)
          row[std::max_element(from + i, from + i + block) - from] = 1;
      });
    case Op::BitPlanes:
      return by_row([=](int64_t n, int64_t y, float* row) {
        const float* from = source(n, y);
        for (int64_t j = 0; j < to.width; ++j) {
          for (int64_t c = 0; c < to.channels; ++c) {
            const auto level =
                static_cast<int>(std::nearbyint(from[j * in.channels + c % in.channels] * 255));
            *row++ = static_cast<float>((level >> (7 - c / in.channels) & 1) * 2 - 1);
          }
        }
      });
    default: return [] {};
  }
}

}  // namespace

Plan::Plan(Program& program, int64_t count, int64_t height, int64_t width, int threads,
           const Chooser& choose)
    : count_(count), threads_(threads), scratch_(std::make_shared<Scratch>()) {
  const ThreadCount use(threads);
  shapes_ = model::shapes(program.model.graph, height, width);
  std::vector<Shape> shapes;
  for (const auto& value : program.values) shapes.push_back(shapes_[value.layer]);
  place(program, shapes);
  for (const auto& node : program.nodes) {
    Named named{program.model.graph.layers[node.layer].name, 0, nullptr};
    named.step = make_step(program, node, shapes, choose, named);
    steps_.push_back(std::move(named));
  }
  scratch_->allocate();
  shape_ = shapes[program.nodes.back().output];
  input_ = values_[0];
  output_ = values_[program.nodes.back().output];
}

// Every value gets the lowest place that nothing alive at the same time occupies.
void Plan::place(const Program& program, const std::vector<Shape>& shapes) {
  const auto& nodes = program.nodes;
  struct Life {
    size_t first = 0, last = 0;
    size_t owner;  // the value whose memory it uses: its own, or the one it replaces
  };
  std::vector<Life> lives(shapes.size());
  for (size_t v = 0; v < lives.size(); ++v) lives[v].owner = v;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& node = nodes[i];
    for (const auto input : node.inputs) {
      auto& life = lives[lives[input].owner];
      life.last = std::max(life.last, i);
    }
    auto owner = node.output;
    if (node.convolution && node.convolution->residual) owner = lives[node.inputs.back()].owner;
    lives[node.output].owner = owner;
    if (owner == node.output) lives[owner].first = i;
    lives[owner].last = std::max(lives[owner].last, i);
  }
  lives[lives[nodes.back().output].owner].last = nodes.size();

  struct Block {
    size_t from, to, until;
  };
  std::vector<Block> blocks;
  std::vector<size_t> offsets(shapes.size());
  size_t total = 0;
  const auto allocate = [&](size_t value) {
    const auto& life = lives[value];
    std::erase_if(blocks, [&](const Block& b) { return b.until < life.first; });
    std::ranges::sort(blocks, {}, &Block::from);
    const auto bytes = count_ * shapes[value].size() * type_bytes(program.values[value].type);
    const auto size = (static_cast<size_t>(bytes) + 63) / 64 * 16;
    size_t at = 0;
    for (const auto& block : blocks) {
      if (at + size <= block.from) break;
      at = std::max(at, block.to);
    }
    blocks.push_back({at, at + size, life.last});
    offsets[value] = at;
    total = std::max(total, at + size);
  };
  allocate(0);
  for (const auto& node : nodes) {
    if (lives[node.output].owner == node.output) allocate(node.output);
  }
  arena_ = Buffer(total);
  values_.resize(shapes.size());
  for (size_t v = 0; v < shapes.size(); ++v) values_[v] = arena_.data() + offsets[lives[v].owner];
}

std::unique_ptr<Step> Plan::make_step(Program& program, const Node& node,
                                      const std::vector<Shape>& shapes, const Chooser& choose,
                                      Named& named) {
  const auto& k = kernels();
  const auto& layer = program.model.graph.layers[node.layer];
  const auto in = shapes[node.inputs[0]], to = shapes[node.output];
  const float* x = values_[node.inputs[0]];
  float* out = values_[node.output];
  const int64_t count = count_, pixels = count * to.height * to.width;
  const int threads = threads_;
  const float slope = node.slope;
  const auto describe = [&](std::string_view what) {
    if (named.name.empty()) {
      named.name = what;
    } else {
      named.name += fmt::format(" {}", what);
    }
    named.name += fmt::format(" {}x{}x{} to {}x{}x{}", in.channels, in.height, in.width,
                              to.channels, to.height, to.width);
  };
  // Calls f(first pixel, number of pixels) for parts of all pixels.
  const auto by_part = [=](auto f) {
    return std::make_unique<Loop>([=] {
      parallel_for(threads, threads, [&](int64_t part, int) {
        const int64_t first = pixels * part / threads, last = pixels * (part + 1) / threads;
        if (last > first) f(first, last - first);
      });
    });
  };
  if (program.values[node.inputs[0]].type != Type::Float32 && node.kind != Node::Kind::Convert) {
    describe(node.kind == Node::Kind::Convolution ? "" : "max pool");
    return make_narrow_step(program, node, shapes, named);
  }
  switch (node.kind) {
    case Node::Kind::Convert: describe("convert"); return convert(program, node, count * to.size());
    case Node::Kind::Convolution: {
      const auto& c = *node.convolution;
      ConvolutionJob job{node.convolution, count, in.height, in.width, to.height,
                         to.width,         {},    out,       threads};
      const size_t sources = node.inputs.size() - (c.residual ? 1 : 0);
      for (size_t i = 0; i < sources; ++i)
        job.sources.push_back({values_[node.inputs[i]], shapes[node.inputs[i]].channels});
      const auto way = choose(job, ways_for(job));
      describe(fmt::format("{}x{}{}{}", c.kernel, c.kernel, c.upsampled ? " enlarged" : "",
                           c.residual ? " residual" : ""));
      named.name += fmt::format(", {}", way_name(way));
      named.multiplications = multiplications(job);
      return make_convolution(job, way, scratch_, program.packed);
    }
    case Node::Kind::ScaleShift: {
      describe("scale");
      struct Part {
        const float* x;
        int64_t channels;
      };
      std::vector<Part> parts;
      for (const auto input : node.inputs)
        parts.push_back({values_[input], shapes[input].channels});
      return by_part([=, &k, &node](int64_t first, int64_t some) {
        int64_t at = 0;
        for (const auto& part : parts) {
          k.scale_shift(some, part.channels, part.x + first * part.channels, part.channels,
                        node.a.data() + at, node.b.data() + at, slope,
                        out + first * to.channels + at, to.channels);
          at += part.channels;
        }
      });
    }
    case Node::Kind::Copy: {
      describe("concat");
      std::vector<std::pair<const float*, int64_t>> parts;
      for (const auto input : node.inputs)
        parts.emplace_back(values_[input], shapes[input].channels);
      return by_part([=](int64_t first, int64_t some) {
        for (int64_t p = first; p < first + some; ++p) {
          float* pixel = out + p * to.channels;
          for (const auto& [from, channels] : parts)
            pixel = std::copy_n(from + p * channels, channels, pixel);
        }
      });
    }
    case Node::Kind::Add: {
      describe("add");
      const float* y = values_[node.inputs[1]];
      return by_part([=, &k](int64_t first, int64_t some) {
        k.add(some * to.channels, x + first * to.channels, y + first * to.channels, slope,
              out + first * to.channels);
      });
    }
    case Node::Kind::PositionLinear: {
      describe("by position");
      const int64_t places = to.height * to.width;
      const int64_t columns = (to.channels + k.lanes - 1) / k.lanes * k.lanes;
      named.multiplications = static_cast<double>(pixels * in.channels * to.channels);
      Buffer buffer(static_cast<size_t>(places * in.channels * columns));
      std::vector<float> padded(static_cast<size_t>(in.channels * columns));
      for (int64_t p = 0; p < places; ++p) {
        for (int64_t i = 0; i < in.channels; ++i)
          std::copy_n(node.a.data() + (p * in.channels + i) * to.channels, to.channels,
                      padded.data() + i * columns);
        k.pack(columns, in.channels, padded.data(), columns,
               buffer.data() + p * in.channels * columns);
      }
      const auto weights = std::make_shared<const Buffer>(std::move(buffer));
      scratch_->reserve(static_cast<size_t>(threads * count * columns));
      return std::make_unique<Loop>([=, this, &k, &node] {
        parallel_for(threads, places, [&](int64_t p, int thread) {
          float* sums = scratch_->data() + thread * count * columns;
          k.gemm(count, columns, in.channels, x + p * in.channels, places * in.channels,
                 weights->data() + p * in.channels * columns, sums, columns);
          k.finish(count, to.channels, sums, columns, node.b.data() + p * to.channels, false, slope,
                   out + p * to.channels, places * to.channels);
        });
      });
    }
    case Node::Kind::Mix: {
      describe("mix");
      const int64_t places = to.height * to.width, size = places * to.channels;
      named.multiplications = static_cast<double>(pixels * places * to.channels);
      scratch_->reserve(static_cast<size_t>(threads * size));
      return std::make_unique<Loop>([=, this, &k, &node] {
        parallel_for(threads, count, [&](int64_t n, int thread) {
          float* packed = scratch_->data() + thread * size;
          k.pack(to.channels, places, x + n * size, to.channels, packed);
          k.gemm(places, to.channels, places, node.a.data(), places, packed, out + n * size,
                 to.channels);
        });
      });
    }
    case Node::Kind::Plain: break;
  }
  describe(layer.op == Op::MaxPool         ? "max pool"
           : layer.op == Op::AveragePool   ? "average pool"
           : layer.op == Op::GlobalAverage ? "average"
                                           : "move");
  return std::make_unique<Loop>(plain_loop(layer, count, threads, x, in, out, to));
}

// A node whose first input is narrow: a convolution or a pooling layer.
std::unique_ptr<Step> Plan::make_narrow_step(Program& program, const Node& node,
                                             const std::vector<Shape>& shapes, Named& named) {
  const auto& values = program.values;
  const auto type = values[node.inputs[0]].type;
  const auto in = shapes[node.inputs[0]], to = shapes[node.output];
  if (node.kind != Node::Kind::Convolution) {
    const auto pool = narrow_kernels(type).max_pool;
    const auto* x = reinterpret_cast<const uint8_t*>(values_[node.inputs[0]]);
    auto* out = reinterpret_cast<uint8_t*>(values_[node.output]);
    const int64_t row = in.width * in.channels * type_bytes(type);
    const int64_t out_row = to.width * to.channels * type_bytes(type);
    return std::make_unique<Loop>([=, rows = count_ * to.height, threads = threads_] {
      parallel_for(threads, rows, [&](int64_t i, int) {
        const auto* from = x + (i / to.height * in.height + i % to.height * 2) * row;
        pool(to.width, to.channels, from, from + row, out + i * out_row);
      });
    });
  }
  const auto& c = *node.convolution;
  NarrowJob job;
  job.convolution = node.convolution;
  job.type = type;
  job.count = count_;
  job.height = in.height;
  job.width = in.width;
  job.out_height = to.height;
  job.out_width = to.width;
  job.out = values_[node.output];
  job.out_type = values[node.output].type;
  job.out_scale = values[node.output].scale;
  job.threads = threads_;
  auto sources = node.inputs;
  if (c.residual) {
    job.residual_scale = values[sources.back()].scale;
    sources.pop_back();
  }
  for (const auto source : sources)
    job.sources.push_back({values_[source], shapes[source].channels, values[source].scale});
  named.name +=
      fmt::format(" {}x{}{}{}, {}", c.kernel, c.kernel, c.upsampled ? " enlarged" : "",
                  c.residual ? " residual" : "", type == Type::Int8 ? "int8" : "bfloat16");
  named.multiplications = static_cast<double>(count_ * to.size() * c.in * c.kernel * c.kernel);
  return make_narrow_convolution(job, scratch_, program.packed);
}

std::unique_ptr<Step> Plan::convert(const Program& program, const Node& node,
                                    int64_t values) const {
  const auto &from = program.values[node.inputs[0]], &to = program.values[node.output];
  const auto* x = values_[node.inputs[0]];
  auto* out = values_[node.output];
  const bool widens = to.type == Type::Float32;
  const auto& k = narrow_kernels(widens ? from.type : to.type);
  const int64_t bytes = type_bytes(widens ? from.type : to.type);
  return std::make_unique<Loop>([=, &k, scale = widens ? from.scale : to.scale,
                                 threads = threads_] {
    parallel_for(threads, threads, [&](int64_t part, int) {
      const int64_t first = values * part / threads, count = values * (part + 1) / threads - first;
      if (widens) {
        k.widen(count, reinterpret_cast<const uint8_t*>(x) + first * bytes, scale, out + first);
      } else {
        k.narrow(count, x + first, scale, reinterpret_cast<uint8_t*>(out) + first * bytes);
      }
    });
  });
}

void Plan::run() {
  const ThreadCount use(threads_);
  for (auto& named : steps_) named.step->run();
}

void Plan::run(std::vector<StepTime>& times) {
  const ThreadCount use(threads_);
  times.resize(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    steps_[i].step->run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    times[i].name = steps_[i].name;
    times[i].multiplications = steps_[i].multiplications;
    times[i].seconds += took.count();
  }
}

void Plan::run(const Program& program, Ranges& ranges) {
  const ThreadCount use(threads_);
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].step->run();
    const auto& node = program.nodes[i];
    const std::span values(values_[node.output],
                           static_cast<size_t>(count_ * shapes_[node.output].size()));
    auto& range = ranges[node.output];
    for (const float value : values)
      range = std::isfinite(value) ? std::max(range, value) : INFINITY;  // and stays there
  }
}

}  // namespace veilnet::runtime
