// Any bytes as a JPEG-LS stream for our own decoder; what it leaves to CharLS is not decoded here.
#include <cstddef>
#include <cstdint>

#include "core/error.hpp"
#include "decode/jpegls/decode.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static medshard::decode::Pixels pixels;
  try {
    medshard::decode::decode_jpegls_scans(data, size, 1 << 18, pixels);
  } catch (const medshard::DecodeError&) {
  }
  return 0;
}
