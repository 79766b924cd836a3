#include <immintrin.h>

#include "augment/kernels.hpp"

namespace medshard::augment {
namespace avx512_level {
#include "augment/kernels.inl"
}  // namespace avx512_level

const Kernels& avx512_kernels() { return avx512_level::table(); }

}  // namespace medshard::augment
