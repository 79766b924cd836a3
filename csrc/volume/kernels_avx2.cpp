#include <immintrin.h>

#include "volume/kernels.hpp"

namespace medshard::volume {
namespace avx2_level {
#include "volume/kernels.inl"
}  // namespace avx2_level

const SamplingKernels& avx2_sampling_kernels() { return avx2_level::table(); }

}  // namespace medshard::volume
