// The entropy-coded bits of lossless JPEG: Huffman coded differences (T.81 annexes F and H).
//
// The table's entry holds the whole difference wherever code and difference fit its index, so that most
// samples cost one look-up, and a refill is one load of eight bytes.
#include <algorithm>
#include <cstdint>
#include <string>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace medshard::decode {
namespace {

[[noreturn]] void damaged(const char* what) { throw DecodeError(std::string("lossless JPEG: ") + what); }

constexpr int kIndexBits = 12;
constexpr int kLongestCode = 16;

// An entry: the difference in the upper 16 bits, below it the bits that it takes; kSlow where it does not
// fit.
constexpr std::uint32_t kSlow = 0xFF;

struct HuffmanTable {
  bool defined = false;
  std::uint32_t entries[1 << kIndexBits];
  // Codes longer than the index (T.81 F.2.2.3), left-aligned in 16 bits: beyond[l] is past the last code of
  // length l.
  std::uint32_t beyond[kLongestCode + 2];
  int offset[kLongestCode + 1];
  std::uint8_t sizes[256];
  int count = 0;
};

// The difference of `size` bits (T.81 F.2.2.1, H.1.2.2).
inline int extended(std::uint32_t bits, int size) {
  return bits < (1u << (size - 1)) ? static_cast<int>(bits) - (1 << size) + 1 : static_cast<int>(bits);
}

void define(HuffmanTable& table, const std::uint8_t* lengths, const std::uint8_t* sizes, int count) {
  std::copy(sizes, sizes + count, table.sizes);
  table.count = count;
  std::fill(std::begin(table.entries), std::end(table.entries), kSlow);
  std::uint32_t code = 0;
  int k = 0;
  for (int length = 1; length <= kLongestCode; ++length) {
    table.offset[length] = k - static_cast<int>(code);
    for (int i = 0; i < lengths[length - 1]; ++i, ++k, ++code) {
      if (code >= 1u << length) damaged("a Huffman table has too many codes");
      const int size = sizes[k];
      if (size > 16) damaged("a Huffman table has differences of more than 16 bits");
      const int extra = size == 16 ? 0 : size;  // size 16 is the one difference 32768
      if (length + extra > kIndexBits) continue;
      const int rest = kIndexBits - length - extra;
      for (std::uint32_t bits = 0; bits < 1u << extra; ++bits) {
        const int difference = size == 16 ? 32768 : size == 0 ? 0 : extended(bits, size);
        const std::uint32_t entry = static_cast<std::uint32_t>(difference & 0xFFFF) << 16 |
                                    static_cast<std::uint32_t>(length + extra);
        const std::uint32_t first = ((code << extra) | bits) << rest;
        std::fill_n(table.entries + first, std::size_t{1} << rest, entry);
      }
    }
    table.beyond[length] = code << (kLongestCode - length);
    code <<= 1;
  }
  table.beyond[kLongestCode + 1] = 0xFFFFFFFFu;
  table.defined = true;
}

// Bits from the highest down. The bytes are followed by kPadding zero bytes, which may be read but not used.
class Bits {
 public:
  static constexpr std::size_t kPadding = 16;

  Bits(const std::uint8_t* begin, const std::uint8_t* end) : next_(begin), end_(end) { refill(); }

  // At least 56 bits are then held.
  void refill() {
    if (next_ > end_) next_ = end_;  // `held_` then tells how many bits were made up
    held_bits_ |= core::load_big_endian(next_) >> held_;
    const int taken = (63 - held_) >> 3;
    next_ += taken;
    held_ += taken * 8;
    used_beyond_ += next_ > end_ ? static_cast<std::size_t>(next_ - end_) : 0;
  }

  int difference(const HuffmanTable& table) {
    const std::uint32_t entry = table.entries[held_bits_ >> (64 - kIndexBits)];
    if ((entry & 0xFF) == kSlow) return slow(table);
    drop(static_cast<int>(entry & 0xFF));
    return static_cast<int>(entry >> 16);
  }

  // Whether more was used than was there.
  bool overrun() const { return used_beyond_ * 8 > static_cast<std::size_t>(held_); }

 private:
  void drop(int count) {
    held_bits_ <<= count;
    held_ -= count;
  }

  [[gnu::noinline]] int slow(const HuffmanTable& table) {
    refill();
    const std::uint32_t code = static_cast<std::uint32_t>(held_bits_ >> 48);
    int length = 1;
    while (code >= table.beyond[length] && length <= kLongestCode) ++length;
    if (length > kLongestCode) damaged("a Huffman code is none of the table");
    const int k = static_cast<int>(code >> (kLongestCode - length)) + table.offset[length];
    if (k < 0 || k >= table.count) damaged("a Huffman code is none of the table");
    const int size = table.sizes[k];
    drop(length);
    if (size == 0) {
      refill();
      return 0;
    }
    if (size == 16) {
      refill();
      return 32768;
    }
    const int found = extended(static_cast<std::uint32_t>(held_bits_ >> (64 - size)), size);
    drop(size);
    refill();
    return found;
  }

  std::uint64_t held_bits_ = 0;
  int held_ = 0;
  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::size_t used_beyond_ = 0;
};

}  // namespace
}  // namespace medshard::decode
