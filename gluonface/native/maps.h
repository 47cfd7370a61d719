// Maps (N, C, ...) of float32 in the memory layouts of MXNet and oneDNN, and loops over them.
#pragma once

#include "mxnet_abi.h"

#include <algorithm>
#include <initializer_list>

namespace gluonface {

// Where the elements are: (n, c, pixel) at
//   n * image + (c / width) * block + pixel * step + c % width.
struct Layout {
  int64_t images, channels, pixels;
  int64_t width;   // channels that lie together
  int64_t blocks;  // of so many channels; the last one may be filled up
  int64_t image, block, step;
  int64_t slots() const { return blocks * width; }
  int64_t place(int64_t n, int64_t channel) const {
    return n * image + channel / width * block + channel % width;
  }
};

inline Layout planes(const mxnet::TShape& shape) {
  const int64_t pixels = shape.ProdShape(2, shape.ndim());
  return {shape[0], shape[1], pixels, 1, shape[1], shape[1] * pixels, pixels, 1};
}

// Return whether oneDNN's description is of blocks of channels, or of channels last.
inline bool describe(const mkldnn::memory::desc& desc, Layout* layout) {
  const auto& d = desc.data;
  const auto& blocking = d.format_desc.blocking;
  if (d.format_kind != dnnl_blocked || d.data_type != dnnl_f32 || d.offset0 != 0 || d.ndims < 3) {
    return false;
  }
  const int64_t filled = d.padded_dims[1];
  int64_t pixels = 1;
  for (int axis = 2; axis < d.ndims; ++axis) pixels *= d.dims[axis];
  if (blocking.inner_nblks == 1 && blocking.inner_idxs[0] == 1) {
    const int64_t width = blocking.inner_blks[0];
    if (width != 16 && width != 8 && width != 4) return false;
    const int64_t blocks = filled / width;
    *layout = {d.dims[0], d.dims[1], pixels, width, blocks, filled * pixels, pixels * width, width};
  } else if (blocking.inner_nblks == 0 && blocking.strides[1] == 1 && filled == d.dims[1]) {
    int64_t width = 16;
    while (filled % width) width /= 2;
    *layout = {d.dims[0], filled, pixels, width, filled / width, filled * pixels, width, filled};
  } else {
    return false;
  }
  // And dense: MXNet has no other, but a wrong guess would be wrong numbers.
  int64_t stride = layout->step;
  for (int axis = d.ndims - 1; axis >= 2; --axis) {
    if (d.dims[axis] != 1 && blocking.strides[axis] != stride) return false;
    stride *= d.dims[axis];
  }
  return (d.dims[0] == 1 || blocking.strides[0] == layout->image) &&
         (blocking.inner_nblks == 0 || layout->blocks == 1 || blocking.strides[1] == layout->block);
}

// The description of maps of another size that lie in the same way.
inline mkldnn::memory::desc resized(const mkldnn::memory::desc& desc, const Layout& layout,
                                    int64_t rows, int64_t columns) {
  mkldnn::memory::desc result(desc);
  auto& d = result.data;
  d.dims[2] = d.padded_dims[2] = rows;
  d.dims[3] = d.padded_dims[3] = columns;
  auto* strides = d.format_desc.blocking.strides;
  const bool last = d.format_desc.blocking.inner_nblks == 0;
  strides[3] = layout.step;
  strides[2] = layout.step * columns;
  strides[1] = last ? 1 : layout.step * columns * rows;
  strides[0] = layout.slots() * rows * columns;
  return result;
}

// The description of maps in blocks of 16 or 8 channels, which oneDNN's BatchNorm wants. Returns
// whether the channels are a multiple.
inline bool in_blocks(const mxnet::TShape& shape, mkldnn::memory::desc* desc) {
#ifdef __AVX512F__
  const int64_t width = shape[1] % 16 == 0 ? 16 : 8;
#else
  const int64_t width = 8;
#endif
  if (shape.ndim() != 4 || shape[1] % width) return false;
  auto& d = desc->data;
  d = dnnl_memory_desc_t();
  d.ndims = 4;
  d.data_type = dnnl_f32;
  d.format_kind = dnnl_blocked;
  auto& blocking = d.format_desc.blocking;
  for (int axis = 0; axis < 4; ++axis) d.dims[axis] = d.padded_dims[axis] = shape[axis];
  blocking.inner_nblks = 1;
  blocking.inner_blks[0] = width;
  blocking.inner_idxs[0] = 1;
  blocking.strides[3] = width;
  blocking.strides[2] = width * shape[3];
  blocking.strides[1] = width * shape[2] * shape[3];
  blocking.strides[0] = shape[1] * shape[2] * shape[3];
  return true;
}

inline bool equal(const mkldnn::memory::desc& one, const mkldnn::memory::desc& other) {
  const auto &a = one.data, &b = other.data;
  return a.ndims == b.ndims && a.format_kind == b.format_kind && a.data_type == b.data_type &&
         !std::memcmp(a.dims, b.dims, a.ndims * sizeof(a.dims[0])) &&
         !std::memcmp(a.padded_dims, b.padded_dims, a.ndims * sizeof(a.dims[0])) &&
         !std::memcmp(a.format_desc.blocking.strides, b.format_desc.blocking.strides,
                      a.ndims * sizeof(a.dims[0])) &&
         a.format_desc.blocking.inner_nblks == b.format_desc.blocking.inner_nblks &&
         a.format_desc.blocking.inner_blks[0] == b.format_desc.blocking.inner_blks[0] &&
         a.format_desc.blocking.inner_idxs[0] == b.format_desc.blocking.inner_idxs[0];
}

// An operand's elements. `owner` keeps them: the array itself, or a copy in another layout.
struct Elements {
  NDArray owner;
  float* data;
};

inline Elements plain(const NDArray& array) {
  NDArray copy = array.Reorder2Default();  // the array itself if it lies so
  return {copy, copy.data().dptr<float>()};
}

// The first operand. Its layout becomes that of all others and of the outputs.
struct Map {
  Elements elements;
  Layout layout;
  bool blocked;
  mkldnn::memory::desc desc;  // if it is blocked

