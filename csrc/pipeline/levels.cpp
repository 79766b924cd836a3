#include "pipeline/levels.hpp"

#include <algorithm>

#include "augment/kernels.hpp"
#include "core/cpu.hpp"
#include "pipeline/scratch.hpp"

namespace medshard::pipeline {
namespace {

using augment::kRows;

constexpr std::int32_t kHalf = 1 << (augment::kWeightBits - 1);

// The shift rounds down, also below zero, where the level becomes 0 anyway.
inline std::uint8_t level_of(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + kHalf) >> augment::kWeightBits, 0, 255));
}

}  // namespace

void resize_levels(const LevelRows& source, const double box[4], const int bounds[4], const Job& job,
                   const Batch& batch, Scratch& scratch) {
  static const augment::Kernels& kernels = augment::kernels_of(core::chosen_simd());
  augment::FixedWeights &columns = scratch.fixed_columns, &rows = scratch.fixed_rows;
  augment::make_weights(box[0], box[2], bounds[0], bounds[2], job.width, job.flip_x != 0, batch.filter,
                        columns);
  augment::make_weights(box[1], box[3], bounds[1], bounds[3], job.height, job.flip_y != 0, batch.filter,
                        rows);
  const std::size_t channels = source.channels, width = job.width;
  const std::size_t count = static_cast<std::size_t>(columns.highest - columns.lowest) * channels;
  const std::size_t line = width * channels;
  for (int& first : columns.first) first -= columns.lowest;

  const int used = rows.highest - rows.lowest;
  scratch.across.resize(static_cast<std::size_t>(used) * line);
  scratch.level_tile.resize(count * kRows);
  scratch.sums.resize(std::max(line * kRows, line));
  const std::uint8_t* first_row = source.data +
                                  static_cast<std::size_t>(rows.lowest - source.top) * source.row_bytes +
                                  static_cast<std::size_t>(columns.lowest - source.left) * channels;
  for (int y = 0; y < used; y += kRows) {
    const int height = std::min(kRows, used - y);
    for (int r = 0; r < kRows; ++r) {
      // Rows beyond the last repeat it; their sums are not kept.
      const std::uint8_t* row =
          first_row + static_cast<std::size_t>(y + std::min(r, height - 1)) * source.row_bytes;
      for (std::size_t i = 0; i < count; ++i) scratch.level_tile[i * kRows + r] = row[i];
    }
    kernels.horizontal_levels(scratch.level_tile.data(), columns.first.data(), columns.taps.data(),
                              columns.values.data(), columns.stride, width, source.channels,
                              scratch.sums.data());
    for (int r = 0; r < height; ++r) {
      std::uint8_t* to = scratch.across.data() + static_cast<std::size_t>(y + r) * line;
      for (std::size_t i = 0; i < line; ++i) to[i] = level_of(scratch.sums[i * kRows + r]);
    }
  }

  scratch.levels.resize(static_cast<std::size_t>(job.height) * line);
  for (int y = 0; y < job.height; ++y) {
    std::fill(scratch.sums.begin(), scratch.sums.begin() + static_cast<std::ptrdiff_t>(line), 0);
    const std::uint8_t* from =
        scratch.across.data() + static_cast<std::size_t>(rows.first[y] - rows.lowest) * line;
    for (int k = 0; k < rows.taps[y]; ++k, from += line) {
      kernels.accumulate_levels(scratch.sums.data(), from, rows.values[y * rows.stride + k], line);
    }
    std::uint8_t* to = scratch.levels.data() + static_cast<std::size_t>(y) * line;
    for (std::size_t i = 0; i < line; ++i) to[i] = level_of(scratch.sums[i]);
  }
}

}  // namespace medshard::pipeline
