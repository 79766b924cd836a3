#include <cstring>

#include "decode/jpeg/levels.hpp"
#include "decode/jpeg/zigzag.hpp"

namespace medshard::decode::jpeg {
namespace scalar {
namespace {
#include "decode/jpeg/transform.inl"
#include "decode/jpeg/transform_wide.inl"

inline void inverse(std::int16_t* block, const ScanComponent& component, std::uint8_t* out) {
  switch (component.edge) {
    case 8:
      return inverse_scalar<8>(block, component.quantiser, out, component.stride);
    case 4:
      return inverse_scalar<4>(block, component.quantiser, out, component.stride);
    default:
      return inverse2(block, component.quantiser, out, component.stride);
  }
}

#include "decode/jpeg/colour.inl"
#include "decode/jpeg/entropy.inl"
}  // namespace
}  // namespace scalar

const Level& scalar_level() {
  static const Level level = {scalar::decode_mcus, scalar::skip_mcus,  scalar::spread_2x1,
                              scalar::spread_2x2,  scalar::spread_1x2, scalar::ycc_to_rgb_scalar};
  return level;
}

const Level& level_of(core::Simd simd) {
#if defined(MEDSHARD_X86)
  if (simd != core::Simd::scalar && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
    return avx2_level();
  }
#endif
  (void)simd;
  return scalar_level();
}

}  // namespace medshard::decode::jpeg
