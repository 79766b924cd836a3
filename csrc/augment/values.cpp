#include "augment/values.hpp"

namespace medshard::augment {

const ValueKernels& value_kernels_of(core::Simd level) {
#if defined(MEDSHARD_X86)
  if (level == core::Simd::avx512) return avx512_value_kernels();
  if (level == core::Simd::avx2) return avx2_value_kernels();
#endif
  (void)level;
  return scalar_value_kernels();
}

}  // namespace medshard::augment
