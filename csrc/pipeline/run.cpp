// One sample from bytes to its slot: decode, sample, map, store.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "augment/kernels.hpp"
#include "core/cpu.hpp"
#include "core/error.hpp"
#include "pipeline/job.hpp"
#include "pipeline/levels.hpp"
#include "pipeline/patches.hpp"
#include "pipeline/scratch.hpp"
#include "pipeline/store.hpp"

namespace medshard::pipeline {
namespace {

using augment::kRows;

// Memory that a thread keeps after a picture; a rare huge one does not stay.
constexpr std::size_t kKeptBytes = 256ul << 20;

// Samples of any type, interleaved, rows one after another: a part of a picture.
struct Source {
  const std::uint8_t* data = nullptr;
  int height = 0, width = 0, channels = 0;  // of the whole picture
  decode::Region held;                      // what lies at `data`
  Codec type = Codec::raw_u8;

  // Which sample of `data` begins a pixel of the picture.
  std::size_t place(int row, int column) const {
    return ((static_cast<std::size_t>(row) - held.y0) * held.width() +
            (static_cast<std::size_t>(column) - held.x0)) *
           channels;
  }
};

std::size_t bytes_of(Codec type) { return type == Codec::raw_u8 ? 1 : type == Codec::raw_f32 ? 4 : 2; }

struct Window {
  double box[4];
  int bounds[4];
};

Source raw_source(const Job& job, std::uint64_t max_pixels) {
  Source source;
  source.data = reinterpret_cast<const std::uint8_t*>(job.address);
  source.height = job.raw[0];
  source.width = job.raw[1];
  source.channels = job.raw[2];
  source.held = {0, 0, static_cast<std::uint32_t>(source.width), static_cast<std::uint32_t>(source.height)};
  source.type = static_cast<Codec>(job.codec);
  if (source.height < 1 || source.width < 1) throw DecodeError("raw samples have no pixels");
  decode::check_size(source.width, source.height, max_pixels);
  const std::size_t bytes =
      static_cast<std::size_t>(source.height) * source.width * source.channels * bytes_of(source.type);
  if (bytes != job.size) throw DecodeError("raw samples are not of the size that their shape says");
  return source;
}

// Decodes, at half size where the output needs no more, and moves the window accordingly.
Source decoded_source(const Job& job, const Batch& batch, Window& window, Scratch& scratch,
                      bool same_source) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(job.address);
  const decode::Header header = decode::read_header(data, job.size);
  const double wide = (job.box[2] - job.box[0]) / job.width, high = (job.box[3] - job.box[1]) / job.height;
  int reduce = 1;
  if (!batch.nearest && header.format == decode::Format::jpeg) {
    while (reduce < batch.reduce && wide >= 2.0 * reduce && high >= 2.0 * reduce) reduce *= 2;
  }
  for (double& edge : window.box) edge /= reduce;
  decode::Request request{reduce, {}, batch.max_pixels};
  if (window.bounds[0] >= 0 && window.bounds[1] >= 0) {
    for (int axis = 0; axis < 2; ++axis) {
      window.bounds[axis] /= reduce;
      window.bounds[axis + 2] = (window.bounds[axis + 2] + reduce - 1) / reduce;
    }
    const auto edge = [&](int place) {
      return static_cast<std::uint32_t>(std::max(window.bounds[place], 0));
    };
    request.region = {edge(0), edge(1), edge(2), edge(3)};
  }
  if (!same_source || reduce != scratch.reduce) decode::decode(data, job.size, request, scratch.pixels);
  scratch.reduce = reduce;
  Source source;
  source.data = scratch.pixels.bytes.data();
  source.held = scratch.pixels.held;
  source.height = static_cast<int>(scratch.pixels.height);
  source.width = static_cast<int>(scratch.pixels.width);
  source.channels = scratch.pixels.channels;
  source.type = scratch.pixels.bits == 16 ? Codec::raw_u16 : Codec::raw_u8;
  return source;
}

void check_window(const Window& window, const Source& source) {
  const int* b = window.bounds;
  const bool inside =
      b[0] >= 0 && b[1] >= 0 && b[2] <= source.width && b[3] <= source.height && b[0] < b[2] && b[1] < b[3];
  const bool real = std::isfinite(window.box[0] + window.box[1] + window.box[2] + window.box[3]) &&
                    window.box[0] < window.box[2] && window.box[1] < window.box[3];
  if (!inside || !real) {
    throw DecodeError("the crop reaches outside the picture of " + std::to_string(source.width) + " x " +
                      std::to_string(source.height) + " pixels: the index and the stored picture disagree");
  }
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

// Rows first, because a row is contiguous whatever its type; then columns, eight output rows side by side.
void sample_filtered(const Source& source, const Window& window, const Job& job, const Batch& batch,
                     std::uint8_t* out, Scratch& scratch) {
  static const augment::Kernels& kernels = augment::kernels_of(core::chosen_simd());
  augment::make_weights(window.box[0], window.box[2], window.bounds[0], window.bounds[2], job.width,
                        job.flip_x != 0, batch.filter, scratch.columns);
  augment::make_weights(window.box[1], window.box[3], window.bounds[1], window.bounds[3], job.height,
                        job.flip_y != 0, batch.filter, scratch.rows);
  const augment::Weights& rows = scratch.rows;
  const std::size_t count =
      static_cast<std::size_t>(scratch.columns.highest - scratch.columns.lowest) * source.channels;
  for (int& first : scratch.columns.first) first -= scratch.columns.lowest;
  scratch.lines.resize(count * kRows);
  scratch.tile.resize(count * kRows);
  scratch.sampled.resize(static_cast<std::size_t>(job.width) * source.channels * kRows);
  for (int y = 0; y < job.height; y += kRows) {
    const int height = std::min(kRows, job.height - y);
    std::fill(scratch.lines.begin(), scratch.lines.end(), 0.0f);
    for (int r = 0; r < height; ++r) {
      float* line = scratch.lines.data() + static_cast<std::size_t>(r) * count;
      for (int k = 0; k < rows.taps[y + r]; ++k) {
        const float weight = rows.values[(y + r) * rows.stride + k];
        accumulate(kernels, source, rows.first[y + r] + k, scratch.columns.lowest, count, weight, line);
      }
    }
    kernels.transpose(scratch.lines.data(), count, count, scratch.tile.data());
    kernels.horizontal(scratch.tile.data(), scratch.columns.first.data(), scratch.columns.taps.data(),
                       scratch.columns.values.data(), scratch.columns.stride, job.width, source.channels,
                       scratch.sampled.data());
    store_rows(scratch.sampled.data(), source.channels, y, height, job, batch, out);
  }
}

// A label that does not fit would silently become another one.
template <typename To, typename From>
To label_of(From value) {
  if constexpr (std::is_floating_point_v<From> || sizeof(From) >= sizeof(To)) {
    const bool fits = static_cast<double>(value) >= static_cast<double>(std::numeric_limits<To>::min()) &&
                      static_cast<double>(value) <= static_cast<double>(std::numeric_limits<To>::max());
    if (!fits) {
      throw DecodeError("a mask value of " + std::to_string(value) +
                        " does not fit the type of the batch; take int32");
    }
  }
  return static_cast<To>(value);
}

template <typename From, typename To>
void copy_nearest(const Source& source, const Job& job, const Batch& batch, const Scratch& scratch,
                  std::uint8_t* out) {
  const auto* from = reinterpret_cast<const From*>(source.data);
  auto* to = reinterpret_cast<To*>(out);
  const std::size_t plane = static_cast<std::size_t>(job.width) * job.height;
  for (int y = 0; y < job.height; ++y) {
    for (int x = 0; x < job.width; ++x) {
      const std::size_t pixel = source.place(scratch.nearest_rows[y], scratch.nearest_columns[x]);
      const std::size_t place = static_cast<std::size_t>(y) * job.width + x;
      for (int c = 0; c < batch.channels; ++c) {
        // A mask with fewer channels than asked for has nothing in the others: channel 0 holds its first
        // layer.
        const To value = c < source.channels ? label_of<To>(from[pixel + c]) : To{0};
        to[batch.channels_last ? place * batch.channels + c : c * plane + place] = value;
      }
    }
  }
}

template <typename From>
void copy_nearest_as(const Source& source, const Job& job, const Batch& batch, const Scratch& scratch,
                     std::uint8_t* out) {
  switch (batch.type) {
    case Output::u8:
      return copy_nearest<From, std::uint8_t>(source, job, batch, scratch, out);
    case Output::i16:
      return copy_nearest<From, std::int16_t>(source, job, batch, scratch, out);
    default:
      return copy_nearest<From, std::int32_t>(source, job, batch, scratch, out);
  }
}

void sample_nearest(const Source& source, const Window& window, const Job& job, const Batch& batch,
                    std::uint8_t* out, Scratch& scratch) {
  augment::make_nearest(window.box[0], window.box[2], window.bounds[0], window.bounds[2], job.width,
                        job.flip_x != 0, scratch.nearest_columns);
  augment::make_nearest(window.box[1], window.box[3], window.bounds[1], window.bounds[3], job.height,
                        job.flip_y != 0, scratch.nearest_rows);
  switch (source.type) {
    case Codec::raw_u16:
      return copy_nearest_as<std::uint16_t>(source, job, batch, scratch, out);
    case Codec::raw_i16:
      return copy_nearest_as<std::int16_t>(source, job, batch, scratch, out);
    case Codec::raw_f32:
      return copy_nearest_as<float>(source, job, batch, scratch, out);
    default:
      return copy_nearest_as<std::uint8_t>(source, job, batch, scratch, out);
  }
}

// 8-bit pictures in whole levels, so that they equal what a family's own processor makes of them; others in
// floats.
void sample_patches(const Source& source, const Window& window, const Job& job, const Batch& batch,
                    std::uint8_t* out, Scratch& scratch) {
  check_patches(job, batch);
  clear_patches(job, batch, out);
  if (source.type != Codec::raw_u8) return sample_filtered(source, window, job, batch, out, scratch);
  const LevelRows rows{source.data, static_cast<std::size_t>(source.held.width()) * source.channels,
                       static_cast<int>(source.held.x0), static_cast<int>(source.held.y0), source.channels};
  resize_levels(rows, window.box, window.bounds, job, batch, scratch);
  store_patch_levels(scratch.levels.data(), source.channels, job, batch, out);
}

}  // namespace

std::size_t bytes_of(Output type) {
  switch (type) {
    case Output::u8:
      return 1;
    case Output::f32:
    case Output::i32:
      return 4;
    default:
      return 2;
  }
}

Scratch* make_scratch() { return new Scratch; }
void free_scratch(Scratch* scratch) { delete scratch; }

bool share_source(const Job& first, const Job& second) {
  return static_cast<Codec>(first.codec) == Codec::compressed && first.address == second.address &&
         first.size == second.size && first.codec == second.codec &&
         std::equal(std::begin(first.bounds), std::end(first.bounds), std::begin(second.bounds));
}

std::string run_job(const Job& job, const Batch& batch, Scratch& scratch, bool same_source) {
  const std::size_t slot_bytes = batch.patches.edge > 0 ? patches_bytes(job, batch)
                                                        : static_cast<std::size_t>(batch.channels) *
                                                              job.height * job.width * bytes_of(batch.type);
  std::uint8_t* out = batch.out + job.out;
  try {
    Window window;
    std::copy(std::begin(job.box), std::end(job.box), window.box);
    std::copy(std::begin(job.bounds), std::end(job.bounds), window.bounds);
    const bool raw = static_cast<Codec>(job.codec) != Codec::compressed;
    const Source source =
        raw ? raw_source(job, batch.max_pixels) : decoded_source(job, batch, window, scratch, same_source);
    check_window(window, source);
    if (batch.nearest) {
      sample_nearest(source, window, job, batch, out, scratch);
    } else {
      if (source.channels != 1 && source.channels != 3 && source.channels != 4) {
        throw DecodeError("pictures of " + std::to_string(source.channels) + " channels are not sampled");
      }
      (batch.patches.edge > 0 ? sample_patches : sample_filtered)(source, window, job, batch, out, scratch);
    }
    if (scratch.pixels.bytes.capacity() > kKeptBytes) {
      std::vector<std::uint8_t>().swap(scratch.pixels.bytes);
      scratch.reduce = 0;  // what is gone is not used again
    }
    return "";
  } catch (const std::exception& error) {
    std::memset(out, 0, slot_bytes);
    const std::string what = error.what();
    return what.empty() ? "failed without a reason" : what;
  }
}

}  // namespace medshard::pipeline
