// The bodies of NarrowKernels, compiled once for each instruction set: narrow.cpp defines Dot and
// kRows and includes this inside a namespace. No function of the standard library may be used here,
// as in kernels.inl.

template <int R, int N>
void tile(int64_t blocks, const uint8_t* a, int64_t a_stride, const uint8_t* b, float* c) {
  Dot::Sum sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) sum[r][n] = Dot::zero();
  for (int64_t i = 0; i < blocks; ++i, a += a_stride) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j, b += 64 * N) {
      Dot::Weights w[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) w[n] = Dot::load(b + 64 * n);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        int32_t x;
        __builtin_memcpy(&x, a + r * 16 + j * 4, 4);
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) sum[r][n] = Dot::step(sum[r][n], x, w[n]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) Dot::store(c + r * 32 + n * 16, sum[r][n]);
}

template <int N, int R>
struct Rows {
  static void run(int64_t m, int64_t blocks, const uint8_t* a, int64_t a_stride, const uint8_t* b,
                  float* c) {
    if (m == R) return tile<R, N>(blocks, a, a_stride, b, c);
    Rows<N, R - 1>::run(m, blocks, a, a_stride, b, c);
  }
};
template <int N>
struct Rows<N, 0> {
  static void run(int64_t, int64_t, const uint8_t*, int64_t, const uint8_t*, float*) {}
};

void gemm(int64_t m, int64_t blocks, const void* a, int64_t a_stride, const void* b,
          int64_t columns, float* c) {
  const auto* rows_of_a = static_cast<const uint8_t*>(a);
  const auto* weights = static_cast<const uint8_t*>(b);
  // Parts of nearly equal size: a short last one would compute with few registers.
  for (int64_t parts = (m + kRows - 1) / kRows; parts > 0; --parts) {
    const int64_t rows = (m + parts - 1) / parts;
    if (columns == 32) {
      Rows<2, kRows>::run(rows, blocks, rows_of_a, a_stride, weights, c);
    } else {
      Rows<1, kRows>::run(rows, blocks, rows_of_a, a_stride, weights, c);
    }
    m -= rows;
    rows_of_a += rows * 16;
    c += rows * 32;
  }
}

inline __attribute__((always_inline)) float bent(float v, float slope) {
  const float other = slope * v;
  return v > other ? v : other;
}

void finish(int64_t m, int64_t columns, const float* sums, const float* scale, const float* bias,
            float residual, float slope, void* const* out) {
  for (int64_t i = 0; i < m; ++i, sums += 32) {
    auto* to = static_cast<Element*>(out[i]);
    for (int64_t n = 0; n < columns; ++n) {
      float v = sums[n] * scale[n] + bias[n];
      if (residual != 0) v += residual * to_float(to[n]);
      to[n] = from_float(bent(v, slope));
    }
  }
}

void finish_float(int64_t m, int64_t columns, const float* sums, const float* scale,
                  const float* bias, float residual, float slope, void* const* out) {
  for (int64_t i = 0; i < m; ++i, sums += 32) {
    auto* to = static_cast<Float*>(out[i]);
    for (int64_t n = 0; n < columns; ++n) {
      float v = sums[n] * scale[n] + bias[n];
      if (residual != 0) v += residual * to[n];
      to[n] = bent(v, slope);
    }
  }
}

void narrow(int64_t n, const float* from, float scale, void* to) {
  auto* elements = static_cast<Element*>(to);
  const float inverse = 1 / scale;
  for (int64_t i = 0; i < n; ++i) elements[i] = from_float(from[i] * inverse);
}

void widen(int64_t n, const void* from, float scale, float* to) {
  const auto* elements = static_cast<const Element*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = scale * to_float(elements[i]);
}

void max_pool(int64_t width, int64_t channels, const void* row0, const void* row1, void* out) {
  // bfloat16 that is not negative is ordered as its bits are.
  const auto *a = static_cast<const Ordered*>(row0), *b = static_cast<const Ordered*>(row1);
  auto* to = static_cast<Ordered*>(out);
  for (int64_t x = 0; x < width; ++x, a += 2 * channels, b += 2 * channels, to += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const auto high = a[c] > a[channels + c] ? a[c] : a[channels + c];
      const auto low = b[c] > b[channels + c] ? b[c] : b[channels + c];
      to[c] = high > low ? high : low;
    }
  }
}

constexpr NarrowKernels kTable = {kName, kRows,  gemm,  finish,
                                  finish_float, narrow, widen, max_pool};
