// Masks: stored values by the nearest pixel.
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "core/error.hpp"
#include "pipeline/sample.hpp"

namespace medshard::pipeline {
namespace {

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

// The pixel at a continuous place of the stored picture; low - 1 for none.
int pixel_at(const augment::Axis& axis, double place) {
  const int under = static_cast<int>(std::floor(place));
  return augment::within(under, axis.low, axis.high, axis.border);
}

// Which sample of the source each pixel of an output row takes; -1 for none.
void places_of_row(const Source& source, const Job& job, Sampling& sampling, int y,
                   std::vector<std::int64_t>& places) {
  const augment::Axis &across = sampling.across, &down = sampling.down;
  places.resize(job.width);
  if (sampling.warped) sampling.warper.locate(y);
  const double wide = (across.box1 - across.box0) / across.size, high = (down.box1 - down.box0) / down.size;
  for (int x = 0; x < job.width; ++x) {
    int row, column;
    if (sampling.warped) {
      const double u = sampling.warper.xs()[x] + 0.5, v = sampling.warper.ys()[x] + 0.5;
      const bool outside = u < 0 || v < 0 || u >= across.size || v >= down.size;
      const bool none = outside && across.border == augment::Border::constant;
      column = none ? across.low - 1 : pixel_at(across, across.box0 + u * wide);
      row = none ? down.low - 1 : pixel_at(down, down.box0 + v * high);
    } else {
      column = sampling.nearest_columns[job.transpose ? y : x];
      row = sampling.nearest_rows[job.transpose ? x : y];
    }
    places[x] =
        column < across.low || row < down.low ? -1 : static_cast<std::int64_t>(source.place(row, column));
  }
}

template <typename From, typename To>
void copy_labels(const Source& source, const Job& job, const Batch& batch, Sampling& sampling,
                 SampleMemory& memory, std::uint8_t* out) {
  const auto* from = reinterpret_cast<const From*>(source.data);
  auto* to = reinterpret_cast<To*>(out);
  const std::size_t plane = static_cast<std::size_t>(job.width) * job.height;
  const To fill = label_of<To>(job.fill);
  for (int y = 0; y < job.height; ++y) {
    places_of_row(source, job, sampling, y, memory.places);
    for (int x = 0; x < job.width; ++x) {
      const std::int64_t pixel = memory.places[x];
      const std::size_t place = static_cast<std::size_t>(y) * job.width + x;
      for (int c = 0; c < batch.channels; ++c) {
        // A mask with fewer channels than asked for has nothing in the others: channel 0 holds its first
        // layer.
        const To value = pixel < 0 ? fill : c < source.channels ? label_of<To>(from[pixel + c]) : To{0};
        to[batch.channels_last ? place * batch.channels + c : c * plane + place] = value;
      }
    }
  }
}

template <typename From>
void copy_labels_as(const Source& source, const Job& job, const Batch& batch, Sampling& sampling,
                    SampleMemory& memory, std::uint8_t* out) {
  switch (batch.type) {
    case Output::u8:
      return copy_labels<From, std::uint8_t>(source, job, batch, sampling, memory, out);
    case Output::i16:
      return copy_labels<From, std::int16_t>(source, job, batch, sampling, memory, out);
    default:
      return copy_labels<From, std::int32_t>(source, job, batch, sampling, memory, out);
  }
}

}  // namespace

void sample_labels(const Source& source, const Job& job, const Batch& batch, Sampling& sampling,
                   SampleMemory& memory, std::uint8_t* out) {
  switch (source.type) {
    case Codec::raw_u16:
      return copy_labels_as<std::uint16_t>(source, job, batch, sampling, memory, out);
    case Codec::raw_i16:
      return copy_labels_as<std::int16_t>(source, job, batch, sampling, memory, out);
    case Codec::raw_f32:
      return copy_labels_as<float>(source, job, batch, sampling, memory, out);
    default:
      return copy_labels_as<std::uint8_t>(source, job, batch, sampling, memory, out);
  }
}

}  // namespace medshard::pipeline
