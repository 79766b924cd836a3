#include "augment/neighbourhood.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "decode/jpeg_encode.hpp"

namespace medshard::augment {

int reflected(int place, int size) {
  if (place >= 0 && place < size) return place;
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  place %= period;
  if (place < 0) place += period;
  return place < size ? place : period - place;
}

void blur(const ValueKernels& kernels, Picture& picture, const float* across, int across_taps,
          const float* down, int down_taps, NeighbourhoodScratch& scratch) {
  const int height = picture.height, width = picture.width;
  const int left = across_taps / 2, above = down_taps / 2;
  scratch.plane.resize(static_cast<std::size_t>(height) * width);
  scratch.line.resize(static_cast<std::size_t>(width) + 2 * left);
  scratch.rows.resize(std::max(across_taps, down_taps));
  for (int c = 0; c < picture.channels; ++c) {
    float* plane = picture.plane(c);
    float* padded = scratch.line.data();
    for (int k = 0; k < across_taps; ++k) scratch.rows[k] = padded + k;
    for (int y = 0; y < height; ++y) {
      const float* row = plane + static_cast<std::size_t>(y) * width;
      std::copy(row, row + width, padded + left);
      for (int x = 1; x <= left; ++x) {
        padded[left - x] = row[reflected(-x, width)];
        padded[left + width - 1 + x] = row[reflected(width - 1 + x, width)];
      }
      kernels.weighted_sum(scratch.rows.data(), across, across_taps, width,
                           scratch.plane.data() + static_cast<std::size_t>(y) * width);
    }
    for (int y = 0; y < height; ++y) {
      for (int k = 0; k < down_taps; ++k) {
        scratch.rows[k] =
            scratch.plane.data() + static_cast<std::size_t>(reflected(y + k - above, height)) * width;
      }
      kernels.weighted_sum(scratch.rows.data(), down, down_taps, width,
                           plane + static_cast<std::size_t>(y) * width);
    }
  }
}

void sharpen(const ValueKernels& kernels, Picture& picture, float factor, NeighbourhoodScratch& scratch) {
  const int height = picture.height, width = picture.width;
  if (height < 3 || width < 3) return;
  float weights[9];
  std::fill(std::begin(weights), std::end(weights), 1.0f / 13.0f);
  weights[4] = 5.0f / 13.0f;
  scratch.plane.resize(static_cast<std::size_t>(height) * width);
  for (int c = 0; c < picture.channels; ++c) {
    float* plane = picture.plane(c);
    for (int y = 1; y + 1 < height; ++y) {
      const float* rows[9];
      for (int k = 0; k < 9; ++k) rows[k] = plane + static_cast<std::size_t>(y - 1 + k / 3) * width + k % 3;
      kernels.weighted_sum(rows, weights, 9, width - 2,
                           scratch.plane.data() + static_cast<std::size_t>(y) * width + 1);
    }
    for (int y = 1; y + 1 < height; ++y) {
      const std::size_t place = static_cast<std::size_t>(y) * width + 1;
      kernels.blend(plane + place, scratch.plane.data() + place, width - 2, factor);
    }
  }
}

namespace {

constexpr int kBins = 256;

float in_bins(float value) {
  value = value > 0.0f ? value : 0.0f;  // NaN has no bin
  return (value < 1.0f ? value : 1.0f) * (kBins - 1);
}

// Length of a tile along an axis, as OpenCV extends pictures: both axes where one of them does not fit.
std::array<int, 2> tile_sizes(int height, int width, int tiles_y, int tiles_x) {
  if (height % tiles_y != 0 || width % tiles_x != 0) {
    height += tiles_y - height % tiles_y;
    width += tiles_x - width % tiles_x;
  }
  return {height / tiles_y, width / tiles_x};
}

void clip_histogram(int* histogram, int limit) {
  int excess = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    if (histogram[bin] <= limit) continue;
    excess += histogram[bin] - limit;
    histogram[bin] = limit;
  }
  const int each = excess / kBins;
  int left = excess - each * kBins;
  for (int bin = 0; bin < kBins; ++bin) histogram[bin] += each;
  const int step = left > 0 ? std::max(kBins / left, 1) : 1;
  for (int bin = 0; bin < kBins && left > 0; bin += step, --left) ++histogram[bin];
}

// The map of one tile: kBins + 1 values 0..1, the last one repeated for interpolation.
void map_of_tile(const float* plane, int height, int width, int y0, int x0, const std::array<int, 2>& tile,
                 float clip_limit, float* map) {
  int histogram[kBins] = {};
  for (int y = y0; y < y0 + tile[0]; ++y) {
    const float* row = plane + static_cast<std::size_t>(reflected(y, height)) * width;
    for (int x = x0; x < x0 + tile[1]; ++x) {
      ++histogram[static_cast<int>(in_bins(row[reflected(x, width)]) + 0.5f)];
    }
  }
  const int area = tile[0] * tile[1];
  clip_histogram(histogram, std::max(static_cast<int>(static_cast<double>(clip_limit) * area / kBins), 1));
  int below = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    below += histogram[bin];
    map[bin] = static_cast<float>(static_cast<double>(below) / area);
  }
  map[kBins] = map[kBins - 1];
}

