// The bodies of Kernels, compiled once for each instruction set: kernels.cpp defines kLanes and
// kRows and includes this inside a namespace. No function of the standard library may be used here:
// the linker keeps one copy of each inline function, and it must run everywhere.

typedef float V __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
#define VEILNET_INLINE inline __attribute__((always_inline))

VEILNET_INLINE V load(const float* p) { return *reinterpret_cast<const V*>(p); }
VEILNET_INLINE void store(float* p, V v) { *reinterpret_cast<V*>(p) = v; }
VEILNET_INLINE V bent(V v, float slope) {
  const V other = slope * v;
  return v > other ? v : other;
}
VEILNET_INLINE float bent(float v, float slope) {
  const float other = slope * v;
  return v > other ? v : other;
}

// -- Matrix product: R rows by N vectors of columns in registers ----------------------------------

template <int R, int N>
void tile(int64_t k, const float* a, int64_t lda, const float* b, float* c, int64_t ldc) {
  V sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) sum[r][n] = V{};
  for (int64_t i = 0; i < k; ++i) {
    V w[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) w[n] = load(b + (i * N + n) * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) sum[r][n] += a[r * lda + i] * w[n];
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) store(c + r * ldc + n * kLanes, sum[r][n]);
}

template <int N, int R>
struct Rows {
  static void run(int64_t m, int64_t k, const float* a, int64_t lda, const float* b, float* c,
                  int64_t ldc) {
    if (m == R) return tile<R, N>(k, a, lda, b, c, ldc);
    Rows<N, R - 1>::run(m, k, a, lda, b, c, ldc);
  }
};
template <int N>
struct Rows<N, 0> {
  static void run(int64_t, int64_t, const float*, int64_t, const float*, float*, int64_t) {}
};

template <int N>
void panel(int64_t m, int64_t k, const float* a, int64_t lda, const float* b, float* c,
           int64_t ldc) {
  // Parts of nearly equal size: a short last one would compute with few registers.
  for (int64_t parts = (m + kRows - 1) / kRows; parts > 0; --parts) {
    const int64_t rows = (m + parts - 1) / parts;
    Rows<N, kRows>::run(rows, k, a, lda, b, c, ldc);
    m -= rows;
    a += rows * lda;
    c += rows * ldc;
  }
}

void gemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, float* c,
          int64_t ldc) {
  for (; n >= 2 * kLanes; n -= 2 * kLanes, b += 2 * kLanes * k, c += 2 * kLanes)
    panel<2>(m, k, a, lda, b, c, ldc);
  if (n > 0) panel<1>(m, k, a, lda, b, c, ldc);
}

// The same of a's transpose, added to what c has.
template <int R, int N>
void outer_tile(int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                int64_t ldc) {
  V sum[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) sum[r][n] = load(c + r * ldc + n * kLanes);
  for (int64_t i = 0; i < k; ++i) {
    V w[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) w[n] = load(b + i * ldb + n * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) sum[r][n] += a[i * lda + r] * w[n];
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) store(c + r * ldc + n * kLanes, sum[r][n]);
}

template <int N, int R>
struct OuterRows {
  static void run(int64_t m, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                  float* c, int64_t ldc) {
    if (m == R) return outer_tile<R, N>(k, a, lda, b, ldb, c, ldc);
    OuterRows<N, R - 1>::run(m, k, a, lda, b, ldb, c, ldc);
  }
};
template <int N>
struct OuterRows<N, 0> {
  static void run(int64_t, int64_t, const float*, int64_t, const float*, int64_t, float*,
                  int64_t) {}
};

template <int N>
void outer_panel(int64_t m, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                 float* c, int64_t ldc) {
  for (int64_t parts = (m + kRows - 1) / kRows; parts > 0; --parts) {
    const int64_t rows = (m + parts - 1) / parts;
    OuterRows<N, kRows>::run(rows, k, a, lda, b, ldb, c, ldc);
    m -= rows;
    a += rows;
    c += rows * ldc;
  }
}

