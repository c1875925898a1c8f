// Work divided among threads: OpenMP's, which oneDNN uses as well, so there is one pool.
#pragma once

#include <cstdint>
#include <omp.h>

namespace veilnet::runtime {

/// Calls f(item, thread) for every item below `items`; thread is below `threads`. f must not throw.
template <class F>
void parallel_for(int threads, int64_t items, F&& f) {
  if (threads <= 1 || items <= 1) {
    for (int64_t i = 0; i < items; ++i) f(i, 0);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < items; ++i) f(i, omp_get_thread_num());
}

/// The calling thread's share of cores, for oneDNN too, while it lives.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

}  // namespace veilnet::runtime
