// The inner loops of the decoder, one table of them a SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu.hpp"
#include "decode/jpeg/frame.hpp"
#include "decode/jpeg/huffman.hpp"

namespace medshard::decode::jpeg {

// Zero bytes after a segment's own: a block that runs past the end is seen after at most this many.
constexpr std::size_t kPadBytes = 512;

// Coefficients of a block, and places behind them that take what belongs nowhere; a multiple of 32 bytes.
constexpr int kBlockRoom = 80;

// Where one is in a segment: bytes without stuffing, kPadBytes zeros after them.
struct Cursor {
  const std::uint8_t* bytes = nullptr;
  std::uint64_t bit = 0, end = 0;  // in bits
  std::uint32_t prediction[kMaxComponents] = {};
};

// A component in a scan.
struct ScanComponent {
  const DcTable* dc = nullptr;
  const AcTable* ac = nullptr;
  const std::uint16_t* quantiser = nullptr;
  int h = 1, v = 1;                                  // blocks of an MCU
  int edge = 8;                                      // samples of a block after the transform: 8, 4 or 2
  std::uint32_t bx0 = 0, bx1 = 0, by0 = 0, by1 = 0;  // wanted blocks
  void* samples = nullptr;                           // of block bx0 of the current row of MCUs, first row
  std::size_t stride = 0;                            // in samples
};

struct Scan {
  int count = 0;
  int precision = 8;
  ScanComponent components[kMaxComponents];
};

struct Level {
  // Decodes MCUs [from, to) of a row of them; only wanted blocks are transformed and stored. False: damaged.
  bool (*decode_mcus)(const Scan& scan, Cursor& cursor, std::uint32_t row, std::uint32_t from,
                      std::uint32_t to);
  // Passes over MCUs of which nothing is wanted.
  bool (*skip_mcus)(const Scan& scan, Cursor& cursor, std::uint64_t count);

  // Twice as many samples, at a quarter between neighbours: (3 a + b) / 4. out[0] and out[2 count - 1] are
  // copies.
  void (*spread_2x1)(const std::uint8_t* in, std::size_t count, std::uint8_t* out);
  // The same both ways: rows weighted 3 : 1 first.
  void (*spread_2x2)(const std::uint8_t* near, const std::uint8_t* far, std::size_t count, std::uint8_t* out);
  // Between rows alone; `bias` 1 for the upper and 2 for the lower row of a pair.
  void (*spread_1x2)(const std::uint8_t* near, const std::uint8_t* far, std::size_t count, int bias,
                     std::uint8_t* out);
  // Full-range BT.601 (JFIF 1.02), interleaved.
  void (*ycc_to_rgb)(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, std::size_t count,
                     std::uint8_t* out);
};

const Level& scalar_level();
const Level& avx2_level();

// The level for what chosen_simd() says.
const Level& level_of(core::Simd simd);

}  // namespace medshard::decode::jpeg
