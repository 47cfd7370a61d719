// The terms of a binary loss of some classes: sums of softplus, and sigmoids in place of logits.
#include <vector>

#include "vectors.h"

using namespace gluonface;

namespace {

constexpr int64_t kRows = 256;  // classes whose sums are added up before they are added to others
constexpr int64_t kFew = 32;    // classes that are summed in float32
constexpr float kNoLogit = -1e30f;

inline V larger(V a, V b) { return a > b ? a : b; }

// log(1 + e) of 0 <= e <= 1, as 2 artanh(e / (2 + e)), to 2e-7 of it.
inline V log_of_1_plus(V e) {
  const V s = e / (e + 2.f), q = s * s;
  V p = V{} + 1.f / 13.f;
  p = p * q + 1.f / 11.f;
  p = p * q + 1.f / 9.f;
  p = p * q + 1.f / 7.f;
  p = p * q + 1.f / 5.f;
  p = p * q + 1.f / 3.f;
  return (p * q + 1.f) * s * 2.f;
}

struct Sums {
  V losses, slopes, top;
};

// Turn logits into sigmoids times `factor`; add softplus and sigmoids times `weight` to the sums.
inline V to_slopes(V z, float weight, float factor, Sums* sums) {
  const V zero = {}, one = zero + 1.f;
  const V e = exp_of(z > zero ? -z : z), inverse = one / (e + one);
  const V slope = z > zero ? inverse : e * inverse;
  sums->losses += (larger(z, zero) + log_of_1_plus(e)) * weight;
  sums->slopes += slope * weight;
  sums->top = larger(z, sums->top);
  return slope * (weight * factor);
}

struct Terms {
  float* logits;
  int64_t samples;
  const float *factors, *biases, *weights;
  float bias, factor;
  const int64_t *own, *own_samples;  // sorted by class
  int64_t owned;

  // Work on the classes from `first` to `last`; add to the sums (samples,), return the largest.
  float run(int64_t first, int64_t last, double* losses, double* slopes) const {
    const int64_t vectors = (samples + kWidth - 1) / kWidth;
    std::vector<Sums> sums(vectors, Sums{{}, {}, V{} + kNoLogit});
    const int64_t* next = std::lower_bound(own, own + owned, first);
    for (int64_t row = first; row < last; ++row) {
      float* z = logits + row * samples;
      const float scale = factors ? factors[row] : 1.f, add = biases ? biases[row] : bias;
      for (int64_t i = 0; i < samples; ++i) z[i] = z[i] * scale + add;
      for (; next < own + owned && *next == row; ++next) z[own_samples[next - own]] = kNoLogit;
      const float weight = weights ? weights[row] : 1.f;
      int64_t i = 0;
      for (; i + kWidth <= samples; i += kWidth) {
        store(z + i, to_slopes(load(z + i), weight, factor, &sums[i / kWidth]));
      }
      if (i < samples) {
        const int64_t bytes = (samples - i) * sizeof(float);
        V some = V{} + kNoLogit;
        std::memcpy(&some, z + i, bytes);
        some = to_slopes(some, weight, factor, &sums[i / kWidth]);
        std::memcpy(z + i, &some, bytes);
      }
      if ((row - first + 1) % kFew && row + 1 < last) continue;
      for (int64_t j = 0; j < samples; ++j) {
        losses[j] += sums[j / kWidth].losses[j % kWidth];
        slopes[j] += sums[j / kWidth].slopes[j % kWidth];
      }
      for (Sums& each : sums) each.losses = each.slopes = V{};
    }
    float top = kNoLogit;
    for (int64_t j = 0; j < samples; ++j) top = std::max(top, sums[j / kWidth].top[j % kWidth]);
    return top;
  }
};

}  // namespace

// A logit of a class is the number in `logits` (classes, samples), times the class's of `factors`,
// plus its of `biases`, or `bias` where that is nullptr. Those of the classes `own` to the samples
// `own_samples`, sorted by class, are left out: their slopes become 0. `logits` become sigmoids,
// times `factor` and the class's number in `weights`; `losses` and `slopes` (samples,) get the sums
// of softplus and of the sigmoids, times `weights`. Returns the largest logit, -1e30 if there is
// none; NaN are passed over.
extern "C" float gluonface_binary_terms(float* logits, int64_t classes, int64_t samples,
                                        const float* factors, const float* biases, float bias,
                                        const float* weights, float factor, const int64_t* own,
                                        const int64_t* own_samples, int64_t owned, double* losses,
                                        double* slopes) {
  const Terms terms{logits, samples, factors,     biases, weights,
                    bias,   factor,  own,         own_samples, owned};
  const int64_t parts = (classes + kRows - 1) / kRows;
  std::vector<double> sums(2 * parts * samples, 0.0);
  std::vector<float> tops(parts);
#pragma omp parallel for num_threads(threads_for(classes * samples, 1 << 15)) schedule(static)
  for (int64_t part = 0; part < parts; ++part) {
    double* here = sums.data() + 2 * part * samples;
    tops[part] = terms.run(part * kRows, std::min(classes, (part + 1) * kRows), here,
                           here + samples);
  }
  std::fill_n(losses, samples, 0.0);
  std::fill_n(slopes, samples, 0.0);
  float top = kNoLogit;
  for (int64_t part = 0; part < parts; ++part) {  // in one order on any number of threads
    const double* here = sums.data() + 2 * part * samples;
    for (int64_t j = 0; j < samples; ++j) {
      losses[j] += here[j];
      slopes[j] += here[j + samples];
    }
    top = std::max(top, tops[part]);
  }
  return top;
}
