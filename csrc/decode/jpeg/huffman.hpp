// Tables that take several symbols of the stream, with the bits of their values, in one look-up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "decode/jpeg/frame.hpp"

namespace medshard::decode::jpeg {

constexpr int kDcBits = 11, kAcBits = 11, kSkipBits = 13;
// An advance from here on means: the block ended by its own word.
constexpr unsigned kBlockEnded = 128;

// Codes of any length, one at a time (T.81, F.2.2.3): for what the wide tables leave out.
struct Codes {
  std::uint32_t limit[18] = {};  // first code beyond those of a length, left-aligned in 16 bits
  std::int32_t offset[17] = {};  // place of a symbol minus its code
  std::uint8_t symbols[256] = {};
};

struct DcTable {
  HuffmanSpec spec;
  Codes codes;
  // Bits 0 to 5: length of code and value together, 0 when they are longer than kDcBits. From bit 16: value.
  std::int32_t entries[1 << kDcBits];
};

struct AcTable {
  HuffmanSpec spec;
  Codes codes;
  // One or two symbols. Bits 0 to 5: length of all, 0 when even the first is longer than kAcBits. 8 to 11:
  // zeros before the first coefficient. 12 to 15: length of the first alone. 16 to 23: from the first
  // coefficient's start to the second. 24 to 31: advance. 32 to 47 and 48 to 63: values. Zeros and the end of
  // the block are coefficients of value 0, stored where nothing is yet.
  std::uint64_t entries[1 << kAcBits];
  // As many symbols as fit, without values. Bits 0 to 5: length of all or 0. 8 to 15: advance.
  std::uint16_t skips[1 << kSkipBits];
  bool has_skips = false;

  void make_skips();
};

// False when a table breaks the rules (T.81, C.2).
bool make_table(const HuffmanSpec& spec, DcTable& table);
bool make_table(const HuffmanSpec& spec, AcTable& table);

// Static, so that each SIMD level compiles its own.

// The symbol at the head of `window` (left-aligned) and the length of its code; length 17 when there is none.
static inline int find_symbol(const Codes& codes, std::uint64_t window, int& length) {
  const auto head = static_cast<std::uint32_t>(window >> 48);
  length = 1;
  while (length <= 16 && head >= codes.limit[length]) ++length;
  if (length > 16) return 0;
  return codes.symbols[(static_cast<std::int32_t>(head >> (16 - length)) + codes.offset[length]) & 255];
}

// The value of `bits` further bits at the head of `window`, bits >= 1 (T.81, F.2.2.1).
static inline int extend(std::uint64_t window, int bits) {
  const auto raw = static_cast<std::int32_t>(window >> (64 - bits));
  return raw < (1 << (bits - 1)) ? raw - (1 << bits) + 1 : raw;
}

}  // namespace medshard::decode::jpeg
