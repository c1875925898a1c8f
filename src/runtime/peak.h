// What the processor's cores could do, beside what a network does.
#pragma once

namespace veilnet::runtime {

/// The most float32 operations per second that so many threads reach together, in GFLOP/s: fused
/// multiply-adds (two operations each) on registers alone, in the widest vectors that
/// instruction_set() allows. Takes about a third of a second. A Winograd convolution, whose share
/// is counted in the multiplications of the plain one, can pass it.
double peak_gflop_per_s(int threads);

}  // namespace veilnet::runtime
