#include "pipeline/levels.hpp"

#include <algorithm>
#include <cstring>

#include "augment/kernels.hpp"
#include "core/cpu.hpp"

namespace medshard::pipeline {
namespace {

using augment::kRows;

// An 8 x 8 block of bytes, the first of eight words its first row, turned so that rows become columns. Bytes
// change places in pairs, then pairs, then fours.
void turn(std::uint64_t block[kRows]) {
  const auto exchange = [&](int step, int shift, std::uint64_t mask) {
    for (int i = 0; i < kRows; ++i) {
      if ((i & step) != 0) continue;
      const std::uint64_t moved = ((block[i] >> shift) ^ block[i + step]) & mask;
      block[i] ^= moved << shift;
      block[i + step] ^= moved;
    }
  };
  exchange(1, 8, 0x00FF00FF00FF00FFu);
  exchange(2, 16, 0x0000FFFF0000FFFFu);
  exchange(4, 32, 0x00000000FFFFFFFFu);
}

// tile[i * kRows + r] = rows[r][i], i < count.
void rows_to_tile(const std::uint8_t* const rows[kRows], std::size_t count, std::uint8_t* tile) {
  std::size_t i = 0;
  for (; i + kRows <= count; i += kRows) {
    std::uint64_t block[kRows];
    for (int r = 0; r < kRows; ++r) std::memcpy(&block[r], rows[r] + i, kRows);
    turn(block);
    std::memcpy(tile + i * kRows, block, sizeof(block));
  }
  for (; i < count; ++i) {
    for (int r = 0; r < kRows; ++r) tile[i * kRows + r] = rows[r][i];
  }
}

// The way back, of the first `height` rows, which lie `count` apart.
void tile_to_rows(const std::uint8_t* tile, std::size_t count, int height, std::uint8_t* rows) {
  std::size_t i = 0;
  for (; i + kRows <= count; i += kRows) {
    std::uint64_t block[kRows];
    std::memcpy(block, tile + i * kRows, sizeof(block));
    turn(block);
    for (int r = 0; r < height; ++r) std::memcpy(rows + r * count + i, &block[r], kRows);
  }
  for (; i < count; ++i) {
    for (int r = 0; r < height; ++r) rows[r * count + i] = tile[i * kRows + r];
  }
}

struct Span {
  int begin, end;
  std::size_t length() const { return static_cast<std::size_t>(end - begin); }
};

// The inputs that outputs `begin` to `end` read.
Span used(const augment::FixedWeights& weights, int begin, int end) {
  Span span{weights.first[begin], weights.first[begin] + weights.taps[begin]};
  for (int i = begin; i < end; ++i) {
    span.begin = std::min(span.begin, weights.first[i]);
    span.end = std::max(span.end, weights.first[i] + weights.taps[i]);
  }
  return span;
}

}  // namespace

void resize_levels(const LevelRows& source, const augment::Axis& across, const augment::Axis& down,
                   const Visible& part, LevelMemory& memory) {
  static const augment::Kernels& kernels = augment::kernels_of(core::chosen_simd());
  memory.levels.clear();
  if (part.none()) return;
  augment::FixedWeights &columns = memory.columns, &rows = memory.rows;
  augment::make_weights(across, columns);
  augment::make_weights(down, rows);
  const Span used_columns = used(columns, part.x0, part.x1), used_rows = used(rows, part.y0, part.y1);
  const std::size_t channels = source.channels, width = part.width();
  const std::size_t count = used_columns.length() * channels, line = width * channels;
  for (int x = part.x0; x < part.x1; ++x) columns.first[x] -= used_columns.begin;

  memory.across.resize(used_rows.length() * line);
  memory.tile.resize(count * kRows);
  memory.sums.resize(line * kRows);
  const std::uint8_t* first_row = source.data +
                                  static_cast<std::size_t>(used_rows.begin - source.top) * source.row_bytes +
                                  static_cast<std::size_t>(used_columns.begin - source.left) * channels;
  for (std::size_t y = 0; y < used_rows.length(); y += kRows) {
    const int height = static_cast<int>(std::min<std::size_t>(kRows, used_rows.length() - y));
    const std::uint8_t* eight[kRows];
    for (int r = 0; r < kRows; ++r) {  // what is beyond the last row repeats it and is not kept
      eight[r] = first_row + (y + static_cast<std::size_t>(std::min(r, height - 1))) * source.row_bytes;
    }
    rows_to_tile(eight, count, memory.tile.data());
    kernels.horizontal_levels(memory.tile.data(), columns.first.data() + part.x0,
                              columns.taps.data() + part.x0, columns.values.data() + part.x0 * columns.stride,
                              columns.stride, width, source.channels, memory.sums.data());
    tile_to_rows(memory.sums.data(), line, height, memory.across.data() + y * line);
  }

  memory.levels.resize(static_cast<std::size_t>(part.y1 - part.y0) * line);
  std::uint8_t* to = memory.levels.data();
  for (int y = part.y0; y < part.y1; ++y, to += line) {
    const std::uint8_t* from =
        memory.across.data() + static_cast<std::size_t>(rows.first[y] - used_rows.begin) * line;
    kernels.vertical_levels(from, line, rows.values.data() + y * rows.stride, rows.taps[y], line, to);
  }
}

LevelRows transposed(const LevelRows& source, int height, int width, LevelMemory& memory) {
  const std::size_t pixel = source.channels, rows = height, columns = width;
  memory.turned.resize(rows * columns * pixel);
  for (std::size_t y = 0; y < rows; ++y) {
    const std::uint8_t* from = source.data + y * source.row_bytes;
    for (std::size_t x = 0; x < columns; ++x, from += pixel) {
      std::memcpy(&memory.turned[(x * rows + y) * pixel], from, pixel);
    }
  }
  return {memory.turned.data(), rows * pixel, source.top, source.left, source.channels};
}

}  // namespace medshard::pipeline
