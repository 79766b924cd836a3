#include "pipeline/whole.hpp"

#include <algorithm>

namespace medshard::pipeline {
namespace {

template <typename Sample>
void keep_whole_of(const Source& source, augment::Picture& whole) {
  const auto* from = reinterpret_cast<const Sample*>(source.data);
  for (int y = 0; y < source.height; ++y) {
    for (int x = 0; x < source.width; ++x) {
      const std::size_t to = static_cast<std::size_t>(y) * source.width + x;
      for (int c = 0; c < whole.channels; ++c) {
        whole.plane(c)[to] = static_cast<float>(from[source.place(y, x) + c]);
      }
    }
  }
}

}  // namespace

void keep_whole(const Source& source, augment::Picture& whole) {
  whole.reshape(std::min(source.channels, 3), source.height, source.width);
  switch (source.type) {
    case Codec::raw_u16:
      return keep_whole_of<std::uint16_t>(source, whole);
    case Codec::raw_i16:
      return keep_whole_of<std::int16_t>(source, whole);
    case Codec::raw_f32:
      return keep_whole_of<float>(source, whole);
    default:
      return keep_whole_of<std::uint8_t>(source, whole);
  }
}

}  // namespace medshard::pipeline
