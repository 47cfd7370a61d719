// The rows of the class centres that are in a step: read, and updated by SGD.
//
// The rows lie far apart, so those that come next are fetched ahead, and each is read and written
// once. The update is the arithmetic of `row_optimizers.Sgd`, in its order.
#include "vectors.h"

namespace {

constexpr int64_t kAhead = 8;       // rows that are fetched ahead
constexpr int64_t kLeast = 1 << 16;  // numbers that are worth another thread
constexpr float kTiny = 1e-24f;     // as `sampled_centers.TINY`

// Rows of an array, all of them or those of an index.
struct Rows {
  float* first;
  int64_t step;          // floats from a row to the next
  const int64_t* index;  // or nullptr
  int64_t count;

  float* at(int64_t i) const { return first + (index ? index[i] : i) * step; }

  template <int Write>
  void fetch(int64_t i, int64_t width) const {
    if (!index || i >= count) return;
    const float* row = at(i);
    for (int64_t j = 0; j < width; j += 16) __builtin_prefetch(row + j, Write);
  }
};

}  // namespace

// Copy rows of `table` to `out`, and the sums of the squares of their `parts` to `squares`. With
// `missed`, a matrix (2, 2) for each row, first make the updates that the rows have missed:
// [w; v] <- M [w; v], with the momentum v in `slots`, which is nullptr where there is none.
extern "C" void gluonface_read_rows(float* table, int64_t step, float* slots, int64_t slots_step,
                                    const int64_t* index, int64_t count, int64_t width,
                                    const float* missed, int64_t parts, float* out,
                                    float* squares) {
  const Rows rows{table, step, index, count}, state{slots, slots_step, index, count};
  const int64_t size = width / parts;
#pragma omp parallel for num_threads(gluonface::threads_for(count * width, kLeast)) schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    rows.fetch<0>(i + kAhead, width);
    float *to = out + i * width, *w = rows.at(i);
    if (missed) {
      const float *m = missed + 4 * i, a = m[0], b = m[1], c = m[2], d = m[3];
      float* v = slots ? state.at(i) : nullptr;
#pragma GCC ivdep
      for (int64_t j = 0; v && j < width; ++j) {
        const float old = w[j], moved = v[j];
        w[j] = old * a + moved * b;
        v[j] = moved * d + old * c;
      }
      for (int64_t j = 0; !v && j < width; ++j) w[j] *= a;
    }
    std::memcpy(to, w, width * sizeof(float));
    for (int64_t k = 0; squares && k < parts; ++k) {
      squares[i * parts + k] = gluonface::inner_product(to + k * size, to + k * size, size);
    }
  }
}

// v <- momentum v + factor gradient - decay w; w <- w + v. `given` has the rows as the step read
// them; of `table` they are only written. With `radial` the gradient is without its component
// along the row; `squares` may have the rows' squared lengths. `slots` is nullptr without momentum.
extern "C" void gluonface_update_rows(float* table, int64_t step, float* slots, int64_t slots_step,
                                      const int64_t* index, int64_t count, int64_t width,
                                      const float* given, const float* gradient, int radial,
                                      const float* squares, float factor, float decay,
                                      float momentum) {
  const Rows rows{table, step, index, count}, state{slots, slots_step, index, count};
#pragma omp parallel for num_threads(gluonface::threads_for(count * width, kLeast)) schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    rows.fetch<1>(i + kAhead, width);
    if (slots) state.fetch<1>(i + kAhead, width);
    const float *w = given + i * width, *g = gradient + i * width;
    float* out = rows.at(i);
    float along = 0;
    if (radial) {
      const float square = squares ? squares[i] : gluonface::inner_product(w, w, width);
      along = gluonface::inner_product(g, w, width) / (-square - kTiny) * factor;
    }
    along -= decay;
    if (slots) {
      float* v = state.at(i);
#pragma GCC ivdep
      for (int64_t j = 0; j < width; ++j) {
        v[j] = v[j] * momentum + (g[j] * factor + w[j] * along);
        out[j] = w[j] + v[j];
      }
    } else {
#pragma GCC ivdep
      for (int64_t j = 0; j < width; ++j) out[j] = w[j] + (g[j] * factor + w[j] * along);
    }
  }
}
