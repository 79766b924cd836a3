// Any bytes as a gzip file or a zlib stream. The first byte chooses which, the next two the limit and the
// hint.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/error.hpp"
#include "decode/inflate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using medshard::decode::Wrapping;
  if (size < 3) return 0;
  const std::size_t limit = static_cast<std::size_t>(data[1]) << (data[0] >> 4);
  try {
    const auto found = medshard::decode::inflate(
        data + 3, size - 3, data[0] & 1 ? Wrapping::kGzip : Wrapping::kZlib, limit, data[2]);
    if (found.bytes && found.size > limit) std::abort();
  } catch (const medshard::DecodeError&) {
  }
  return 0;
}
