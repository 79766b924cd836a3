// Huffman decoding of blocks. Included inside a namespace of the level's name, so that each level has its own
// code.

// Coefficient places of the stream's order; all beyond the block go to a place that nobody reads.
constexpr int kNowhere = 64;
struct Places {
  std::uint8_t at[256];
  constexpr Places() : at{} {
    for (int k = 0; k < 256; ++k) at[k] = k < 64 ? kZigzag[k] : kNowhere;
  }
};
constexpr Places kPlaces;

// At least 57 bits from a place on, the first one highest.
inline std::uint64_t window_at(const std::uint8_t* bytes, std::uint64_t bit) {
  std::uint64_t word;
  std::memcpy(&word, bytes + (bit >> 3), sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word << (bit & 7);
}

inline bool decode_long_dc(const DcTable& table, const std::uint8_t* bytes, std::uint64_t& bit,
                           std::int32_t& value) {
  const std::uint64_t window = window_at(bytes, bit);
  int length = 0;
  const int size = find_symbol(table.codes, window, length);
  if (length > 16) return false;
  value = size == 0 ? 0 : extend(window << length, size);
  bit += static_cast<unsigned>(length + size);
  return true;
}

// The difference of a block's mean to the one before.
inline bool decode_dc(const DcTable& table, const std::uint8_t* bytes, std::uint64_t& bit,
                      std::int32_t& value) {
  const std::int32_t entry = table.entries[window_at(bytes, bit) >> (64 - kDcBits)];
  if (__builtin_expect((entry & 63) == 0, 0)) return decode_long_dc(table, bytes, bit, value);
  value = entry >> 16;
  bit += static_cast<unsigned>(entry & 63);
  return true;
}

// One symbol that the wide table leaves out.
inline bool decode_long_ac(const AcTable& table, const std::uint8_t* bytes, std::uint64_t& bit, unsigned& k,
                           std::int16_t* block) {
  const std::uint64_t window = window_at(bytes, bit);
  int length = 0;
  const int symbol = find_symbol(table.codes, window, length);
  if (length > 16) return false;
  const int run = symbol >> 4, size = symbol & 15;
  bit += static_cast<unsigned>(length + size);
  if (size == 0) {
    k += run == 15 ? 16 : kBlockEnded;
    return true;
  }
  k += static_cast<unsigned>(run);
  if (block != nullptr) block[kPlaces.at[k]] = static_cast<std::int16_t>(extend(window << length, size));
  ++k;
  return true;
}

// Coefficients from k on, to the block's end. False: damaged.
template <bool kKeep>
inline bool decode_ac(const AcTable& table, const std::uint8_t* bytes, std::uint64_t& place, unsigned k,
                      std::int16_t* block) {
  constexpr int kLookUps = 57 / kAcBits;
  std::uint64_t bit = place;
  for (;;) {
    std::uint64_t window = window_at(bytes, bit);
#pragma GCC unroll 4
    for (int i = 0; i < kLookUps; ++i) {
      const std::uint64_t entry = table.entries[window >> (64 - kAcBits)];
      const unsigned length = entry & 63;
      if (__builtin_expect(length == 0, 0)) {
        if (!decode_long_ac(table, bytes, bit, k, kKeep ? block : nullptr)) return false;
        if (k >= 64) {
          place = bit;
          return k == 64 || k - kBlockEnded < 64;
        }
        break;
      }
      if (kKeep) {
        block[kPlaces.at[k + (entry >> 8 & 15)]] = static_cast<std::int16_t>(entry >> 32);
        block[kPlaces.at[k + (entry >> 16 & 255)]] = static_cast<std::int16_t>(entry >> 48);
      }
      const unsigned advance = entry >> 24 & 255;
      k += advance;
      bit += length;
      window <<= length;
      if (k >= 64) {
        if (__builtin_expect(k != 64 && k - kBlockEnded >= 64, 0)) {
          // The first symbol may have filled the block: then the second is the next block's.
          if (k - advance + (entry >> 8 & 15) + 1 != 64) return false;
          bit -= length - (entry >> 12 & 15);
        }
        place = bit;
        return true;
      }
    }
  }
}

inline bool skip_ac(const AcTable& table, const std::uint8_t* bytes, std::uint64_t& place) {
  constexpr int kLookUps = 57 / kSkipBits;
  std::uint64_t bit = place;
  unsigned k = 1;
  for (;;) {
    std::uint64_t window = window_at(bytes, bit);
#pragma GCC unroll 4
    for (int i = 0; i < kLookUps; ++i) {
      const unsigned entry = table.skips[window >> (64 - kSkipBits)];
      const unsigned length = entry & 63, next = k + (entry >> 8);
      if (__builtin_expect(length == 0 || (next > 64 && next - kBlockEnded >= 64), 0)) {
        place = bit;
        return decode_ac<false>(table, bytes, place, k, nullptr);
      }
      k = next;
      bit += length;
      window <<= length;
      if (k >= 64) {
        place = bit;
        return true;
      }
    }
  }
}

inline bool skip_block(const ScanComponent& component, Cursor& cursor, int c) {
  std::int32_t difference = 0;
  if (!decode_dc(*component.dc, cursor.bytes, cursor.bit, difference)) return false;
  cursor.prediction[c] += static_cast<std::uint32_t>(difference);
  const AcTable& table = *component.ac;
  const bool good = table.has_skips ? skip_ac(table, cursor.bytes, cursor.bit)
                                    : decode_ac<false>(table, cursor.bytes, cursor.bit, 1, nullptr);
  return good && cursor.bit <= cursor.end;
}

inline bool decode_block(const ScanComponent& component, Cursor& cursor, int c, std::int16_t* block) {
  std::int32_t difference = 0;
  if (!decode_dc(*component.dc, cursor.bytes, cursor.bit, difference)) return false;
  cursor.prediction[c] += static_cast<std::uint32_t>(difference);
  std::memset(block, 0, 64 * sizeof *block);
  block[0] = static_cast<std::int16_t>(cursor.prediction[c]);
  return decode_ac<true>(*component.ac, cursor.bytes, cursor.bit, 1, block) && cursor.bit <= cursor.end;
}

bool decode_mcus(const Scan& scan, Cursor& cursor, std::uint32_t row, std::uint32_t from, std::uint32_t to) {
  Transformer transformer;
  Cursor local = cursor;
  for (std::uint32_t mcu = from; mcu < to; ++mcu) {
    for (int c = 0; c < scan.count; ++c) {
      const ScanComponent& component = scan.components[c];
      const auto edge = static_cast<std::size_t>(component.edge);
      for (int y = 0; y < component.v; ++y) {
        const std::uint32_t by =
            row * static_cast<std::uint32_t>(component.v) + static_cast<std::uint32_t>(y);
        const bool row_wanted = by >= component.by0 && by < component.by1;
        for (int x = 0; x < component.h; ++x) {
          const std::uint32_t bx =
              mcu * static_cast<std::uint32_t>(component.h) + static_cast<std::uint32_t>(x);
          if (!row_wanted || bx < component.bx0 || bx >= component.bx1) {
            if (!skip_block(component, local, c)) return false;
            continue;
          }
          std::int16_t* block = transformer.block();
          if (!decode_block(component, local, c, block)) return false;
          const std::size_t place =
              static_cast<std::size_t>(y) * edge * component.stride + (bx - component.bx0) * edge;
          if (scan.precision == 12) {
            inverse_12bit(block, component, static_cast<std::uint16_t*>(component.samples) + place);
          } else {
            transformer.take(component, static_cast<std::uint8_t*>(component.samples) + place);
          }
        }
      }
    }
  }
  transformer.finish();
  cursor = local;
  return true;
}

bool skip_mcus(const Scan& scan, Cursor& cursor, std::uint64_t count) {
  Cursor local = cursor;
  for (; count > 0; --count) {
    for (int c = 0; c < scan.count; ++c) {
      const ScanComponent& component = scan.components[c];
      for (int i = 0; i < component.h * component.v; ++i) {
        if (!skip_block(component, local, c)) return false;
      }
    }
  }
  cursor = local;
  return true;
}
