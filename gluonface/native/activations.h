// PReLU and ReLU6, each with its gradient.
#pragma once

#include "maps.h"

namespace gluonface {

// ---- PReLU -------------------------------------------------------------------------------------

// One slope per channel, filled up with zeros like the map's channels.
inline std::vector<float> slopes_of(const NDArray& array, const Layout& l) {
  const Elements given = plain(array);
  std::vector<float> slopes(l.slots(), 0.f);
  for (int64_t c = 0; c < l.channels; ++c) slopes[c] = given.data[array.shape()[0] == 1 ? 0 : c];
  return slopes;
}

struct PReLU {
  const float *x, *slopes;
  float* y;
  template <int W>
  void run(const Row& row) const {
    const V<W> slope = of_channels<W>(slopes, row), zero = {};
#pragma GCC unroll 4
    for (int64_t i = 0; i < row.count; ++i) {
      const V<W> v = at<W>(x + row.first + i * row.step);
      at<W>(y + row.first + i * row.step) = v > zero ? v : slope * v;
    }
  }
};

struct PReLUGradient {
  const float *gradient, *x, *slopes;
  float* out;
  bool adds;
  double* sums;  // of the slopes' gradients: image after image, a slot per channel
  int64_t slots;
  template <int W>
  void run(const Row& row) const {
    const V<W> slope = of_channels<W>(slopes, row), zero = {};
    for (int64_t start = 0, p = row.first; start < row.count; start += kPart) {
      V<W> sum = {};
      const int64_t end = std::min(row.count, start + kPart);
      for (int64_t i = start; i < end; ++i, p += row.step) {
        const V<W> v = at<W>(x + p), g = at<W>(gradient + p);
        sum += v > zero ? zero : v * g;
        const V<W> r = v > zero ? g : slope * g;
        at<W>(out + p) = adds ? at<W>(out + p) + r : r;
      }
      add_to_channels<W>(sum, sums + row.image * slots, row);
    }
  }
};

inline void prelu(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
           const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[0]);
  const auto slopes = slopes_of(in[1], x.layout);
  Output y(x, out[0], request[0]);
  CHECK(!y.adds()) << "_gluonface_prelu cannot add to its output";
  for_rows(x.layout, PReLU{x.elements.data, slopes.data(), y.data()});
  y.finish();
}

inline void prelu_gradient(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                    const Arrays& out) {
  const Map x(in[1]);
  const Layout& l = x.layout;
  const Elements gradient = x.like(in[0]);
  const auto slopes = slopes_of(in[2], l);
  std::vector<double> sums(l.images * l.slots(), 0.0);
  Output dx(x, out[0], request[0]);
  for_rows(l, PReLUGradient{gradient.data, x.elements.data, slopes.data(), dx.data(), dx.adds(),
                            sums.data(), l.slots()});
  dx.finish();
  std::vector<double> totals(in[2].shape()[0], 0.0);
  for (int64_t c = 0; c < l.channels; ++c) {
    for (int64_t n = 0; n < l.images; ++n) {
      totals[totals.size() == 1 ? 0 : c] += sums[n * l.slots() + c];
    }
  }
  put(out[1], request[1], {totals.begin(), totals.end()});
}

// ---- ReLU6 -------------------------------------------------------------------------------------

struct ReLU6 {
  const float* x;
  float* y;
  template <int W>
  void run(const Row& row) const {
    const V<W> zero = {}, six = zero + 6.f;
#pragma GCC unroll 4
    for (int64_t i = 0; i < row.count; ++i) {
      const V<W> v = at<W>(x + row.first + i * row.step);
      at<W>(y + row.first + i * row.step) = v > six ? six : v < zero ? zero : v;
    }
  }
};

// 1 at 0 and at 6, as MXNet's clip has it.
struct ReLU6Gradient {
  const float *gradient, *x;
  float* out;
  bool adds;
  template <int W>
  void run(const Row& row) const {
    const V<W> zero = {}, six = zero + 6.f;
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      const V<W> v = at<W>(x + p), g = at<W>(gradient + p);
      const V<W> r = v > six ? zero : v < zero ? zero : g;
      at<W>(out + p) = adds ? at<W>(out + p) + r : r;
    }
  }
};

inline void relu6(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                  const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[0]);
  Output y(x, out[0], request[0]);
  CHECK(!y.adds()) << "_gluonface_relu6 cannot add to its output";
  for_rows(x.layout, ReLU6{x.elements.data, y.data()});
  y.finish();
}

inline void relu6_gradient(const NodeAttrs&, const OpContext&, const Arrays& in,
                           const Requests& request, const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[1]);
  const Elements gradient = x.like(in[0]);
  Output dx(x, out[0], request[0]);
  for_rows(x.layout, ReLU6Gradient{gradient.data, x.elements.data, dx.data(), dx.adds()});
  dx.finish();
}

}  // namespace gluonface
