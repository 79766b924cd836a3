#include "pipeline/levels.hpp"

#include <algorithm>

#include "augment/kernels.hpp"
#include "core/cpu.hpp"
#include "pipeline/patches.hpp"
#include "pipeline/scratch.hpp"

namespace medshard::pipeline {
namespace {

using augment::kRows;

constexpr std::int32_t kHalf = 1 << (augment::kWeightBits - 1);

// The shift rounds down, also below zero, where the level becomes 0 anyway.
inline std::uint8_t level_of(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + kHalf) >> augment::kWeightBits, 0, 255));
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

void resize_levels(const LevelRows& source, const double box[4], const int bounds[4], const Job& job,
                   const Batch& batch, Scratch& scratch) {
  static const augment::Kernels& kernels = augment::kernels_of(core::chosen_simd());
  const Visible part = visible_part(job);
  scratch.levels.clear();
  if (part.none()) return;
  augment::FixedWeights &columns = scratch.fixed_columns, &rows = scratch.fixed_rows;
  augment::make_weights(box[0], box[2], bounds[0], bounds[2], job.width, job.flip_x != 0, batch.filter,
                        columns);
  augment::make_weights(box[1], box[3], bounds[1], bounds[3], job.height, job.flip_y != 0, batch.filter,
                        rows);
  const Span used_columns = used(columns, part.x0, part.x1), used_rows = used(rows, part.y0, part.y1);
  const std::size_t channels = source.channels, width = part.width();
  const std::size_t count = used_columns.length() * channels, line = width * channels;
  for (int x = part.x0; x < part.x1; ++x) columns.first[x] -= used_columns.begin;

  scratch.across.resize(used_rows.length() * line);
  scratch.level_tile.resize(count * kRows);
  scratch.sums.resize(line * kRows);
  const std::uint8_t* first_row = source.data +
                                  static_cast<std::size_t>(used_rows.begin - source.top) * source.row_bytes +
                                  static_cast<std::size_t>(used_columns.begin - source.left) * channels;
  for (std::size_t y = 0; y < used_rows.length(); y += kRows) {
    const std::size_t height = std::min<std::size_t>(kRows, used_rows.length() - y);
    for (std::size_t r = 0; r < kRows; ++r) {
      // Rows beyond the last repeat it; their sums are not kept.
      const std::uint8_t* row = first_row + (y + std::min(r, height - 1)) * source.row_bytes;
      for (std::size_t i = 0; i < count; ++i) scratch.level_tile[i * kRows + r] = row[i];
    }
    kernels.horizontal_levels(scratch.level_tile.data(), columns.first.data() + part.x0,
                              columns.taps.data() + part.x0, columns.values.data() + part.x0 * columns.stride,
                              columns.stride, width, source.channels, scratch.sums.data());
    for (std::size_t r = 0; r < height; ++r) {
      std::uint8_t* to = scratch.across.data() + (y + r) * line;
      for (std::size_t i = 0; i < line; ++i) to[i] = level_of(scratch.sums[i * kRows + r]);
    }
  }

  scratch.levels.resize(static_cast<std::size_t>(part.y1 - part.y0) * line);
  std::uint8_t* to = scratch.levels.data();
  for (int y = part.y0; y < part.y1; ++y, to += line) {
    std::fill(scratch.sums.begin(), scratch.sums.begin() + static_cast<std::ptrdiff_t>(line), 0);
    const std::uint8_t* from =
        scratch.across.data() + static_cast<std::size_t>(rows.first[y] - used_rows.begin) * line;
    for (int k = 0; k < rows.taps[y]; ++k, from += line) {
      kernels.accumulate_levels(scratch.sums.data(), from, rows.values[y * rows.stride + k], line);
    }
    for (std::size_t i = 0; i < line; ++i) to[i] = level_of(scratch.sums[i]);
  }
}

}  // namespace medshard::pipeline