void add_outer(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
               int64_t ldb, float* c, int64_t ldc) {
  for (; n >= 2 * kLanes; n -= 2 * kLanes, b += 2 * kLanes, c += 2 * kLanes)
    outer_panel<2>(m, k, a, lda, b, ldb, c, ldc);
  if (n > 0) outer_panel<1>(m, k, a, lda, b, ldb, c, ldc);
}

void pack(int64_t n, int64_t k, const float* b, int64_t ldb, float* packed) {
  for (int64_t at = 0; at < n;) {
    const int64_t columns = n - at >= 2 * kLanes ? 2 * kLanes : kLanes;
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < columns; ++j) *packed++ = b[i * ldb + at + j];
    at += columns;
  }
}

// -- Winograd ---------------------------------------------------------------------------------------

// One row or column of a tile, in and out; the matrices B' and A' of Lavin and Gray 2015.
template <int M>
struct Transform;

template <>
struct Transform<2> {
  static VEILNET_INLINE void input(const V* d, V* t) {
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
  }
  static VEILNET_INLINE void output(const V* t, V* y) {
    y[0] = t[0] + t[1] + t[2];
    y[1] = t[1] - t[2] - t[3];
  }
  static VEILNET_INLINE void gradient(const V* y, V* t) {
    t[0] = y[0];
    t[1] = y[0] + y[1];
    t[2] = y[0] - y[1];
    t[3] = -y[1];
  }
};

template <>
struct Transform<4> {
  static VEILNET_INLINE void input(const V* d, V* t) {
    const V a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
    t[0] = 4 * d[0] - 5 * d[2] + d[4];
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + e;
    t[4] = c - e;
    t[5] = 4 * d[1] - 5 * d[3] + d[5];
  }
  static VEILNET_INLINE void output(const V* t, V* y) {
    const V a = t[1] + t[2], b = t[1] - t[2], c = t[3] + t[4], e = t[3] - t[4];
    y[0] = t[0] + a + c;
    y[1] = b + 2 * e;
    y[2] = a + 4 * c;
    y[3] = b + 8 * e + t[5];
  }
  static VEILNET_INLINE void gradient(const V* y, V* t) {
    const V a = y[0] + y[2], b = y[1] + y[3], c = y[0] + 4 * y[2], e = 2 * y[1] + 8 * y[3];
    t[0] = y[0];
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + e;
    t[4] = c - e;
    t[5] = y[3];
  }
};

template <int M>
void tile_input(const float* const* pixels, int64_t channels, float* v, int64_t v_stride) {
  constexpr int S = M + 2;
  for (int64_t c = 0; c < channels; c += kLanes) {
    V columns[S][S];  // [column][row]
#pragma GCC unroll 6
    for (int x = 0; x < S; ++x) {
      V d[S];
#pragma GCC unroll 6
      for (int y = 0; y < S; ++y) d[y] = load(pixels[y * S + x] + c);
      Transform<M>::input(d, columns[x]);
    }
#pragma GCC unroll 6
    for (int y = 0; y < S; ++y) {
      V d[S], t[S];
#pragma GCC unroll 6
      for (int x = 0; x < S; ++x) d[x] = columns[x][y];
      Transform<M>::input(d, t);
#pragma GCC unroll 6
      for (int x = 0; x < S; ++x) store(v + (y * S + x) * v_stride + c, t[x]);
    }
  }
}

template <int M>
void tile_output(const float* sums, int64_t sums_stride, int64_t channels, const float* bias,
                 const float* const* residual, float slope, float* const* out) {
  constexpr int S = M + 2;
  for (int64_t c = 0; c < channels; c += kLanes) {
    V columns[S][M];  // [column][row]
#pragma GCC unroll 6
    for (int x = 0; x < S; ++x) {
      V t[S];
#pragma GCC unroll 6
      for (int y = 0; y < S; ++y) t[y] = load(sums + (y * S + x) * sums_stride + c);
      Transform<M>::output(t, columns[x]);
    }
    const V b = load(bias + c);
#pragma GCC unroll 4
    for (int y = 0; y < M; ++y) {
      V t[S], result[M];
#pragma GCC unroll 6
      for (int x = 0; x < S; ++x) t[x] = columns[x][y];
      Transform<M>::output(t, result);
#pragma GCC unroll 4
      for (int x = 0; x < M; ++x) {
        const int i = y * M + x;
        if (!out[i]) continue;
        V value = result[x] + b;
        if (residual) value += load(residual[i] + c);
        store(out[i] + c, bent(value, slope));
      }
    }
  }
}