// The two tiles between whose middles a place lies, and how far it is from the first.
struct Between {
  int first, second;
  float share;
};

Between between(int place, int tile, int tiles) {
  const float middle = (static_cast<float>(place) / static_cast<float>(tile)) - 0.5f;
  const int first = static_cast<int>(std::floor(middle));
  return {std::max(first, 0), std::min(first + 1, tiles - 1), middle - static_cast<float>(first)};
}

}  // namespace

void equalize_tiles(const ValueKernels& kernels, Picture& picture, float clip_limit, int tiles_y, int tiles_x,
                    NeighbourhoodScratch& scratch) {
  const int height = picture.height, width = picture.width;
  const std::size_t count = static_cast<std::size_t>(height) * width;
  const bool colour = picture.channels == 3;
  scratch.plane.resize(count);
  float* luma = scratch.plane.data();
  if (colour) {
    kernels.luma(picture.plane(0), picture.plane(1), picture.plane(2), count, luma);
  } else {
    std::copy(picture.plane(0), picture.plane(0) + count, luma);
  }
  const std::array<int, 2> tile = tile_sizes(height, width, tiles_y, tiles_x);
  constexpr int kStride = kBins + 1;
  scratch.line.resize(static_cast<std::size_t>(tiles_y) * tiles_x * kStride);
  float* maps = scratch.line.data();
  for (int ty = 0; ty < tiles_y; ++ty) {
    for (int tx = 0; tx < tiles_x; ++tx) {
      map_of_tile(luma, height, width, ty * tile[0], tx * tile[1], tile, clip_limit,
                  maps + (static_cast<std::size_t>(ty) * tiles_x + tx) * kStride);
    }
  }
  std::vector<Between> columns(width);
  for (int x = 0; x < width; ++x) columns[x] = between(x, tile[1], tiles_x);
  for (int y = 0; y < height; ++y) {
    const Between row = between(y, tile[0], tiles_y);
    for (int x = 0; x < width; ++x) {
      const Between& column = columns[x];
      const std::size_t place = static_cast<std::size_t>(y) * width + x;
      const float bins = in_bins(luma[place]);
      const int bin = static_cast<int>(bins);
      const float part = bins - static_cast<float>(bin);
      const auto mapped = [&](int ty, int tx) {
        const float* map = maps + (static_cast<std::size_t>(ty) * tiles_x + tx) * kStride + bin;
        return map[0] + part * (map[1] - map[0]);
      };
      const float above = mapped(row.first, column.first) * (1.0f - column.share) +
                          mapped(row.first, column.second) * column.share;
      const float below = mapped(row.second, column.first) * (1.0f - column.share) +
                          mapped(row.second, column.second) * column.share;
      const float shift = above * (1.0f - row.share) + below * row.share - luma[place];
      for (int c = 0; c < picture.channels; ++c) {
        float& value = picture.plane(c)[place];
        value = std::min(std::max(value + shift, 0.0f), 1.0f);
      }
    }
  }
}

void compress(Picture& picture, int quality, NeighbourhoodScratch& scratch) {
  const std::size_t count = static_cast<std::size_t>(picture.height) * picture.width;
  const int channels = picture.channels;
  scratch.bytes.resize(count * channels);
  for (int c = 0; c < channels; ++c) {
    const float* plane = picture.plane(c);
    std::uint8_t* to = scratch.bytes.data() + c;
    for (std::size_t i = 0; i < count; ++i) {
      to[i * channels] = static_cast<std::uint8_t>(static_cast<int>(in_bins(plane[i]) + 0.5f));
    }
  }
  decode::encode_jpeg(scratch.bytes.data(), picture.width, picture.height, channels, quality, scratch.stream);
  decode::Request request;
  request.max_pixels = count;
  decode::decode_jpeg(scratch.stream.data(), scratch.stream.size(), request, scratch.decoded);
  float values[256];
  for (int byte = 0; byte < 256; ++byte) values[byte] = static_cast<float>(byte) / 255.0f;
  for (int c = 0; c < channels; ++c) {
    float* plane = picture.plane(c);
    const std::uint8_t* from = scratch.decoded.bytes.data() + c;
    for (std::size_t i = 0; i < count; ++i) plane[i] = values[from[i * channels]];
  }
}

}  // namespace medshard::augment
