#include "volume/unshuffle.hpp"

namespace medshard::volume {
namespace scalar_level {
#include "volume/unshuffle.inl"

void unshuffle_bits(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t item) {
  join_bits(in, out, count, item, 0, count / 8);
}
}  // namespace scalar_level

const Unshufflers& scalar_unshufflers() {
  static const Unshufflers table = {scalar_level::unshuffle_bytes, scalar_level::unshuffle_bits};
  return table;
}

const Unshufflers& unshufflers_of(core::Simd level) {
#if defined(MEDSHARD_X86)
  if (level != core::Simd::scalar) return avx2_unshufflers();  // AVX-512 has nothing to add: memory binds
#endif
  (void)level;
  return scalar_unshufflers();
}

}  // namespace medshard::volume