template <int M>
void tile_gradient(const float* const* pixels, int64_t channels, float* u, int64_t u_stride) {
  constexpr int S = M + 2;
  for (int64_t c = 0; c < channels; c += kLanes) {
    V columns[M][S];  // [column][row]
#pragma GCC unroll 4
    for (int x = 0; x < M; ++x) {
      V d[M];
#pragma GCC unroll 4
      for (int y = 0; y < M; ++y) d[y] = load(pixels[y * M + x] + c);
      Transform<M>::gradient(d, columns[x]);
    }
#pragma GCC unroll 6
    for (int y = 0; y < S; ++y) {
      V d[M], t[S];
#pragma GCC unroll 4
      for (int x = 0; x < M; ++x) d[x] = columns[x][y];
      Transform<M>::gradient(d, t);
#pragma GCC unroll 6
      for (int x = 0; x < S; ++x) store(u + (y * S + x) * u_stride + c, t[x]);
    }
  }
}

void winograd_input(int m, const float* const* pixels, int64_t channels, float* v,
                    int64_t v_stride) {
  if (m == 4) return tile_input<4>(pixels, channels, v, v_stride);
  tile_input<2>(pixels, channels, v, v_stride);
}

void winograd_output(int m, const float* sums, int64_t sums_stride, int64_t channels,
                     const float* bias, const float* const* residual, float slope,
                     float* const* out) {
  if (m == 4) return tile_output<4>(sums, sums_stride, channels, bias, residual, slope, out);
  tile_output<2>(sums, sums_stride, channels, bias, residual, slope, out);
}

void winograd_gradient(int m, const float* const* pixels, int64_t channels, float* u,
                       int64_t u_stride) {
  if (m == 4) return tile_gradient<4>(pixels, channels, u, u_stride);
  tile_gradient<2>(pixels, channels, u, u_stride);
}

// -- Loops over channels: vectors, then what is left of them ---------------------------------------

void difference(int64_t n, const float* a, const float* b, float* d) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(d + i, (a ? load(a + i) : V{}) - (b ? load(b + i) : V{}));
  for (; i < n; ++i) d[i] = (a ? a[i] : 0.0f) - (b ? b[i] : 0.0f);
}

void sum4(int64_t n, const float* a, const float* b, const float* c, const float* d,
          const float* bias, float slope, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V sum = load(a + i) + load(b + i) + (load(c + i) + load(d + i)) + load(bias + i);
    store(out + i, bent(sum, slope));
  }
  for (; i < n; ++i) out[i] = bent(a[i] + b[i] + (c[i] + d[i]) + bias[i], slope);
}

void finish(int64_t pixels, int64_t channels, const float* sums, int64_t sums_stride,
            const float* bias, bool residual, float slope, float* out, int64_t out_stride) {
  for (int64_t p = 0; p < pixels; ++p, sums += sums_stride, out += out_stride) {
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      V v = load(sums + c) + load(bias + c);
      if (residual) v += load(out + c);
      store(out + c, bent(v, slope));
    }
    for (; c < channels; ++c) out[c] = bent(sums[c] + bias[c] + (residual ? out[c] : 0), slope);
  }
}

void scale_shift(int64_t pixels, int64_t channels, const float* in, int64_t in_stride,
                 const float* scale, const float* shift, float slope, float* out,
                 int64_t out_stride) {
  for (int64_t p = 0; p < pixels; ++p, in += in_stride, out += out_stride) {
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes)
      store(out + c, bent(load(in + c) * load(scale + c) + load(shift + c), slope));
    for (; c < channels; ++c) out[c] = bent(in[c] * scale[c] + shift[c], slope);
  }
}

void add(int64_t n, const float* x, const float* y, float slope, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, bent(load(x + i) + load(y + i), slope));
  for (; i < n; ++i) out[i] = bent(x[i] + y[i], slope);
}

// -- Batch normalisation in a training; channels in whole vectors -----------------------------------

