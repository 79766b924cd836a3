#include "pipeline/patches.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "pipeline/store.hpp"

namespace medshard::pipeline {
namespace {

// Where things lie within a slot, in values.
struct Places {
  std::size_t edge, merge, repeat, columns, square, frame;

  Places(const Job& job, const Batch& batch)
      : edge(batch.patches.edge),
        merge(batch.patches.merge),
        repeat(batch.patches.repeat),
        columns(job.canvas_width / edge),
        square(batch.channels * repeat * edge * edge),
        frame(edge * edge) {}

  // The first value of a square, by its row and column in the grid.
  std::size_t of_square(std::size_t row, std::size_t column) const {
    const std::size_t block = row / merge * (columns / merge) + column / merge;
    return (block * merge * merge + row % merge * merge + column % merge) * square;
  }
};

// Calls body(first pixel of the picture, how many, place of the first of `repeat` copies) for each run of a
// row that lies in one square.
template <typename Body>
void for_each_run(const Places& places, const Job& job, int channel, int y, Body body) {
  const int row = y + job.canvas_top;
  if (row < 0 || row >= job.canvas_height) return;
  const int edge = static_cast<int>(places.edge);
  const Visible part = visible_part(job);
  int x = part.x0;
  const int end = part.x1;
  while (x < end) {
    const int column = x + job.canvas_left;
    const int count = std::min(edge - column % edge, end - x);
    body(static_cast<std::size_t>(x), static_cast<std::size_t>(count),
         places.of_square(row / edge, column / edge) + channel * places.repeat * places.frame +
             static_cast<std::size_t>(row % edge) * places.edge + column % edge);
    x += count;
  }
}

// What a stored value becomes.
struct Mapping {
  float scale, bias, mean = 0.0f, inverse = 1.0f;
  bool clamp;

  Mapping(const Job& job, const Batch& batch, int channel)
      : scale(job.scale), bias(job.bias), clamp(batch.clamp) {
    if (batch.mean.empty()) return;
    mean = batch.mean[batch.mean.size() == 1 ? 0 : channel];
    inverse = 1.0f / batch.deviation[batch.deviation.size() == 1 ? 0 : channel];
  }

