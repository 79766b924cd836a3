#include "decode/jpeg/exif.hpp"

#include <cstring>

namespace medshard::decode::jpeg {

int exif_orientation(const std::uint8_t* body, std::size_t size) {
  constexpr std::size_t kHead = 6, kEntry = 12;
  constexpr unsigned kOrientation = 0x0112, kShort = 3;
  if (size < kHead + 8 || std::memcmp(body, "Exif\0\0", kHead) != 0) return 0;
  const std::uint8_t* tiff = body + kHead;
  const std::size_t left = size - kHead;
  const bool little = std::memcmp(tiff, "II*\0", 4) == 0;
  if (!little && std::memcmp(tiff, "MM\0*", 4) != 0) return 0;
  const auto word = [&](std::size_t at) {
    return little ? tiff[at] | tiff[at + 1] << 8 : tiff[at] << 8 | tiff[at + 1];
  };
  const auto number = [&](std::size_t at) {
    const auto low = static_cast<std::uint32_t>(word(little ? at : at + 2));
    const auto high = static_cast<std::uint32_t>(word(little ? at + 2 : at));
    return high << 16 | low;
  };
  const std::size_t directory = number(4);
  if (directory > left || left - directory < 2) return 0;
  const int entries = word(directory);
  for (int i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + static_cast<std::size_t>(i) * kEntry;
    if (at + kEntry > left) return 0;
    if (static_cast<unsigned>(word(at)) != kOrientation) continue;
    if (static_cast<unsigned>(word(at + 2)) != kShort || number(at + 4) != 1) return 0;
    const int value = word(at + 8);
    return value >= 1 && value <= 8 ? value : 0;
  }
  return 0;
}

}  // namespace medshard::decode::jpeg
