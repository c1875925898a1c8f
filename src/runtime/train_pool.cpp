#include "runtime/train_pool.h"

#include "runtime/kernels.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

// f(row0, row1, out) for every row of the output: where it begins, and the two it comes from.
template <class F>
void over_rows(const PoolSize& size, F&& f) {
  const int64_t row = size.width * size.channels;
  parallel_for(size.threads, size.count * size.height / 2,
               [&](int64_t i, int) { f(2 * i * row, (2 * i + 1) * row, i * row / 2); });
}

}  // namespace

void max_pool(const PoolSize& size, const float* x, float* y) {
  over_rows(size, [&](int64_t row0, int64_t row1, int64_t out) {
    kernels().max_pool(size.width / 2, size.channels, x + row0, x + row1, y + out);
  });
}

void max_pool_gradient(const PoolSize& size, const float* x, const float* y,
                       const float* y_gradient, float* x_gradient) {
  over_rows(size, [&](int64_t row0, int64_t row1, int64_t out) {
    kernels().max_pool_gradient(size.width / 2, size.channels, x + row0, x + row1, y + out,
                                y_gradient + out, x_gradient + row0, x_gradient + row1);
  });
}

}  // namespace veilnet::runtime
