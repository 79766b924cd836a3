// Whole gzip files (RFC 1952) and zlib streams (RFC 1950) into one buffer, through libdeflate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace medshard::decode {

struct Inflated {
  struct Free {
    void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::uint8_t[], Free> bytes;
  std::size_t size = 0;
};

enum class Wrapping { kGzip, kZlib };

// Inflates `data` and compares its checksums. A gzip file may have several members, and zeros after them, as
// other readers take it; of zlib there is one stream, and what follows it is let be. `expected` is how long
// the result is likely to be, 0 where nothing is known: a hint for memory, never trusted. `bytes` is null
// when there are more than `limit` bytes. Throws DecodeError when the data are damaged or cut off.
Inflated inflate(const std::uint8_t* data, std::size_t size, Wrapping wrapping, std::size_t limit,
                 std::size_t expected);

}  // namespace medshard::decode
