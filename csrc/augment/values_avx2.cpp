#include <cmath>
#include <cstring>

#include "augment/values.hpp"

namespace medshard::augment {
namespace avx2_level {
namespace {
#include "augment/math.inl"
#include "augment/noise.inl"
#include "augment/values.inl"
}  // namespace
}  // namespace avx2_level

const ValueKernels& avx2_value_kernels() { return avx2_level::table(); }

}  // namespace medshard::augment