// f(c, accumulators) for up to four vectors of channels at once, c their first channel.
template <int A, class F>
VEILNET_INLINE void by_channels(int64_t channels, F&& f) {
  constexpr int64_t kWide = A * kLanes;
  int64_t c = 0;
  for (; c + kWide <= channels; c += kWide) f.template run<A>(c);
  for (; c < channels; c += kLanes) f.template run<1>(c);
}

struct Moments {
  int64_t pixels, channels;
  const float* x;
  float *sums, *squares;
  template <int A>
  VEILNET_INLINE void run(int64_t c) const {
    V about[A], sum[A], square[A];
#pragma GCC unroll 4
    for (int i = 0; i < A; ++i) {
      about[i] = load(x + c + i * kLanes);
      sum[i] = square[i] = V{};
    }
    for (int64_t p = 0; p < pixels; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < A; ++i) {
        const V d = load(x + p * channels + c + i * kLanes) - about[i];
        sum[i] += d;
        square[i] += d * d;
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < A; ++i) {
      store(sums + c + i * kLanes, sum[i]);
      store(squares + c + i * kLanes, square[i]);
    }
  }
};

void moments(int64_t pixels, int64_t channels, const float* x, float* sums, float* squares) {
  by_channels<4>(channels, Moments{pixels, channels, x, sums, squares});
}

// The gradient before the ReLU, whose output y is where given.
VEILNET_INLINE V before_relu(V gradient, V x, V scale, V shift, const float* y) {
  const V out = y ? load(y) : x * scale + shift;
  return out > 0.0f ? gradient : V{};
}

struct ReluSums {
  int64_t pixels, channels;
  const float *gradient, *x, *scale, *shift, *y, *mean;
  float *sums, *products;
  template <int A>
  VEILNET_INLINE void run(int64_t c) const {
    V sum[A], product[A];
#pragma GCC unroll 4
    for (int i = 0; i < A; ++i) sum[i] = product[i] = V{};
    for (int64_t p = 0; p < pixels; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < A; ++i) {
        const int64_t k = c + i * kLanes, at = p * channels + k;
        const V value = load(x + at);
        const V g = before_relu(load(gradient + at), value, load(scale + k), load(shift + k),
                                y ? y + at : nullptr);
        sum[i] += g;
        product[i] += g * (value - load(mean + k));
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < A; ++i) {
      store(sums + c + i * kLanes, sum[i]);
      store(products + c + i * kLanes, product[i]);
    }
  }
};

void relu_sums(int64_t pixels, int64_t channels, const float* gradient, const float* x,
               const float* scale, const float* shift, const float* y, const float* mean,
               float* sums, float* products) {
  by_channels<4>(channels, ReluSums{pixels, channels, gradient, x, scale, shift, y, mean, sums,
                                    products});
}

void relu_gradient(int64_t pixels, int64_t channels, const float* gradient, const float* x,
                   const float* scale, const float* shift, const float* y, const float* by_gradient,
                   const float* by_x, const float* constant, float* x_gradient,
                   float* added_gradient) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t at = p * channels + c;
      const V value = load(x + at);
      const V g = before_relu(load(gradient + at), value, load(scale + c), load(shift + c),
                              y ? y + at : nullptr);
      if (added_gradient) store(added_gradient + at, g);
      store(x_gradient + at,
            load(by_gradient + c) * g + (load(by_x + c) * value + load(constant + c)));
    }
  }
}

void scale_shift_add(int64_t pixels, int64_t channels, const float* in, const float* scale,
                     const float* shift, const float* added, float slope, float* out) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t at = p * channels + c;
      store(out + at, bent(load(in + at) * load(scale + c) + load(shift + c) + load(added + at),
                           slope));
    }
  }
}

void max_pool(int64_t width, int64_t channels, const float* row0, const float* row1, float* out) {
  for (int64_t x = 0; x < width; ++x) {
    const float *a = row0 + 2 * x * channels, *b = row1 + 2 * x * channels;
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      const V p = load(a + c), q = load(a + channels + c), r = load(b + c),
              s = load(b + channels + c);
      const V high = p > q ? p : q, low = r > s ? r : s;
      store(out + c, high > low ? high : low);
    }
    for (; c < channels; ++c) {
      const float high = a[c] > a[channels + c] ? a[c] : a[channels + c];
      const float low = b[c] > b[channels + c] ? b[c] : b[channels + c];
      out[c] = high > low ? high : low;
    }
    out += channels;
  }
}

