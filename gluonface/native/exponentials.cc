// The exponentials of logits for a softmax, in place: exp(logit - the row's largest).
#include "vectors.h"

using namespace gluonface;

namespace {

constexpr int64_t kPart = 1 << 12;   // numbers that are summed in float32

inline V larger(V a, V b) { return a > b ? a : b; }

// Numbers from the last whole vector on, filled up with `rest`.
inline V load_some(const float* p, int64_t count, float rest) {
  V v = V{} + rest;
  std::memcpy(&v, p, count * sizeof(float));
  return v;
}

// Multiply and shift scores; return their largest. NaN are passed over.
float to_logits(float* x, int64_t count, const float* factors, float factor, const float* shift) {
  constexpr float kLeast = -__builtin_inff();
  V most[kSums];
  for (V& each : most) each = V{} + kLeast;
  int64_t i = 0;
  for (int k = 0; i + kWidth <= count; i += kWidth, k = (k + 1) % kSums) {
    V v = load(x + i) * (factors ? load(factors + i) : V{} + factor);
    if (shift) v += load(shift + i);
    store(x + i, v);
    most[k] = larger(v, most[k]);
  }
  const V all = larger(larger(most[0], most[1]), larger(most[2], most[3]));
  float top = kLeast;
  for (int k = 0; k < kWidth; ++k) top = std::max(top, all[k]);
  for (; i < count; ++i) {
    x[i] *= factors ? factors[i] : factor;
    if (shift) x[i] += shift[i];
    top = x[i] > top ? x[i] : top;
  }
  return top;
}

// Write exp(x - top) over x; return the sum.
double to_exponentials(float* x, int64_t count, float top) {
  double total = 0;
  for (int64_t first = 0; first < count; first += kPart) {
    const int64_t stop = std::min(count, first + kPart);
    V sums[2] = {};
    int64_t i = first;
    for (; i + 2 * kWidth <= stop; i += 2 * kWidth) {
      const V a = exp_of(load(x + i) - top), b = exp_of(load(x + i + kWidth) - top);
      store(x + i, a);
      store(x + i + kWidth, b);
      sums[0] += a;
      sums[1] += b;
    }
    for (; i < stop; i += kWidth) {
      const int64_t some = std::min(kWidth, stop - i);
      const V a = exp_of(load_some(x + i, some, -__builtin_inff()) - top);
      std::memcpy(x + i, &a, some * sizeof(float));
      sums[0] += a;
    }
    total += sum(sums[0] + sums[1]);
  }
  return total;
}

}  // namespace

// A logit is the score times its column's of `factors`, or times `factor` where that is nullptr,
// plus its column's of `shift`, if there is one. The logit of a row at the column `own`, if that is
// not negative, is its number in `targets`. The row's largest logit goes to `tops`, its sum to
// `sums`; both are NaN if a logit is.
extern "C" void gluonface_exponentials(float* scores, int64_t rows, int64_t columns,
                                       const float* factors, float factor, const float* shift,
                                       const int64_t* own, const float* targets, float* tops,
                                       float* sums) {
#pragma omp parallel for num_threads(threads_for(rows * columns, 1 << 16)) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    float* x = scores + row * columns;
    const int64_t split = own[row] < 0 ? columns : own[row];
    float top = to_logits(x, split, factors, factor, shift);
    if (split < columns) {
      const int64_t next = split + 1;
      const float rest = to_logits(x + next, columns - next, factors ? factors + next : nullptr,
                                   factor, shift ? shift + next : nullptr);
      x[split] = targets[row];
      top = std::max({top, rest, x[split]});
    }
    const double total = to_exponentials(x, columns, top);
    tops[row] = total == total ? top : float(total);
    sums[row] = total;
  }
}

// Multiply numbers in place by their row's factor, take off their row's `less`, multiply by their
// `derivatives` and by their column's factor; the last three may be nullptr.
extern "C" void gluonface_scale(float* values, int64_t rows, int64_t columns, const float* by_row,
                                const float* less, const float* derivatives,
                                const float* by_column) {
#pragma omp parallel for num_threads(threads_for(rows * columns, 1 << 16)) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    float* x = values + row * columns;
    const float* slopes = derivatives ? derivatives + row * columns : nullptr;
    const float factor = by_row[row], off = less ? less[row] : 0.f;
    if (!less && !slopes && by_column) {  // as nearly always
      for (int64_t i = 0; i < columns; ++i) x[i] = x[i] * factor * by_column[i];
      continue;
    }
    for (int64_t i = 0; i < columns; ++i) {
      float value = x[i] * factor;
      if (less) value -= off;
      if (slopes) value *= slopes[i];
      x[i] = by_column ? value * by_column[i] : value;
    }
  }
}
