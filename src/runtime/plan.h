// A network made ready for batches of one size: what is computed how, and where everything lies.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/convolve.h"
#include "runtime/lower.h"
#include "runtime/precision.h"

namespace veilnet::runtime {

/// A lowered model and what its plans share.
struct Program {
  explicit Program(model::Model m, Type type = Type::Float32, const Ranges& ranges = {})
      : model(std::move(m)),
        nodes(lower(model)),
        values(narrow(nodes, model.graph, type, ranges)) {}

  model::Model model;
  std::vector<Node> nodes;
  std::vector<Value> values;
  PackedWeights packed;
};

/// Picks one of the ways to compute a convolution; may try them.
using Chooser = std::function<Way(const ConvolutionJob&, const std::vector<Way>&)>;

/// How long one step of a plan took.
struct StepTime {
  std::string name;  ///< "conv3.conv.0 3x3 256x8x8 to 256x8x8, winograd4"
  double seconds = 0;
  double multiplications = 0;  ///< of the plain computation; 0 where there are next to none
};

/// Owns its memory and is used by one thread at a time.
class Plan {
 public:
  /// For `count` pictures with these sides inside the network. `program` must outlive the plan.
  Plan(Program& program, int64_t count, int64_t height, int64_t width, int threads,
       const Chooser& choose);

  float* input() { return input_; }                ///< [count, height, width, 3]
  const float* output() const { return output_; }  ///< [count, output_shape()]
  const model::Shape& output_shape() const { return shape_; }
  int64_t count() const { return count_; }
  /// The memory that it holds, weights apart, which plans share.
  size_t bytes() const { return (arena_.size() + scratch_->size()) * sizeof(float); }

  /// Computes the output from the input. Takes no memory.
  void run();
  /// As run, with the time of each step added to `times`, which is empty or from this plan.
  void run(std::vector<StepTime>& times);
  /// As run, raising `ranges` to the largest values of every node's output. For a
  /// float32 program.
  void run(const Program& program, Ranges& ranges);

 private:
  struct Named {
    std::string name;
    double multiplications;
    std::unique_ptr<Step> step;
  };

  void place(const Program& program, const std::vector<model::Shape>& shapes);
  std::unique_ptr<Step> convert(const Program& program, const Node& node, int64_t values) const;
  std::unique_ptr<Step> make_narrow_step(Program& program, const Node& node,
                                         const std::vector<model::Shape>& shapes, Named& named);
  std::unique_ptr<Step> make_step(Program& program, const Node& node,
                                  const std::vector<model::Shape>& shapes, const Chooser& choose,
                                  Named& named);

  int64_t count_;
  int threads_;
  model::Shape shape_;
  std::vector<model::Shape> shapes_;  // by layer
  std::vector<float*> values_;        // where each value lies, of whatever type
  Buffer arena_;
  std::shared_ptr<Scratch> scratch_;
  std::vector<Named> steps_;
  float* input_ = nullptr;
  const float* output_ = nullptr;
};

}  // namespace veilnet::runtime
