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

// Collects blocks: the 8 x 8 transform takes two at a time, and a while after their coefficients were stored
// one by one, because a vector cannot be loaded out of small stores that are still on their way.
class Transformer {
 public:
  std::int16_t* block() { return blocks_[count_]; }

  void take(const ScanComponent& component, std::uint8_t* out) {
    const Half now{block(), component.quantiser, out, component.stride};
    if (component.edge == 4) return inverse4(now.block, now.quantiser, now.out, now.stride);
    if (component.edge == 2) return inverse2(now.block, now.quantiser, now.out, now.stride);
    waiting_[count_] = now;
    if (++count_ == kRoom) finish();
  }

  void finish() {
    int i = 0;
    for (; i + 2 <= count_; i += 2) inverse8_pair(waiting_[i], waiting_[i + 1]);
    if (i < count_) inverse8(waiting_[i].block, waiting_[i].quantiser, waiting_[i].out, waiting_[i].stride);
    count_ = 0;
  }

 private:
  static constexpr int kRoom = 8;
  alignas(32) std::int16_t blocks_[kRoom][kBlockRoom];
  Half waiting_[kRoom];
  int count_ = 0;
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
