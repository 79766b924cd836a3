#include "decode/jpeg/huffman.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace medshard::decode::jpeg {
namespace {

bool same(const HuffmanSpec& a, const HuffmanSpec& b) {
  return a.defined == b.defined && std::memcmp(a.counts, b.counts, sizeof a.counts) == 0 &&
         std::memcmp(a.symbols, b.symbols, sizeof a.symbols) == 0;
}

bool make_codes(const HuffmanSpec& spec, Codes& codes) {
  std::uint32_t code = 0;
  int place = 0;
  for (int length = 1; length <= 16; ++length) {
    codes.offset[length] = place - static_cast<std::int32_t>(code);
    code += spec.counts[length];
    place += spec.counts[length];
    if (code >= (1u << length) || place > 256) return false;  // no code is all ones
    codes.limit[length] = code << (16 - length);
    code <<= 1;
  }
  std::memcpy(codes.symbols, spec.symbols, sizeof codes.symbols);
  return true;
}

// Calls fill(first, count, head, length, symbol) for every code of at most `bits` bits: `count` entries from
// `first` have it at their head.
template <typename Fill>
void for_codes(const HuffmanSpec& spec, int bits, const Fill& fill) {
  std::uint32_t code = 0;
  int place = 0;
  for (int length = 1; length <= bits; ++length, code <<= 1) {
    for (int i = 0; i < spec.counts[length]; ++i, ++code) {
      fill(code << (bits - length), 1u << (bits - length), length, spec.symbols[place++]);
    }
  }
}

std::uint64_t window_of(std::uint32_t index, int bits) {
  return static_cast<std::uint64_t>(index) << (64 - bits);
}

// One symbol an entry.
void fill_single(const HuffmanSpec& spec, std::uint64_t* entries) {
  for_codes(spec, kAcBits, [&](std::uint32_t first, std::uint32_t count, int length, int symbol) {
    const int run = symbol >> 4, size = symbol & 15, all = length + size;
    if (size == 0) {
      const unsigned advance = run == 15 ? 16 : kBlockEnded;
      const unsigned start = run == 15 ? 15 : 0;
      const std::uint64_t entry = static_cast<unsigned>(length) | start << 8 |
                                  static_cast<unsigned>(length) << 12 | (start + 1) << 16 |
                                  static_cast<std::uint64_t>(advance) << 24;
      std::fill(entries + first, entries + first + count, entry);
    } else if (all <= kAcBits) {
      for (std::uint32_t i = first; i < first + count; ++i) {
        const auto value = static_cast<std::uint16_t>(extend(window_of(i, kAcBits) << length, size));
        entries[i] = static_cast<unsigned>(all) | static_cast<unsigned>(run) << 8 |
                     static_cast<unsigned>(all) << 12 | static_cast<unsigned>(run + 1) << 16 |
                     static_cast<std::uint64_t>(run + 1) << 24 | static_cast<std::uint64_t>(value) << 32;
      }
    }
  });
}

unsigned length_of(std::uint64_t entry) { return entry & 63; }
unsigned advance_of(std::uint64_t entry) { return entry >> 24 & 255; }

// Appends to entries that leave room a second symbol that fits whole. Entries with a shorter index part are
// not changed before they are looked up, because a second look-up asks for `single`.
void add_second(const std::uint64_t* single, std::uint64_t* entries) {
  constexpr std::uint32_t kMask = (1u << kAcBits) - 1;
  for (std::uint32_t i = 0; i <= kMask; ++i) {
    const std::uint64_t one = single[i];
    entries[i] = one;
    const unsigned length = length_of(one);
    if (length == 0 || advance_of(one) >= kBlockEnded) continue;
    const std::uint64_t two = single[i << length & kMask];
    const unsigned both = length + length_of(two);
    if (length_of(two) == 0 || both > static_cast<unsigned>(kAcBits)) continue;
    const unsigned start = advance_of(one);
    const unsigned second = start + (two >> 8 & 15);
    const unsigned advance = start + advance_of(two);
    entries[i] = both | (one & 0xFF00) | second << 16 | static_cast<std::uint64_t>(advance) << 24 |
                 (one & 0xFFFF00000000u) | (two >> 32 & 0xFFFF) << 48;
  }
}

}  // namespace

bool make_table(const HuffmanSpec& spec, DcTable& table) {
  if (same(spec, table.spec) && spec.defined) return true;
  table.spec.defined = false;
  if (!spec.defined || !make_codes(spec, table.codes)) return false;
  int total = 0;
  for (int length = 1; length <= 16; ++length) total += spec.counts[length];
  for (int i = 0; i < total; ++i) {
    if (spec.symbols[i] > 15) return false;
  }
  std::fill(std::begin(table.entries), std::end(table.entries), 0);
  for_codes(spec, kDcBits, [&](std::uint32_t first, std::uint32_t count, int length, int size) {
    if (length + size > kDcBits) return;
    for (std::uint32_t i = first; i < first + count; ++i) {
      const int value = size == 0 ? 0 : extend(window_of(i, kDcBits) << length, size);
      table.entries[i] = value * (1 << 16) + length + size;
    }
  });
  table.spec = spec;
  return true;
}

bool make_table(const HuffmanSpec& spec, AcTable& table) {
  if (same(spec, table.spec) && spec.defined) return true;
  table.spec.defined = false;
  table.has_skips = false;
  if (!spec.defined || !make_codes(spec, table.codes)) return false;
  std::uint64_t single[1 << kAcBits] = {};
  fill_single(spec, single);
  add_second(single, table.entries);
  table.spec = spec;
  return true;
}

void AcTable::make_skips() {
  if (has_skips) return;
  std::uint16_t single[1 << kSkipBits] = {};
  for_codes(spec, kSkipBits, [&](std::uint32_t first, std::uint32_t count, int length, int symbol) {
    const int run = symbol >> 4, size = symbol & 15;
    if (length + size > kSkipBits) return;
    const unsigned advance = size == 0 && run != 15 ? kBlockEnded : static_cast<unsigned>(run) + 1;
    const auto entry = static_cast<std::uint16_t>(static_cast<unsigned>(length + size) | advance << 8);
    std::fill(single + first, single + first + count, entry);
  });
  constexpr std::uint32_t kMask = (1u << kSkipBits) - 1;
  for (std::uint32_t i = 0; i <= kMask; ++i) {
    unsigned length = single[i] & 63, advance = single[i] >> 8;
    while (length != 0 && advance < 64) {
      const unsigned next = single[i << length & kMask];
      if ((next & 63) == 0 || length + (next & 63) > static_cast<unsigned>(kSkipBits)) break;
      length += next & 63;
      advance += next >> 8;
    }
    skips[i] = static_cast<std::uint16_t>(length | advance << 8);
  }
  has_skips = true;
}

}  // namespace medshard::decode::jpeg
