#include <immintrin.h>

#include "volume/kernels.hpp"

namespace medshard::volume {
namespace avx512_level {
#include "volume/kernels.inl"
}  // namespace avx512_level

const SamplingKernels& avx512_sampling_kernels() { return avx512_level::table(); }

}  // namespace medshard::volume
