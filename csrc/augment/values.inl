// The loops of neighbourhood and pointwise steps, plain C++ that the compiler turns into vectors: each
// including file is compiled with its own instruction set. Included inside a namespace of the level's name,
// after math.inl and noise.inl.

inline void scale(float* __restrict values, std::size_t count, float factor, float bias, bool clamp) {
  if (clamp) {
    for (std::size_t i = 0; i < count; ++i) values[i] = within_unit(values[i] * factor + bias);
  } else {
    for (std::size_t i = 0; i < count; ++i) values[i] = values[i] * factor + bias;
  }
}

inline void normalize(float* __restrict values, std::size_t count, float mean, float inverse) {
  for (std::size_t i = 0; i < count; ++i) values[i] = (values[i] - mean) * inverse;
}

inline void blend(float* __restrict values, const float* __restrict other, std::size_t count, float factor) {
  const float rest = 1.0f - factor;
  for (std::size_t i = 0; i < count; ++i) values[i] = within_unit(factor * values[i] + rest * other[i]);
}

inline void power(float* __restrict values, std::size_t count, float exponent) {
  for (std::size_t i = 0; i < count; ++i) {
    const float value = within_unit(values[i]);
    const float raised = exp2_of(exponent * log2_of(value < 1e-30f ? 1e-30f : value));
    values[i] = value < 1e-30f ? 0.0f : within_unit(raised);
  }
}

inline void times_exp(float* __restrict values, const float* __restrict exponents, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) values[i] *= exp2_of(exponents[i] * 1.4426950408889634f);
}

inline void solarize(float* __restrict values, std::size_t count, float threshold) {
  for (std::size_t i = 0; i < count; ++i) {
    const float value = values[i];
    values[i] = value >= threshold ? 1.0f - value : value;
  }
}

inline void posterize(float* __restrict values, std::size_t count, float levels) {
  for (std::size_t i = 0; i < count; ++i) {
    const float value = values[i] > 0.0f ? within_unit(values[i]) : 0.0f;  // NaN has no whole number
    float step = static_cast<float>(static_cast<std::int32_t>(value * levels));
    step = step > levels - 1.0f ? levels - 1.0f : step;
    values[i] = step / levels;
  }
}

inline void luma(const float* __restrict red, const float* __restrict green, const float* __restrict blue,
                 std::size_t count, float* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = 0.299f * red[i] + 0.587f * green[i] + 0.114f * blue[i];
}

// One channel of a colour of hue `h6` (in sixths of a circle, 0 to 6): V - C * max(0, min(k, 4 - k, 1)).
inline float channel_of_hue(float h6, float offset, float value, float chroma) {
  float k = h6 + offset;
  k = k >= 6.0f ? k - 6.0f : k;
  float share = k < 4.0f - k ? k : 4.0f - k;
  return value - chroma * within_unit(share);
}

inline void turn_hue(float* __restrict red, float* __restrict green, float* __restrict blue,
                     std::size_t count, float shift) {
  const float shift6 = shift * 6.0f;
  for (std::size_t i = 0; i < count; ++i) {
    const float r = red[i], g = green[i], b = blue[i];
    const float rg_high = r > g ? r : g, rg_low = r > g ? g : r;
    const float high = rg_high > b ? rg_high : b, low = rg_low < b ? rg_low : b;
    const float chroma = high - low;
    const float divisor = chroma > 0.0f ? chroma : 1.0f;
    const float of_red = (g - b) / divisor, of_green = 2.0f + (b - r) / divisor,
                of_blue = 4.0f + (r - g) / divisor;
    float h6 = (high == r ? of_red : high == g ? of_green : of_blue) + shift6;
    h6 = h6 < 0.0f ? h6 + 6.0f : h6;
    h6 = h6 < 0.0f ? h6 + 6.0f : h6;  // red begins at -1, and a turn is -3 at most
    h6 = h6 >= 6.0f ? h6 - 6.0f : h6;
    red[i] = channel_of_hue(h6, 5.0f, high, chroma);
    green[i] = channel_of_hue(h6, 3.0f, high, chroma);
    blue[i] = channel_of_hue(h6, 1.0f, high, chroma);
  }
}

inline void mix_densities(float* __restrict red, float* __restrict green, float* __restrict blue,
                          std::size_t count, const float* __restrict matrix, const float* __restrict offset) {
  const float m0 = matrix[0], m1 = matrix[1], m2 = matrix[2], m3 = matrix[3], m4 = matrix[4], m5 = matrix[5],
              m6 = matrix[6], m7 = matrix[7], m8 = matrix[8];
  const float o0 = offset[0], o1 = offset[1], o2 = offset[2];
  for (std::size_t i = 0; i < count; ++i) {
    const float r = log2_of(red[i] < 1e-6f ? 1e-6f : red[i]);
    const float g = log2_of(green[i] < 1e-6f ? 1e-6f : green[i]);
    const float b = log2_of(blue[i] < 1e-6f ? 1e-6f : blue[i]);
    red[i] = within_unit(exp2_of(m0 * r + m1 * g + m2 * b + o0));
    green[i] = within_unit(exp2_of(m3 * r + m4 * g + m5 * b + o1));
    blue[i] = within_unit(exp2_of(m6 * r + m7 * g + m8 * b + o2));
  }
}

// Eight values; a level with shorter registers takes several for them.
typedef float Eight __attribute__((vector_size(32)));

inline void add_weighted(Eight& sum, float weight, const float* values) {
  Eight loaded;
  std::memcpy(&loaded, values, sizeof loaded);  // rows are not aligned
  sum += weight * loaded;
}

inline void weighted_sum(const float* const* rows, const float* __restrict weights, int taps,
                         std::size_t count, float* __restrict out) {
  constexpr std::size_t kLanes = 32;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Eight sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {};  // an array would not stay in registers
    for (int k = 0; k < taps; ++k) {
      const float* row = rows[k] + i;
      add_weighted(sum0, weights[k], row);
      add_weighted(sum1, weights[k], row + 8);
      add_weighted(sum2, weights[k], row + 16);
      add_weighted(sum3, weights[k], row + 24);
    }
    std::memcpy(out + i, &sum0, sizeof sum0);
    std::memcpy(out + i + 8, &sum1, sizeof sum1);
    std::memcpy(out + i + 16, &sum2, sizeof sum2);
    std::memcpy(out + i + 24, &sum3, sizeof sum3);
  }
  for (; i < count; ++i) {
    float total = 0.0f;
    for (int k = 0; k < taps; ++k) total += weights[k] * rows[k][i];
    out[i] = total;
  }
}

// Eight partial sums, so that a level may add eight values at once without changing the result.
template <typename Term>
double eightfold_sum(std::size_t count, Term term) {
  double sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) sums[lane] += term(i + lane);
  }
  for (; i < count; ++i) sums[i % 8] += term(i);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

inline double sum(const float* values, std::size_t count) {
  return eightfold_sum(count, [&](std::size_t i) { return static_cast<double>(values[i]); });
}

inline double sum_of_squares(const float* values, std::size_t count, double centre) {
  return eightfold_sum(count, [&](std::size_t i) {
    const double difference = static_cast<double>(values[i]) - centre;
    return difference * difference;
  });
}

inline const ValueKernels& table() {
  static const ValueKernels kernels = {scale,     normalize,    blend, power,         times_exp,
                                       solarize,  posterize,    luma,  turn_hue,      mix_densities,
                                       add_noise, weighted_sum, sum,   sum_of_squares};
  return kernels;
}