void max_pool_gradient(int64_t width, int64_t channels, const float* row0, const float* row1,
                       const float* out, const float* gradient, float* to0, float* to1) {
  for (int64_t x = 0; x < width; ++x) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int64_t left = 2 * x * channels + c, right = left + channels;
      const V high = load(out + x * channels + c), none = {};
      V g = load(gradient + x * channels + c);
      const auto give = [&](const float* from, float* to) {
        const V of = load(from) == high ? g : none;
        g -= of;  // to the first one alone
        store(to, of);
      };
      give(row0 + left, to0 + left);
      give(row0 + right, to0 + right);
      give(row1 + left, to1 + left);
      give(row1 + right, to1 + right);
    }
  }
}

void average_pool(int64_t width, int64_t channels, const float* row0, const float* row1,
                  float* out) {
  for (int64_t x = 0; x < width; ++x) {
    const float *a = row0 + 2 * x * channels, *b = row1 + 2 * x * channels;
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      store(out + c, 0.25f * (load(a + c) + load(a + channels + c) +
                              (load(b + c) + load(b + channels + c))));
    }
    for (; c < channels; ++c)
      out[c] = 0.25f * (a[c] + a[channels + c] + (b[c] + b[channels + c]));
    out += channels;
  }
}

// -- Sigmoid to bytes ----------------------------------------------------------------------------------

VEILNET_INLINE V rounded(V x) {  // to the nearest integer, half to even, for |x| < 2^22
  const float magic = 12582912.0f;
  return (x + magic) - magic;
}

bool sigmoid_bytes(int64_t n, const float* x, uint8_t* out) {
  V finite = V{};  // stays 0 as long as every x is finite
  for (int64_t at = 0; at < n; at += kLanes) {
    const int64_t left = n - at < kLanes ? n - at : kLanes;
    float values[kLanes] = {};
    for (int64_t i = 0; i < left; ++i) values[i] = x[at + i];
    const V v = load(values);
    finite += v * 0.0f;
    // exp(-v) = 2^whole * 2^part; beyond 80 the sigmoid is 0 or 1 in float32.
    V t = -v;
    t = t > 80.0f ? V{} + 80.0f : t;
    t = t < -80.0f ? V{} - 80.0f : t;
    const V scaled = t * 1.44269504088896341f;
    const V whole = rounded(scaled);
    const V part = (t - whole * 0.693359375f) + whole * 2.12194440e-4f;
    // exp on [-ln 2 / 2, ln 2 / 2] (Cephes expf)
    V p = V{} + 1.9875691500e-4f;
    p = p * part + 1.3981999507e-3f;
    p = p * part + 8.3334519073e-3f;
    p = p * part + 4.1665795894e-2f;
    p = p * part + 1.6666665459e-1f;
    p = p * part + 5.0000001201e-1f;
    p = p * (part * part) + part + 1.0f;
    const I power = (__builtin_convertvector(whole, I) + 127) << 23;
    V scale;
    __builtin_memcpy(&scale, &power, sizeof scale);
    const V level = rounded(255.0f / (1.0f + p * scale));
    const I whole_level = __builtin_convertvector(level, I);
    int32_t levels[kLanes];
    __builtin_memcpy(levels, &whole_level, sizeof levels);
    for (int64_t i = 0; i < left; ++i) out[at + i] = static_cast<uint8_t>(levels[i]);
  }
  float sums[kLanes];
  store(sums, finite);
  for (int i = 0; i < kLanes; ++i)
    if (!(sums[i] == 0)) return false;
  return true;
}

#undef VEILNET_INLINE

constexpr Kernels kTable = {kName, kLanes, kRows,
                            gemm, add_outer, pack, winograd_input,
                            winograd_output, winograd_gradient, difference, sum4,
                            finish,       scale_shift,  moments, relu_sums, relu_gradient, scale_shift_add, add,
                            max_pool, max_pool_gradient,     average_pool, sigmoid_bytes};
