// Rows of stored voxels as float32 values, one table a SIMD level.
#pragma once

#include <cstddef>

#include "core/cpu.hpp"
#include "volume/crop.hpp"

namespace medshard::volume {

struct Mapping {
  float scale, bias, low, high;
};

// out[i] = min(max(in[i] * scale + bias, low), high); `reverse` writes the row from its end.
using Convert = void (*)(const void* in, float* out, std::size_t count, const Mapping& mapping, bool reverse);

struct Converters {
  Convert of[7];  // by Type
};

const Converters& scalar_converters();
const Converters& avx2_converters();
const Converters& avx512_converters();
const Converters& converters_of(core::Simd level);

}  // namespace medshard::volume
