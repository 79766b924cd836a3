// The inner loops of neighbourhood and pointwise steps, one table of them a SIMD level; every level gives the
// same bits. `count` is a number of float32 values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu.hpp"

namespace medshard::augment {

struct ValueKernels {
  // v = v * scale + bias, then to 0..1 when `clamp`.
  void (*scale)(float* values, std::size_t count, float scale, float bias, bool clamp);

  // v = (v - mean) * inverse.
  void (*normalize)(float* values, std::size_t count, float mean, float inverse);

  // v = factor * v + (1 - factor) * other, to 0..1.
  void (*blend)(float* values, const float* other, std::size_t count, float factor);

  // v = (v to 0..1) ** exponent.
  void (*power)(float* values, std::size_t count, float exponent);

  // v = v * e ** exponents, of exponents within -80 to 80.
  void (*times_exp)(float* values, const float* exponents, std::size_t count);

  // v = 1 - v where v >= threshold.
  void (*solarize)(float* values, std::size_t count, float threshold);

  // v = floor(v * levels) / levels, at most levels - 1 of them.
  void (*posterize)(float* values, std::size_t count, float levels);

  // ITU-R BT.601 luma of three planes.
  void (*luma)(const float* red, const float* green, const float* blue, std::size_t count, float* out);

  // Hue turned by `shift` of a whole circle, in HSV.
  void (*turn_hue)(float* red, float* green, float* blue, std::size_t count, float shift);

  // log2(rgb) = matrix * log2(rgb) + offset, rgb at least 1e-6 before and in 0..1 after; matrix by rows.
  void (*mix_densities)(float* red, float* green, float* blue, std::size_t count, const float* matrix,
                        const float* offset);

  // v += mean + sigma * (value i of the Gaussian stream `place` of `seed`), to 0..1 when `clamp`.
  void (*add_noise)(float* values, std::size_t count, std::uint64_t seed, std::uint32_t place, float mean,
                    float sigma, bool clamp);

  // out[i] = sum over k < taps of weights[k] * rows[k][i].
  void (*weighted_sum)(const float* const* rows, const float* weights, int taps, std::size_t count,
                       float* out);

  // Of all values, in an order of additions that is the same at every level.
  double (*sum)(const float* values, std::size_t count);
  double (*sum_of_squares)(const float* values, std::size_t count, double centre);
};

const ValueKernels& scalar_value_kernels();
const ValueKernels& avx2_value_kernels();
const ValueKernels& avx512_value_kernels();

// The table of a level that available_simd() lists.
const ValueKernels& value_kernels_of(core::Simd level);

}  // namespace medshard::augment
