// PNG streams: the header, whole pictures and parts.
#include <cstddef>
#include <cstdint>

#include "core/error.hpp"
#include "decode/image.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace medshard;
  constexpr std::uint64_t kMostPixels = 1u << 20;
  static decode::Pixels pixels;
  try {
    const decode::Header header = decode::read_png_header(data, size);
    const decode::Region part{header.width / 3, header.height / 4, header.width / 2 + 1,
                              header.height / 2 + 1};
    decode::decode_png(data, size, {1, {}, kMostPixels}, pixels);
    decode::decode_png(data, size, {1, part, kMostPixels}, pixels);
  } catch (const DecodeError&) {
  }
  return 0;
}
