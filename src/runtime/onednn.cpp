#include "runtime/onednn.h"

#include <cstring>
#include <fmt/ranges.h>
#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>

#include "core/error.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

using dnnl::memory;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  thread_local dnnl::stream stream(engine());
  return stream;
}

// -- What differs between oneDNN 2 and 3 -------------------------------------------------------

void append_slope(dnnl::post_ops& ops, float slope) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_relu, slope, 0.0f);
#else
  ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, slope, 0.0f);
#endif
}

dnnl::convolution_forward::primitive_desc convolution(
    const memory::desc& in, const memory::desc& weights, const memory::desc& bias,
    const memory::desc& out, const memory::dims& stride, const memory::dims& padding,
    const dnnl::primitive_attr& attr) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kind, algorithm, in, weights, bias, out, stride, padding, padding, attr};
#else
  return {{kind, algorithm, in, weights, bias, out, stride, padding, padding}, attr, engine()};
#endif
}

// A name for the order in which a descriptor lays out its values.
std::string layout(const memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  return fmt::format("{} {} {} {} {}", desc.get_size(), desc.get_strides(), desc.get_padded_dims(),
                     desc.get_inner_blks(), desc.get_inner_idxs());
#else
  const auto& blocks = desc.data.format_desc.blocking;
  const auto dims = desc.data.ndims, inner = blocks.inner_nblks;
  return fmt::format("{} {} {} {} {}", desc.get_size(),
                     fmt::join(blocks.strides, blocks.strides + dims, ","),
                     fmt::join(desc.data.padded_dims, desc.data.padded_dims + dims, ","),
                     fmt::join(blocks.inner_blks, blocks.inner_blks + inner, ","),
                     fmt::join(blocks.inner_idxs, blocks.inner_idxs + inner, ","));
#endif
}

// ----------------------------------------------------------------------------------------------

class OneDnn : public Step {
 public:
  OneDnn(const ConvolutionJob& job, std::shared_ptr<Scratch> scratch, PackedWeights& packed)
      : job_(job), scratch_(std::move(scratch)) {
    const auto& c = *job.convolution;
    scale_ = c.upsampled ? 2 : 1;
    staged_ = c.upsampled || job.sources.size() > 1;
    const auto f32 = memory::data_type::f32;
    const auto nhwc = memory::format_tag::nhwc;
    const memory::desc in({job.count, c.in, scale_ * job.height, scale_ * job.width}, f32, nhwc);
    const memory::desc out({job.count, c.out, job.out_height, job.out_width}, f32, nhwc);
    const memory::dims shape = {c.out, c.in, c.kernel, c.kernel};
    const memory::desc plain(shape, f32, memory::format_tag::oihw);
    const memory::desc bias({c.out}, f32, memory::format_tag::x);
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::post_ops ops;
    if (c.residual) ops.append_sum(1.0f);
    if (c.slope != kNoActivation) append_slope(ops, c.slope);
    attr.set_post_ops(ops);
    try {
      const auto desc = convolution(in, {shape, f32, memory::format_tag::any}, bias, out,
                                    {c.stride, c.stride}, {c.padding, c.padding}, attr);
      primitive_ = dnnl::convolution_forward(desc);
      const auto ready = desc.weights_desc();
      weights_ = packed.get(job.convolution.get(), "onednn " + layout(ready), [&] {
        Buffer buffer(ready.get_size() / sizeof(float) + 1);
        memory from(plain, engine(), const_cast<float*>(c.weights.data()));
        memory to(ready, engine(), buffer.data());
        dnnl::reorder(from, to).execute(stream(), from, to);
        stream().wait();
        return buffer;
      });
      in_ = memory(in, engine(), const_cast<float*>(job.sources[0].data));
      scratchpad_ = memory(desc.scratchpad_desc(), engine(), nullptr);
      arguments_ = {{DNNL_ARG_SRC, in_},
                    {DNNL_ARG_WEIGHTS, {ready, engine(), const_cast<float*>(weights_->data())}},
                    {DNNL_ARG_BIAS, {bias, engine(), const_cast<float*>(c.bias.data())}},
                    {DNNL_ARG_DST, {out, engine(), job.out}},
                    {DNNL_ARG_SCRATCHPAD, scratchpad_}};
      if (staged_) staging_ = (in.get_size() / sizeof(float) + 15) / 16 * 16;
      scratch_->reserve(staging_ + desc.scratchpad_desc().get_size() / sizeof(float) + 1);
    } catch (const dnnl::error& e) {
      fail(ErrorCode::Unsupported, "oneDNN cannot compute a {}x{} convolution of {} to {}: {}",
           c.kernel, c.kernel, c.in, c.out, e.what());
    }
  }

  void run() override {
    if (staged_) {
      stage();
      in_.set_data_handle(scratch_->data());
    }
    scratchpad_.set_data_handle(scratch_->data() + staging_);
    primitive_.execute(stream(), arguments_);
    stream().wait();
  }

 private:
  // Writes the input as it is: parts behind each other, pixels repeated.
  void stage() {
    const int64_t height = scale_ * job_.height, width = scale_ * job_.width;
    parallel_for(job_.threads, job_.count * height, [&](int64_t row, int) {
      float* to = scratch_->data() + row * width * job_.convolution->in;
      const int64_t from = (row / height * job_.height + row % height / scale_) * job_.width;
      for (int64_t x = 0; x < width; ++x) {
        for (const auto& source : job_.sources) {
          std::memcpy(to, source.data + (from + x / scale_) * source.channels,
                      static_cast<size_t>(source.channels) * sizeof(float));
          to += source.channels;
        }
      }
    });
  }

  ConvolutionJob job_;
  std::shared_ptr<Scratch> scratch_;
  std::shared_ptr<const Buffer> weights_;
  int64_t scale_ = 1;
  bool staged_ = false;
  size_t staging_ = 0;
  dnnl::convolution_forward primitive_;
  memory in_, scratchpad_;
  std::unordered_map<int, memory> arguments_;
};

}  // namespace

std::unique_ptr<Step> make_onednn_convolution(const ConvolutionJob& job,
                                              const std::shared_ptr<Scratch>& scratch,
                                              PackedWeights& weights) {
  return std::make_unique<OneDnn>(job, scratch, weights);
}

std::string onednn_version() {
  const auto* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

}  // namespace veilnet::runtime
