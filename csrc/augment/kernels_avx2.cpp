#include <immintrin.h>

#include "augment/kernels.hpp"

namespace medshard::augment {
namespace avx2_level {
#include "augment/kernels.inl"
}  // namespace avx2_level

const Kernels& avx2_kernels() { return avx2_level::table(); }

}  // namespace medshard::augment
