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

// Collects blocks: the 8 x 8 transform takes two at a time.
class Transformer {
 public:
  std::int16_t* block() { return blocks_[waiting_ ? 1 : 0]; }

  void take(const ScanComponent& component, std::uint8_t* out) {
    const Half now{block(), component.quantiser, out, component.stride};
    if (component.edge == 4) return inverse4(now.block, now.quantiser, now.out, now.stride);
    if (component.edge == 2) return inverse2(now.block, now.quantiser, now.out, now.stride);
    if (waiting_) {
      inverse8_pair(first_, now);
    } else {
      first_ = now;
    }
    waiting_ = !waiting_;
  }

  void finish() {
    if (waiting_) inverse8(first_.block, first_.quantiser, first_.out, first_.stride);
    waiting_ = false;
  }

 private:
  alignas(32) std::int16_t blocks_[2][kBlockRoom];
  Half first_{};
  bool waiting_ = false;
};

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
