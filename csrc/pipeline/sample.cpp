#include "pipeline/sample.hpp"

#include <algorithm>
#include <cmath>

#include "augment/kernels.hpp"
#include "core/cpu.hpp"
#include "core/error.hpp"
#include "pipeline/store.hpp"

namespace medshard::pipeline {
namespace {

using augment::kRows;

const augment::Kernels& chosen_kernels() {
  static const augment::Kernels& kernels = augment::kernels_of(core::chosen_simd());
  return kernels;
}

void accumulate(const augment::Kernels& kernels, const Source& source, int row, int column, std::size_t count,
                float weight, float* out) {
  const std::size_t offset = source.place(row, column);
  switch (source.type) {
    case Codec::raw_u16:
      return kernels.accumulate_u16(out, reinterpret_cast<const std::uint16_t*>(source.data) + offset, weight,
                                    count);
    case Codec::raw_i16:
      return kernels.accumulate_i16(out, reinterpret_cast<const std::int16_t*>(source.data) + offset, weight,
                                    count);
    case Codec::raw_f32:
      return kernels.accumulate_f32(out, reinterpret_cast<const float*>(source.data) + offset, weight, count);
    default:
      return kernels.accumulate_u8(out, source.data + offset, weight, count);
  }
}

// A constant border, in stored values.
float stored_fill(const Job& job) { return job.scale != 0.0f ? (job.fill - job.bias) / job.scale : 0.0f; }

// What of the filter's weight lies on a constant border takes its value.
void add_fill(const augment::Weights& rows, const augment::Weights& columns, int y, int height, int channels,
              float fill, float* sampled) {
  const std::size_t width = columns.taps.size();
  for (std::size_t x = 0; x < width; ++x) {
    float* pixel = sampled + x * channels * kRows;
    for (int c = 0; c < channels; ++c) {
      for (int r = 0; r < height; ++r)
        pixel[c * kRows + r] += (1.0f - rows.coverage[y + r] * columns.coverage[x]) * fill;
    }
  }
}

// The separable filter, rows first, because a row is contiguous whatever its type; then columns, eight output
// rows side by side. `take(y, height)` gets rows y .. y + height - 1 in memory.sampled.
template <typename Take>
void filter(const Source& source, const Job& job, const Sampling& sampling, SampleMemory& memory, Take take) {
  const augment::Kernels& kernels = chosen_kernels();
  const augment::Weights &rows = sampling.rows, &columns = sampling.columns;
  const int total = static_cast<int>(rows.taps.size());
  const std::size_t width = columns.taps.size();
  const std::size_t count = static_cast<std::size_t>(columns.highest - columns.lowest) * source.channels;
  const bool filled = !rows.covered || !columns.covered;
  memory.lines.resize(count * kRows);
  memory.tile.resize(count * kRows);
  memory.sampled.resize(width * source.channels * kRows);
  for (int y = 0; y < total; y += kRows) {
    const int height = std::min(kRows, total - y);
    std::fill(memory.lines.begin(), memory.lines.end(), 0.0f);
    for (int r = 0; r < height; ++r) {
      float* line = memory.lines.data() + static_cast<std::size_t>(r) * count;
      for (int k = 0; k < rows.taps[y + r]; ++k) {
        const float weight = rows.values[(y + r) * rows.stride + k];
        accumulate(kernels, source, rows.first[y + r] + k, columns.lowest, count, weight, line);
      }
    }
    kernels.transpose(memory.lines.data(), count, count, memory.tile.data());
    kernels.horizontal(memory.tile.data(), columns.first.data(), columns.taps.data(), columns.values.data(),
                       columns.stride, width, source.channels, memory.sampled.data());
    if (filled) add_fill(rows, columns, y, height, source.channels, stored_fill(job), memory.sampled.data());
    take(y, height);
  }
}

// The filtered rows as planes, at a place of a picture.
void filter_into(const Source& source, const Job& job, const Sampling& sampling, SampleMemory& memory,
                 int top, int left, augment::Picture& out) {
  filter(source, job, sampling, memory, [&](int y, int height) {
    const std::size_t width = sampling.columns.taps.size();
    for (int c = 0; c < source.channels; ++c) {
      for (int r = 0; r < height; ++r) {
        float* line = out.plane(c) + static_cast<std::size_t>(top + y + r) * out.width + left;
        const float* from = memory.sampled.data() + static_cast<std::size_t>(c) * kRows + r;
        for (std::size_t x = 0; x < width; ++x) line[x] = from[x * source.channels * kRows];
      }
    }
  });
}

void transpose(const augment::Picture& from, augment::Picture& out) {
  out.reshape(from.channels, from.width, from.height);
  for (int c = 0; c < from.channels; ++c) {
    const float* in = from.plane(c);
    float* to = out.plane(c);
    for (int y = 0; y < from.height; ++y) {
      for (int x = 0; x < from.width; ++x)
        to[static_cast<std::size_t>(x) * from.height + y] = in[static_cast<std::size_t>(y) * from.width + x];
    }
  }
}

}  // namespace

bool by_rows(const Job& job, const Sampling& sampling) { return !sampling.warped && !job.transpose; }

void sample_rows(const Source& source, const Job& job, const Batch& batch, const Sampling& sampling,
                 SampleMemory& memory, Stopwatch& watch, std::uint8_t* out) {
  filter(source, job, sampling, memory, [&](int y, int height) {
    watch.lap(Stage::sample);
    store_rows(memory.sampled.data(), source.channels, y, height, job, batch, out);
    watch.lap(Stage::store);
  });
}

void sample_picture(const Source& source, const Job& job, Sampling& sampling, SampleMemory& memory,
                    augment::Picture& out) {
  if (sampling.warped) {
    const augment::Cells& cells = sampling.warper.cells();
    memory.grid.reshape(source.channels, cells.height(), cells.width());
    std::fill(memory.grid.values.begin(), memory.grid.values.end(), stored_fill(job));
    filter_into(source, job, sampling, memory, sampling.down.begin - cells.y0,
                sampling.across.begin - cells.x0, memory.grid);
    sampling.warper.interpolate(chosen_kernels(), memory.grid, out);
    return;
  }
  augment::Picture& sampled = job.transpose ? memory.turned : out;
  sampled.reshape(source.channels, sampling.down.size, sampling.across.size);
  filter_into(source, job, sampling, memory, 0, 0, sampled);
  if (job.transpose) transpose(sampled, out);
}

}  // namespace medshard::pipeline
