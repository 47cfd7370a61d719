// PReLU, the gates of attention and products of maps, each with its gradient.
//
// Sums are taken in float32 over at most 256 pixels and in double beyond, in an order that does
// not depend on the number of threads.
#pragma once

#include "maps.h"

namespace gluonface {

constexpr int64_t kPart = 256;  // pixels that are summed in float32

// Write or add the gradient of small things (slopes, factors): plain, one value for each.
inline void put(const NDArray& array, OpReqType request, const std::vector<float>& values) {
  if (request == mxnet::kNullOp) return;
  NDArray out = array;
  if (request == mxnet::kAddTo) {
    std::vector<float> sum(values);
    const Elements old = plain(out);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += old.data[i];
    out.InvalidateMKLDNNData();
    std::copy(sum.begin(), sum.end(), out.data().dptr<float>());
  } else {
    out.InvalidateMKLDNNData();
    std::copy(values.begin(), values.end(), out.data().dptr<float>());
  }
}

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

// ---- Gates: a map times one factor per image and channel, or per image and pixel -----------------

inline bool is_per_channel(const NDArray& factors, const Layout& l) {
  return factors.shape()[1] == l.channels &&
         static_cast<int64_t>(factors.shape().Size()) == l.images * l.channels;
}

// The factors as they are (one per pixel), or filled up with zeros like the map's channels.
inline std::vector<float> factors_of(const NDArray& array, const Layout& l) {
  const Elements given = plain(array);
  if (!is_per_channel(array, l)) return {given.data, given.data + array.shape().Size()};
  std::vector<float> factors(l.images * l.slots(), 0.f);
  for (int64_t n = 0; n < l.images; ++n) {
    std::copy_n(given.data + n * l.channels, l.channels, factors.data() + n * l.slots());
  }
  return factors;
}

struct ChannelGate {
  const float *x, *factors;
  float* y;
  int64_t slots;
  template <int W>
  void run(const Row& row) const {
    const V<W> factor = of_channels<W>(factors + row.image * slots, row);
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      at<W>(y + p) = at<W>(x + p) * factor;
    }
  }
};

struct PixelGate {
  const float *x, *factors;
  float* y;
  int64_t pixels;
  template <int W>
  void run(const Row& row) const {
    const float* factor = factors + row.image * pixels + row.pixel;
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      at<W>(y + p) = at<W>(x + p) * (row.spread ? at<W>(factor + i * W) : V<W>{} + factor[i]);
    }
  }
};

struct ChannelGateGradient {
  const float *gradient, *x, *factors;
  float* out;
  bool adds;
  double* sums;
  int64_t slots;
  template <int W>
  void run(const Row& row) const {
    const V<W> factor = of_channels<W>(factors + row.image * slots, row);
    for (int64_t start = 0, p = row.first; start < row.count; start += kPart) {
      V<W> sum = {};
      const int64_t end = std::min(row.count, start + kPart);
      for (int64_t i = start; i < end; ++i, p += row.step) {
        const V<W> g = at<W>(gradient + p);
        sum += g * at<W>(x + p);
        at<W>(out + p) = adds ? at<W>(out + p) + g * factor : g * factor;
      }
      add_to_channels<W>(sum, sums + row.image * slots, row);
    }
  }
};

// For `for_images`: every block of channels adds to the sums of the pixels.
struct PixelGateGradient {
  const float *gradient, *x, *factors;
  float* out;
  bool adds;
  double* sums;
  int64_t pixels;
  template <int W>
  void run(const Row& row) const {
    const int64_t at_pixel = row.image * pixels + row.pixel;
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      const V<W> g = at<W>(gradient + p), product = g * at<W>(x + p);
      const float* factor = factors + at_pixel + (row.spread ? i * W : i);
      const V<W> r = g * (row.spread ? at<W>(factor) : V<W>{} + *factor);
      at<W>(out + p) = adds ? at<W>(out + p) + r : r;
      const float* lanes = reinterpret_cast<const float*>(&product);
      double* sum = sums + at_pixel + (row.spread ? i * W : i);
      for (int lane = 0; lane < W; ++lane) sum[row.spread ? lane : 0] += lanes[lane];
    }
  }
};

inline void gate(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
          const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[0]);
  const Layout& l = x.layout;
  const auto factors = factors_of(in[1], l);
  Output y(x, out[0], request[0]);
  CHECK(!y.adds()) << "_gluonface_gate cannot add to its output";
  if (is_per_channel(in[1], l)) {
    for_rows(l, ChannelGate{x.elements.data, factors.data(), y.data(), l.slots()});
  } else {
    for_rows(l, PixelGate{x.elements.data, factors.data(), y.data(), l.pixels});
  }
  y.finish();
}

inline void gate_gradient(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                   const Arrays& out) {
  const Map x(in[1]);
  const Layout& l = x.layout;
  const Elements gradient = x.like(in[0]);
  const auto factors = factors_of(in[2], l);
  const bool per_channel = is_per_channel(in[2], l);
  std::vector<double> sums(per_channel ? l.images * l.slots() : factors.size(), 0.0);
  Output dx(x, out[0], request[0]);
  if (per_channel) {
    for_rows(l, ChannelGateGradient{gradient.data, x.elements.data, factors.data(), dx.data(),
                                    dx.adds(), sums.data(), l.slots()});
  } else {
    for_images(l, PixelGateGradient{gradient.data, x.elements.data, factors.data(), dx.data(),
                                    dx.adds(), sums.data(), l.pixels});
  }
  dx.finish();
  std::vector<float> totals(in[2].shape().Size());
  for (size_t i = 0; i < totals.size(); ++i) {
    totals[i] = sums[per_channel ? i / l.channels * l.slots() + i % l.channels : i];
  }
  put(out[1], request[1], totals);
}

// ---- Products of two maps ----------------------------------------------------------------------

struct Product {
  const float *x, *other;
  float* y;
  template <int W>
  void run(const Row& row) const {
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      at<W>(y + p) = at<W>(x + p) * at<W>(other + p);
    }
  }
};

// Both gradients at once: the first may be written over the gradient that they come from.
struct ProductGradient {
  const float *gradient, *x, *other;
  float *dx, *dother;
  bool dx_adds, dother_adds;
  template <int W>
  void run(const Row& row) const {
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      const V<W> g = at<W>(gradient + p);
      const V<W> a = g * at<W>(other + p), b = g * at<W>(x + p);
      at<W>(dx + p) = dx_adds ? at<W>(dx + p) + a : a;
      at<W>(dother + p) = dother_adds ? at<W>(dother + p) + b : b;
    }
  }
};

inline void product(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
             const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[0]);
  const Elements other = x.like(in[1]);
  Output y(x, out[0], request[0]);
  CHECK(!y.adds()) << "_gluonface_product cannot add to its output";
  for_rows(x.layout, Product{x.elements.data, other.data, y.data()});
  y.finish();
}

inline void product_gradient(const NodeAttrs&, const OpContext&, const Arrays& in,
                      const Requests& request, const Arrays& out) {
  const Map x(in[1]);
  const Elements gradient = x.like(in[0]), other = x.like(in[2]);
  Output dx(x, out[0], request[0]), dother(x, out[1], request[1]);
  for_rows(x.layout, ProductGradient{gradient.data, x.elements.data, other.data, dx.data(),
                                     dother.data(), dx.adds(), dother.adds()});
  dx.finish();
  dother.finish();
}

}  // namespace gluonface
