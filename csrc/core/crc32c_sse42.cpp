// Compiled with -msse4.2; called only after a check at run time.
#include <nmmintrin.h>

#include <cstring>

#include "core/crc32c.hpp"

namespace medshard::core {

std::uint32_t crc32c_sse42(const std::uint8_t* data, std::size_t size, std::uint32_t value) {
  std::uint64_t state = ~value & 0xFFFFFFFFu;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    state = _mm_crc32_u64(state, word);
  }
  std::uint32_t rest = static_cast<std::uint32_t>(state);
  for (; size > 0; ++data, --size) rest = _mm_crc32_u8(rest, *data);
  return ~rest;
}

}  // namespace medshard::core
