// Compiled for AVX2 and BMI2. Nothing here may instantiate what other files share.
#include <immintrin.h>

#include <cstring>

#include "decode/jpeg/levels.hpp"
#include "decode/jpeg/zigzag.hpp"

namespace medshard::decode::jpeg {
namespace avx2 {
namespace {
#include "decode/jpeg/transform.inl"
#include "decode/jpeg/transform_avx2.inl"
#include "decode/jpeg/transform_wide.inl"

inline void inverse(std::int16_t* block, const ScanComponent& component, std::uint8_t* out) {
  switch (component.edge) {
    case 8:
      return inverse8(block, component.quantiser, out, component.stride);
    case 4:
      return inverse4(block, component.quantiser, out, component.stride);
    default:
      return inverse2(block, component.quantiser, out, component.stride);
  }
}

#include "decode/jpeg/colour.inl"
#include "decode/jpeg/colour_avx2.inl"
#include "decode/jpeg/entropy.inl"
}  // namespace
}  // namespace avx2

const Level& avx2_level() {
  static const Level level = {avx2::decode_mcus, avx2::skip_mcus,  avx2::spread_2x1,
                              avx2::spread_2x2,  avx2::spread_1x2, avx2::ycc_to_rgb};
  return level;
}

}  // namespace medshard::decode::jpeg
