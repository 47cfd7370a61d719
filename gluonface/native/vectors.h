// Eight floats at a time, for functions that need no MXNet. The order of sums does not depend on
// the processor or the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace gluonface {

constexpr int64_t kWidth = 8, kSums = 4;  // four sums hide the latency of an addition

typedef float V __attribute__((vector_size(4 * kWidth)));
typedef int32_t I __attribute__((vector_size(4 * kWidth)));
typedef float Unaligned __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

inline V load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, V v) { *reinterpret_cast<Unaligned*>(p) = v; }

inline float sum(V v) {
  float s[kWidth];
  std::memcpy(s, &v, sizeof s);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

inline float inner_product(const float* a, const float* b, int64_t size) {
  V sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kWidth <= size; i += kSums * kWidth) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < kSums; ++k) sums[k] += load(a + i + k * kWidth) * load(b + i + k * kWidth);
  }
  for (; i + kWidth <= size; i += kWidth) sums[0] += load(a + i) * load(b + i);
  float total = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < size; ++i) total += a[i] * b[i];
  return total;
}

// exp(x) to 1.5 units in the last place; 0 below -87.3, where it is no normal number. Not for x > 88.
inline V exp_of(V x) {
  const V least = V{} - 87.33654f;
  const V small = x < least ? least : x;  // a NaN stays
  const V shifted = small * 1.44269504f + 12582912.f;  // the nearest whole number in its last bits
  const V n = shifted - 12582912.f;
  const V r = small - n * 0.693359375f + n * 2.12194440e-4f;
  V p = V{} + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  const I power = (I)shifted << 23;  // added to the exponent
  const V found = (V)((I)p + power);
  return x < least ? V{} : found;
}

// How many threads some work is worth, of those that OMP_NUM_THREADS allows.
inline int threads_for(int64_t numbers, int64_t least) {
#ifdef _OPENMP
  return std::max<int64_t>(1, std::min<int64_t>(omp_get_max_threads(), numbers / least));
#else
  return 1;
#endif
}

}  // namespace gluonface
