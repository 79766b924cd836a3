#include "augment/kernels.hpp"

namespace medshard::augment {

const Kernels& kernels_of(core::Simd level) {
#if defined(MEDSHARD_X86)
  if (level == core::Simd::avx512) return avx512_kernels();
  if (level == core::Simd::avx2) return avx2_kernels();
#endif
  (void)level;
  return scalar_kernels();
}

}  // namespace medshard::augment
