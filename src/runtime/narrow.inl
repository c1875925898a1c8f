// The bodies of NarrowKernels, compiled once for each instruction set: narrow_kernels.cpp defines
// Dot, the values' type and kRows and includes this inside a namespace. No function of the standard
// library may be used here, as in kernels.inl.

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

VEILNET_INLINE void finished(const float* sums, const float* scale, const float* bias, float slope,
                             float residual, const V& before, V& v) {
  v = *reinterpret_cast<const V*>(sums) * *reinterpret_cast<const V*>(scale) +
      *reinterpret_cast<const V*>(bias);
  if (residual != 0) v += residual * before;
  const V other = slope * v;
  v = v > other ? v : other;
}

// Fewer columns than lanes, the last ones of an output, go through a copy.
void finish(int64_t m, int64_t columns, const float* sums, const float* scale, const float* bias,
            float residual, float slope, void* const* out) {
  for (int64_t i = 0; i < m; ++i, sums += 32) {
    auto* to = static_cast<Element*>(out[i]);
    for (int64_t n = 0; n < columns; n += kLanes) {
      V before = {}, v;
      if (columns - n >= kLanes) {
        if (residual != 0) to_float(to + n, before);
        finished(sums + n, scale + n, bias + n, slope, residual, before, v);
        from_float(v, to + n);
        continue;
      }
      Element some[kLanes] = {};
      for (int64_t j = 0; j < columns - n; ++j) some[j] = to[n + j];
      to_float(some, before);
      finished(sums + n, scale + n, bias + n, slope, residual, before, v);
      from_float(v, some);
      for (int64_t j = 0; j < columns - n; ++j) to[n + j] = some[j];
    }
  }
}

void finish_float(int64_t m, int64_t columns, const float* sums, const float* scale,
                  const float* bias, float residual, float slope, void* const* out) {
  for (int64_t i = 0; i < m; ++i, sums += 32) {
    auto* to = static_cast<Float*>(out[i]);
    for (int64_t n = 0; n < columns; n += kLanes) {
      const int64_t count = columns - n < kLanes ? columns - n : kLanes;
      V before = {}, v;
      if (residual != 0)
        for (int64_t j = 0; j < count; ++j) before[j] = to[n + j];
      finished(sums + n, scale + n, bias + n, slope, residual, before, v);
      for (int64_t j = 0; j < count; ++j) to[n + j] = v[j];
    }
  }
}

void narrow(int64_t n, const float* from, float scale, void* to) {
  auto* elements = static_cast<Element*>(to);
  const float inverse = 1 / scale;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    from_float(*reinterpret_cast<const V*>(from + i) * inverse, elements + i);
  V v = {};
  Element some[kLanes];
  for (int64_t j = i; j < n; ++j) v[j - i] = from[j] * inverse;
  from_float(v, some);
  for (int64_t j = i; j < n; ++j) elements[j] = some[j - i];
}

void widen(int64_t n, const void* from, float scale, float* to) {
  const auto* elements = static_cast<const Element*>(from);
  int64_t i = 0;
  V v;
  for (; i + kLanes <= n; i += kLanes) {
    to_float(elements + i, v);
    *reinterpret_cast<V*>(to + i) = scale * v;
  }
  Element some[kLanes] = {};
  for (int64_t j = i; j < n; ++j) some[j - i] = elements[j];
  to_float(some, v);
  for (int64_t j = i; j < n; ++j) to[j] = scale * v[j - i];
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

constexpr NarrowKernels kTable = {kName, kRows, kWeightLimit, gemm,  finish,
                                  finish_float, narrow, widen, max_pool};