  // A map of this one's layout and another size: for an output.
  Map(const Map& other, const NDArray& array)
      : elements{array, nullptr}, layout(planes(array.shape())), blocked(other.blocked) {
    if (!blocked) return;
    desc = resized(other.desc, other.layout, array.shape()[2], array.shape()[3]);
    CHECK(describe(desc, &layout));
  }

  explicit Map(const NDArray& array) : elements{array, nullptr} {
    const auto* known = layout_of(array);
    blocked = known && !array.IsView() && array.IsMKLDNNData() && describe(*known, &layout);
    if (blocked) {
      desc = *known;
      elements.data = memory_of(array);
    } else {
      elements = plain(array);
      layout = planes(array.shape());
    }
  }

  // A map of this description, for an output.
  Map(const mkldnn::memory::desc& description, const NDArray& array)
      : elements{array, nullptr}, blocked(true), desc(description) {
    CHECK(describe(desc, &layout));
  }

  // Another map of this shape, in this layout.
  Elements like(const NDArray& array) const {
    if (!blocked) return plain(array);
    const auto* known = layout_of(array);
    if (known && !array.IsView() && equal(*known, desc)) return {array, memory_of(array)};
    NDArray copy(desc);
    copy.CopyFrom(*array.GetMKLDNNData());
    mxnet::MKLDNNStream::Get()->Submit();
    return {copy, memory_of(copy)};
  }
};

// An output map: written to in the layout of the first operand, or added to, or not wanted.
// It may share its memory with the first operand, which therefore has to be read before.
class Output {
 public:
  Output(const Map& map, const NDArray& array, mxnet::OpReqType request)
      : map_(map), array_(array), request_(request), elements_{array, nullptr} {
    const auto* known = layout_of(array_);
    if (request == mxnet::kNullOp) {
      aside();
    } else if (request == mxnet::kAddTo) {
      elements_ = map.like(array_);
    } else if (!map.blocked) {
      array_.InvalidateMKLDNNData();
      elements_ = plain(array_);
    } else if (array_.IsView()) {  // cannot have oneDNN's layout
      aside();
    } else {
      if (!known || !equal(*known, map.desc)) array_.CreateMKLDNNData(map.desc);
      elements_.data = memory_of(array_);
    }
  }
  float* data() const { return elements_.data; }
  bool adds() const { return request_ == mxnet::kAddTo; }

  // Copy to where the result belongs, if it was computed elsewhere.
  void finish() {
    if (request_ == mxnet::kNullOp || elements_.owner.var() == array_.var()) return;
    array_.CopyFrom(*elements_.owner.GetMKLDNNData());
    mxnet::MKLDNNStream::Get()->Submit();
  }

