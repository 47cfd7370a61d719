// One query's inner products with the rows of a matrix: those above a bar.
//
// Reading the matrix takes the time, so it is read once, row after row, and only the products that
// are above the bar are written.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

constexpr int64_t kWidth = 8, kSums = 4;  // four sums hide the latency of an addition
constexpr int64_t kLeast = 1 << 18;       // numbers that are worth another thread

typedef float V __attribute__((vector_size(4 * kWidth)));
typedef float Unaligned __attribute__((vector_size(4 * kWidth), aligned(4)));

inline V at(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }

inline float inner_product(const float* a, const float* b, int64_t size) {
  V sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kWidth <= size; i += kSums * kWidth) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < kSums; ++k) sums[k] += at(a + i + k * kWidth) * at(b + i + k * kWidth);
  }
  for (; i + kWidth <= size; i += kWidth) sums[0] += at(a + i) * at(b + i);
  const V all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float s[kWidth];
  std::memcpy(s, &all, sizeof s);
  float sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  for (; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

// Write the numbers and products of the rows whose product is above `bar`, in their order; return
// how many there are. `found` and `products` have room for all rows. A NaN is above no bar.
extern "C" int64_t gluonface_rows_above(const float* query, const float* matrix, int64_t rows,
                                        int64_t size, float bar, int64_t* found, float* products) {
  int threads = 1;
#ifdef _OPENMP
  threads = std::max<int64_t>(1, std::min<int64_t>(omp_get_max_threads(), rows * size / kLeast));
#endif
  // A thread's rows lie together, and it writes from the place of its first row on.
  std::vector<int64_t> first(threads + 1), counts(threads, 0);
  for (int t = 0; t <= threads; ++t) first[t] = rows * t / threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int t = 0; t < threads; ++t) {
    int64_t count = first[t];
    for (int64_t row = first[t]; row < first[t + 1]; ++row) {
      const float product = inner_product(query, matrix + row * size, size);
      if (product > bar) {
        found[count] = row;
        products[count++] = product;
      }
    }
    counts[t] = count - first[t];
  }
  int64_t total = counts[0];
  for (int t = 1; t < threads; ++t) {
    std::copy_n(found + first[t], counts[t], found + total);
    std::copy_n(products + first[t], counts[t], products + total);
    total += counts[t];
  }
  return total;
}