  float operator()(float stored) const {
    float value = stored * scale + bias;
    if (clamp) value = std::min(std::max(value, 0.0f), 1.0f);
    return (value - mean) * inverse;
  }
  float black() const { return (0.0f - mean) * inverse; }
};

void put_copies(const Places& places, std::size_t place, const std::uint8_t* bytes, std::size_t count,
                std::size_t value_bytes, std::uint8_t* out) {
  for (std::size_t copy = 0; copy < places.repeat; ++copy) {
    std::memcpy(out + (place + copy * places.frame) * value_bytes, bytes, count * value_bytes);
  }
}

}  // namespace

Visible visible_part(const Job& job) {
  return {std::max(0, -job.canvas_left), std::max(0, -job.canvas_top),
          std::min(job.width, job.canvas_width - job.canvas_left),
          std::min(job.height, job.canvas_height - job.canvas_top)};
}

void check_patches(const Job& job, const Batch& batch) {
  const int block = batch.patches.edge * batch.patches.merge;
  if (job.canvas_height < 1 || job.canvas_width < 1 || job.canvas_height % block != 0 ||
      job.canvas_width % block != 0) {
    throw DecodeError("a canvas of " + std::to_string(job.canvas_width) + " x " +
                      std::to_string(job.canvas_height) + " pixels is no whole number of blocks of " +
                      std::to_string(block));
  }
}

std::size_t patches_bytes(const Job& job, const Batch& batch) {
  if (job.canvas_height < 1 || job.canvas_width < 1) return 0;
  const std::size_t edge = batch.patches.edge;
  const std::size_t squares = (job.canvas_height / edge) * (job.canvas_width / edge);
  return squares * edge * edge * batch.channels * batch.patches.repeat * bytes_of(batch.type);
}

void clear_patches(const Job& job, const Batch& batch, std::uint8_t* out) {
  const bool covered = job.canvas_top <= 0 && job.canvas_left <= 0 &&
                       job.canvas_top + job.height >= job.canvas_height &&
                       job.canvas_left + job.width >= job.canvas_width;
  if (covered) return;
  const Places places(job, batch);
  const std::size_t value_bytes = bytes_of(batch.type), plane = places.repeat * places.frame;
  const std::size_t squares =
      static_cast<std::size_t>(job.canvas_height / batch.patches.edge) * places.columns;
  for (int c = 0; c < batch.channels; ++c) {
    std::vector<float> values(plane, Mapping(job, batch, c).black());
    for (std::size_t square = 0; square < squares; ++square) {
      put_values(batch.type, values.data(), plane, out + (square * places.square + c * plane) * value_bytes);
    }
  }
}

void store_patch_row(const float* values, std::size_t step_x, std::size_t step_c, int channels, int y,
                     const Job& job, const Batch& batch, std::uint8_t* out) {
  const Places places(job, batch);
  const std::size_t value_bytes = bytes_of(batch.type);
  std::vector<float> mapped(places.edge);
  std::vector<std::uint8_t> bytes(places.edge * value_bytes);
  for (int c = 0; c < batch.channels; ++c) {
    const Mapping mapping(job, batch, c);
    const float* from = values + (channels == 1 ? 0 : c * step_c);
    for_each_run(places, job, c, y, [&](std::size_t x, std::size_t count, std::size_t place) {
      for (std::size_t i = 0; i < count; ++i) mapped[i] = mapping(from[(x + i) * step_x]);
      put_values(batch.type, mapped.data(), count, bytes.data());
      put_copies(places, place, bytes.data(), count, value_bytes, out);
    });
  }
}

void store_patch_picture(const augment::Picture& picture, const Job& job, const Batch& batch,
                         std::uint8_t* out) {
  const Places places(job, batch);
  const std::size_t value_bytes = bytes_of(batch.type);
  std::vector<std::uint8_t> bytes(places.edge * value_bytes);
  for (int c = 0; c < batch.channels; ++c) {
    for (int y = 0; y < picture.height; ++y) {
      const float* row = picture.plane(c) + static_cast<std::size_t>(y) * picture.width;
      for_each_run(places, job, c, y, [&](std::size_t x, std::size_t count, std::size_t place) {
        put_values(batch.type, row + x, count, bytes.data());
        put_copies(places, place, bytes.data(), count, value_bytes, out);
      });
    }
  }
}

namespace {

// A picture of levels has 256 values a channel: each is mapped and converted once.
template <typename Value>
std::array<std::array<Value, 256>, 3> tables_of(const Job& job, const Batch& batch) {
  std::array<std::array<Value, 256>, 3> tables;
  for (int c = 0; c < batch.channels; ++c) {
    const Mapping mapping(job, batch, c);
    std::array<float, 256> mapped;
    for (int level = 0; level < 256; ++level) mapped[level] = mapping(static_cast<float>(level));
    put_values(batch.type, mapped.data(), 256, reinterpret_cast<std::uint8_t*>(tables[c].data()));
  }
  return tables;
}

// Square by square, so that memory is written from front to back.
template <typename Value>
void store_levels(const std::uint8_t* levels, int channels, const Job& job, const Batch& batch,
                  std::uint8_t* out) {
  const Places places(job, batch);
  const Visible part = visible_part(job);
  if (part.none()) return;
  const auto tables = tables_of<Value>(job, batch);
  const int edge = batch.patches.edge, step = channels == 1 ? 0 : 1;
  const std::size_t line = static_cast<std::size_t>(part.width()) * channels;
  const int first_row = (part.y0 + job.canvas_top) / edge, last_row = (part.y1 - 1 + job.canvas_top) / edge;
  const int first_column = (part.x0 + job.canvas_left) / edge,
            last_column = (part.x1 - 1 + job.canvas_left) / edge;
  for (int row = first_row; row <= last_row; ++row) {
    for (int column = first_column; column <= last_column; ++column) {
      Value* square = reinterpret_cast<Value*>(out) + places.of_square(row, column);
      // The square's pixels that are visible, on the canvas.
      const int x0 = std::max(column * edge, part.x0 + job.canvas_left);
      const int x1 = std::min((column + 1) * edge, part.x1 + job.canvas_left);
      const int y0 = std::max(row * edge, part.y0 + job.canvas_top);
      const int y1 = std::min((row + 1) * edge, part.y1 + job.canvas_top);
      const std::uint8_t* corner = levels + (y0 - job.canvas_top - part.y0) * line +
                                   static_cast<std::size_t>(x0 - job.canvas_left - part.x0) * channels;
      for (int c = 0; c < batch.channels; ++c, square += places.repeat * places.frame) {
        const std::array<Value, 256>& table = tables[c];
        const std::uint8_t* from = corner + c * step;
        for (int y = y0; y < y1; ++y, from += line) {
          Value* to = square + static_cast<std::size_t>(y - row * edge) * edge + (x0 - column * edge);
          for (int x = 0; x < x1 - x0; ++x) to[x] = table[from[x * channels]];
        }
        for (std::size_t copy = 1; copy < places.repeat; ++copy) {
          std::memcpy(square + copy * places.frame, square, places.frame * sizeof(Value));
        }
      }
    }
  }
}

}  // namespace

void store_patch_levels(const std::uint8_t* levels, int channels, const Job& job, const Batch& batch,
                        std::uint8_t* out) {
  if (bytes_of(batch.type) == 4) return store_levels<float>(levels, channels, job, batch, out);
  return store_levels<std::uint16_t>(levels, channels, job, batch, out);
}

}  // namespace medshard::pipeline
