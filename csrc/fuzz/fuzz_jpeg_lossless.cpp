// Any bytes as a lossless JPEG stream.
#include <cstddef>
#include <cstdint>

#include "core/error.hpp"
#include "decode/codestreams.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace medshard;
  static decode::Pixels pixels;
  decode::Request request;
  request.max_pixels = 1 << 20;
  try {
    decode::read_jpeg_lossless_header(data, size);
    decode::decode_jpeg_lossless(data, size, request, pixels);
  } catch (const DecodeError&) {
  }
  return 0;
}