 private:
  void aside() {
    elements_.owner = map_.blocked ? NDArray(map_.desc)
                                   : NDArray(array_.shape(), array_.ctx(), false, array_.dtype());
    elements_.data = memory_of(elements_.owner);
  }

  const Map map_;
  NDArray array_;
  mxnet::OpReqType request_;
  Elements elements_;
};

// Rows of one number per channel, filled up with zeros where the map's channels are.
class ByChannel {
 public:
  ByChannel(const NDArray& array, const Layout& l) : given_(plain(array)) {
    if (l.slots() == l.channels) return;
    const int64_t rows = array.shape().Size() / l.channels;
    filled_.resize(rows * l.slots(), 0.f);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(given_.data + row * l.channels, l.channels, filled_.data() + row * l.slots());
    }
  }
  const float* data() const { return filled_.empty() ? given_.data : filled_.data(); }

 private:
  const Elements given_;
  std::vector<float> filled_;
};

// The opposite: one number per channel, without what fills the map's channels up.
inline std::vector<float> by_channel(const std::vector<double>& sums, const Layout& l) {
  std::vector<float> result(sums.size() / l.slots() * l.channels);
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = sums[i / l.channels * l.slots() + i % l.channels];
  }
  return result;
}

// Floats that are computed with at once. The compiler makes of it what the processor has.
template <int W>
struct Lanes {
  typedef float Type __attribute__((vector_size(4 * W), aligned(4), may_alias));
};
template <>
struct Lanes<1> {
  typedef float Type;
};
template <int W>
using V = typename Lanes<W>::Type;

template <int W>
inline V<W>& at(float* place) {
  return *reinterpret_cast<V<W>*>(place);
}
template <int W>
inline V<W> at(const float* place) {
  return *reinterpret_cast<const V<W>*>(place);
}

// Some pixels of some channels of one image, W elements at a time.
struct Row {
  int64_t first;    // of its elements
  int64_t count;    // of vectors
  int64_t step;     // from one to the next
  int64_t image;
  int64_t channel;  // the first one
  int64_t pixel;    // the first one
  bool spread;      // the lanes are pixels of one channel, not channels of one pixel
};

// The W values that belong to a row's lanes, of one value per channel.
template <int W>
inline V<W> of_channels(const float* values, const Row& row) {
  return row.spread ? V<W>{} + values[row.channel] : at<W>(values + row.channel);
}

template <int W>
inline void add_to_channels(V<W> sum, double* sums, const Row& row) {
  const float* lanes = reinterpret_cast<const float*>(&sum);
  for (int lane = 0; lane < W; ++lane) sums[row.channel + (row.spread ? 0 : lane)] += lanes[lane];
}

template <typename Kernel>
inline void run_block(const Layout& l, int64_t image, int64_t block, const Kernel& kernel) {
  Row row{image * l.image + block * l.block, l.pixels, l.step, image, block * l.width, 0, false};
  if (l.width == 16) {
    kernel.template run<16>(row);
  } else if (l.width == 8) {
    kernel.template run<8>(row);
  } else if (l.width == 4) {
    kernel.template run<4>(row);
  } else if (l.width == 2) {
    kernel.template run<2>(row);
  } else if (l.step != 1) {
    kernel.template run<1>(row);
  } else {
    row.count = l.pixels / 16;
    row.step = 16;
    row.spread = true;
    kernel.template run<16>(row);
    row.pixel = row.count * 16;
    row.first += row.pixel;
    row.count = l.pixels - row.pixel;
    row.step = 1;
    row.spread = false;
    kernel.template run<1>(row);
  }
}

// Call `kernel.run<W>(row)` for all of a map, blocks of channels side by side.
template <typename Kernel>
inline void for_rows(const Layout& l, const Kernel& kernel) {
  const int64_t count = l.images * l.blocks;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) run_block(l, i / l.blocks, i % l.blocks, kernel);
}

// The same with one image after the other on one thread, for sums over channels.
template <typename Kernel>
inline void for_images(const Layout& l, const Kernel& kernel) {
#pragma omp parallel for schedule(static)
  for (int64_t image = 0; image < l.images; ++image) {
    for (int64_t block = 0; block < l.blocks; ++block) run_block(l, image, block, kernel);
  }
}

// Sums are taken in float32 over so many pixels at most and in double beyond, in an order that does
// not depend on the number of threads.
constexpr int64_t kPart = 256;

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

}  // namespace gluonface
