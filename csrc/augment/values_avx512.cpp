#include <cmath>
#include <cstring>

#include "augment/values.hpp"

namespace medshard::augment {
namespace avx512_level {
namespace {
#include "augment/math.inl"
#include "augment/noise.inl"
#include "augment/values.inl"
}  // namespace
}  // namespace avx512_level

const ValueKernels& avx512_value_kernels() { return avx512_level::table(); }

}  // namespace medshard::augment
