#include <cmath>
#include <cstring>

#include "augment/values.hpp"

namespace medshard::augment {
namespace scalar_level {
namespace {
#include "augment/math.inl"
#include "augment/noise.inl"
#include "augment/values.inl"
}  // namespace
}  // namespace scalar_level

const ValueKernels& scalar_value_kernels() { return scalar_level::table(); }

}  // namespace medshard::augment
