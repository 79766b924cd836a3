#include "core/crc32c.hpp"

#include <array>

#include "core/cpu.hpp"

namespace medshard::core {
namespace {

std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1u) ? 0x82F63B78u : 0u);
    table[byte] = value;
  }
  return table;
}

}  // namespace

std::uint32_t crc32c(const std::uint8_t* data, std::size_t size, std::uint32_t value) {
#if defined(MEDSHARD_X86)
  static const bool fast = has_sse42();
  if (fast) return crc32c_sse42(data, size, value);
#endif
  static const std::array<std::uint32_t, 256> table = make_table();
  value = ~value;
  for (std::size_t i = 0; i < size; ++i) value = (value >> 8) ^ table[(value ^ data[i]) & 0xFFu];
  return ~value;
}

}  // namespace medshard::core
