// Depthwise convolution with the PReLUs before and after it, for inference: what lies between two
// 1x1 convolutions of a mobile network, in one pass over memory.
#pragma once

#include "maps.h"

namespace gluonface {

// `weight` is (K, K, C), the rest one number per channel.
struct Depthwise {
  const float *x, *weight, *bias, *before, *after;
  float* y;
  int64_t rows, columns, out_rows, out_columns;
  Layout in, out;
};

constexpr int kAtOnce = 4;  // columns of the output

// Add to `sums` the products of taps with what lies below N columns of the output.
template <int W, int K, int Stride, int N>
inline void add_taps(const float* const* lines, int64_t column, const V<W>* taps, V<W>* sums) {
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k) {
    const float* line = lines[k] + column * Stride * W;
#pragma GCC unroll 8
    for (int l = 0; l < K; ++l) {
#pragma GCC unroll 8
      for (int u = 0; u < N; ++u) sums[u] += at<W>(line + (u * Stride + l) * W) * taps[k * K + l];
    }
  }
}

// W channels of one image. The rows that a row of the output needs are activated once, into a ring
// of as many rows, which stays in the first cache.
template <int W, int K, int Stride>
void convolve(const Depthwise& d, int64_t image, int64_t channel, float* ring) {
  constexpr int pad = K / 2;
  const int64_t length = (d.columns + 2 * pad) * W;
  const float* source = d.x + d.in.place(image, channel);
  float* target = d.y + d.out.place(image, channel);
  const V<W> before = at<W>(d.before + channel), after = at<W>(d.after + channel);
  const V<W> start = at<W>(d.bias + channel), zero = {};
  V<W> taps[K * K];
  for (int tap = 0; tap < K * K; ++tap) taps[tap] = at<W>(d.weight + tap * d.in.slots() + channel);
  int64_t next = -pad;  // row of the input to activate
  for (int64_t row = 0; row < d.out_rows; ++row) {
    const int64_t first = row * Stride - pad;
    for (; next < first + K; ++next) {
      float* line = ring + (next + pad) % K * length;
      if (next < 0 || next >= d.rows) {
        std::fill_n(line, length, 0.f);
        continue;
      }
      std::fill_n(line, pad * W, 0.f);
      std::fill_n(line + (d.columns + pad) * W, pad * W, 0.f);
      const float* from = source + next * d.columns * d.in.step;
#pragma GCC unroll 4
      for (int64_t i = 0; i < d.columns; ++i) {
        const V<W> v = at<W>(from + i * d.in.step);
        at<W>(line + (pad + i) * W) = v > zero ? v : before * v;
      }
    }
    const float* lines[K];
    for (int k = 0; k < K; ++k) lines[k] = ring + (first + pad + k) % K * length;
    float* to = target + row * d.out_columns * d.out.step;
    int64_t column = 0;
    for (; column + kAtOnce <= d.out_columns; column += kAtOnce) {
      V<W> sums[kAtOnce];
      for (int u = 0; u < kAtOnce; ++u) sums[u] = start;
      add_taps<W, K, Stride, kAtOnce>(lines, column, taps, sums);
      for (int u = 0; u < kAtOnce; ++u) {
        at<W>(to + (column + u) * d.out.step) = sums[u] > zero ? sums[u] : after * sums[u];
      }
    }
    for (; column < d.out_columns; ++column) {
      V<W> sum = start;
      add_taps<W, K, Stride, 1>(lines, column, taps, &sum);
      at<W>(to + column * d.out.step) = sum > zero ? sum : after * sum;
    }
  }
}

template <int W, int K, int Stride>
void convolve_all(const Depthwise& d) {
  const int64_t parts = d.in.slots() / W, count = d.in.images * parts;
#pragma omp parallel
  {
    std::vector<float> ring(K * (d.columns + K - 1) * W);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < count; ++i) {
      convolve<W, K, Stride>(d, i / parts, i % parts * W, ring.data());
    }
  }
}

template <int Stride>
void depthwise(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
               const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[0]), result(x, out[0]);
  const Layout& l = x.layout;
  const ByChannel weight(in[1], l), bias(in[2], l), before(in[3], l), after(in[4], l);
  Output y(result, out[0], request[0]);
  CHECK(!y.adds()) << "_gluonface_depthwise cannot add to its output";
  const auto &from = in[0].shape(), &to = out[0].shape();
  const Depthwise d{x.elements.data, weight.data(), bias.data(), before.data(), after.data(),
                    y.data(),        from[2],       from[3],     to[2],         to[3],
                    l,               result.layout};
  const bool three = in[1].shape()[0] == 3;
  if (l.width == 16) {
    three ? convolve_all<16, 3, Stride>(d) : convolve_all<16, 5, Stride>(d);
  } else if (l.width == 8) {
    three ? convolve_all<8, 3, Stride>(d) : convolve_all<8, 5, Stride>(d);
  } else {
    three ? convolve_all<1, 3, Stride>(d) : convolve_all<1, 5, Stride>(d);
  }
  y.finish();
}

}  // namespace gluonface
