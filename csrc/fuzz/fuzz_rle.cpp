// Any bytes as one RLE frame. The first three bytes choose the number of segments and of pixels.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/error.hpp"
#include "decode/rle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  static std::vector<std::uint8_t> out;
  const std::size_t plane = (static_cast<std::size_t>(data[1]) << 8 | data[2]) + 1;
  try {
    medshard::decode::decode_rle(data + 3, size - 3, 1 + data[0] % 15, plane, out);
  } catch (const medshard::DecodeError&) {
  }
  return 0;
}
