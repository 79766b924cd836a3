// Puts shuffled samples together again, one table a SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu.hpp"

namespace medshard::volume {

// `in` holds `count` items of `item` bytes (1, 2 or 4); `in` and `out` do not overlap.
struct Unshufflers {
  // Byte b of all items lies together, for b = 0, 1, ...
  void (*bytes)(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t item);
  // Bit k of byte b of all items lies together, eight items a byte from its lowest bit; `count` is a multiple
  // of 8.
  void (*bits)(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t item);
};

const Unshufflers& scalar_unshufflers();
const Unshufflers& avx2_unshufflers();
const Unshufflers& unshufflers_of(core::Simd level);

}  // namespace medshard::volume
