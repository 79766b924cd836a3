// Eight bytes as a number whose highest byte comes first, wherever they lie.
#pragma once

#include <cstdint>
#include <cstring>

namespace medshard::core {

inline std::uint64_t load_big_endian(const std::uint8_t* data) {
  std::uint64_t value;
  std::memcpy(&value, data, sizeof value);
  return __builtin_bswap64(value);
}

inline void store_big_endian(std::uint8_t* data, std::uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(data, &value, sizeof value);
}

}  // namespace medshard::core
