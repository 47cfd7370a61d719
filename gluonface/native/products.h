// The gates of attention, means, products and layouts of maps, each with its gradient.
#pragma once

#include "maps.h"

namespace gluonface {

// ---- Gates: a map times one factor per image and channel, or per image and pixel -----------------

inline bool is_per_channel(const NDArray& factors, const Layout& l) {
  return factors.shape()[1] == l.channels &&
         static_cast<int64_t>(factors.shape().Size()) == l.images * l.channels;
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
  Output y(x, out[0], request[0]);
  CHECK(!y.adds()) << "_gluonface_gate cannot add to its output";
  if (is_per_channel(in[1], l)) {
    const ByChannel factors(in[1], l);
    for_rows(l, ChannelGate{x.elements.data, factors.data(), y.data(), l.slots()});
  } else {
    const Elements factors = plain(in[1]);
    for_rows(l, PixelGate{x.elements.data, factors.data, y.data(), l.pixels});
  }
  y.finish();
}

inline void gate_gradient(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                   const Arrays& out) {
  const Map x(in[1]);
  const Layout& l = x.layout;
  const Elements gradient = x.like(in[0]);
  Output dx(x, out[0], request[0]);
  if (is_per_channel(in[2], l)) {
    const ByChannel factors(in[2], l);
    std::vector<double> sums(l.images * l.slots(), 0.0);
    for_rows(l, ChannelGateGradient{gradient.data, x.elements.data, factors.data(), dx.data(),
                                    dx.adds(), sums.data(), l.slots()});
    put(out[1], request[1], by_channel(sums, l));
  } else {
    const Elements factors = plain(in[2]);
    std::vector<double> sums(l.images * l.pixels, 0.0);
    for_images(l, PixelGateGradient{gradient.data, x.elements.data, factors.data, dx.data(),
                                    dx.adds(), sums.data(), l.pixels});
    put(out[1], request[1], {sums.begin(), sums.end()});
  }
  dx.finish();
}

// ---- Means over the pixels of each image and channel ---------------------------------------------

struct Sums {
  const float* x;
  double* sums;
  int64_t slots;
  template <int W>
  void run(const Row& row) const {
    for (int64_t start = 0; start < row.count; start += kPart) {
      V<W> sum = {};
      const int64_t end = std::min(row.count, start + kPart);
      for (int64_t i = start; i < end; ++i) sum += at<W>(x + row.first + i * row.step);
      add_to_channels<W>(sum, sums + row.image * slots, row);
    }
  }
};

struct Spread {
  const float* values;
  float* out;
  bool adds;
  int64_t slots, pixels;
  template <int W>
  void run(const Row& row) const {
    const V<W> value = of_channels<W>(values + row.image * slots, row) / float(pixels);
    for (int64_t i = 0, p = row.first; i < row.count; ++i, p += row.step) {
      at<W>(out + p) = adds ? at<W>(out + p) + value : value;
    }
  }
};

inline void mean(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                 const Arrays& out) {
  const Map x(in[0]);
  const Layout& l = x.layout;
  std::vector<double> sums(l.images * l.slots(), 0.0);
  for_rows(l, Sums{x.elements.data, sums.data(), l.slots()});
  for (double& sum : sums) sum /= l.pixels;
  put(out[0], request[0], by_channel(sums, l));
}

inline void mean_gradient(const NodeAttrs&, const OpContext&, const Arrays& in,
                          const Requests& request, const Arrays& out) {
  if (request[0] == mxnet::kNullOp) return;
  const Map x(in[1]);
  const Layout& l = x.layout;
  const ByChannel gradient(in[0], l);
  Output dx(x, out[0], request[0]);
  for_rows(l, Spread{gradient.data(), dx.data(), dx.adds(), l.slots(), l.pixels});
  dx.finish();
}

// ---- The same map in another layout --------------------------------------------------------------

// Write or add a map as it lies.
inline void copy(const Map& from, const NDArray& array, OpReqType request) {
  if (request == mxnet::kNullOp) return;
  const Layout& l = from.layout;
  Output y(from, array, request);
  const float* source = from.elements.data;
  float* target = y.data();
  if (y.adds()) {
    for (int64_t i = 0; i < l.images * l.image; ++i) target[i] += source[i];
  } else if (target != source) {
    std::copy_n(source, l.images * l.image, target);
  }
  y.finish();
}

// BatchNorm takes 6 times as long in MXNet's layout, as after a concatenation, and 200 times in blocks
// of 4 channels, or of 8 where the gradient comes in blocks of 16, as after a grouped convolution.
inline void to_blocks(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                      const Arrays& out) {
  const Map x(in[0]);
  mkldnn::memory::desc desc;
  const bool done = !in_blocks(in[0].shape(), &desc) || (x.blocked && equal(x.desc, desc));
  if (done) return copy(x, out[0], request[0]);
  const Map shape(desc, in[0]);
  const Elements blocked = shape.like(in[0]);
  copy(Map(blocked.owner), out[0], request[0]);
}

// Back in MXNet's layout: oneDNN's gradient of a concatenation cannot cut blocks.
inline void in_planes(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                      const Arrays& out) {
  copy(Map(plain(in[0]).owner), out[0], request[0]);
}

inline void as_it_is(const NodeAttrs&, const OpContext&, const Arrays& in, const Requests& request,
                     const Arrays& out) {
  copy(Map(in[0]), out[0], request[0]);
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
