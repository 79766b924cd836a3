#include <cstring>

#include "decode/jpeg/levels.hpp"
#include "decode/jpeg/zigzag.hpp"

namespace medshard::decode::jpeg {
namespace scalar {
namespace {
#include "decode/jpeg/transform.inl"
#include "decode/jpeg/transform_wide.inl"

class Transformer {
 public:
  std::int16_t* block() { return block_; }

  void take(const ScanComponent& component, std::uint8_t* out) {
    if (component.edge == 8) return inverse_scalar<8>(block_, component.quantiser, out, component.stride);
    if (component.edge == 4) return inverse_scalar<4>(block_, component.quantiser, out, component.stride);
    inverse2(block_, component.quantiser, out, component.stride);
  }

  void finish() {}

 private:
  std::int16_t block_[kBlockRoom];
};

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
