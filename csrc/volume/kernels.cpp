#include "volume/kernels.hpp"

namespace medshard::volume {

const SamplingKernels& sampling_kernels_of(core::Simd level) {
#if defined(MEDSHARD_X86)
  if (level == core::Simd::avx512) return avx512_sampling_kernels();
  if (level == core::Simd::avx2) return avx2_sampling_kernels();
#endif
  (void)level;
  return scalar_sampling_kernels();
}

}  // namespace medshard::volume
