// The samples that a job takes its pixels from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "decode/image.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {

// Samples of any type, interleaved, rows one after another: a part of a picture.
struct Source {
  const std::uint8_t* data = nullptr;
  int height = 0, width = 0, channels = 0;  // of the whole picture
  decode::Region held;                      // what lies at `data`
  Codec type = Codec::raw_u8;
  int reduce = 1;  // the picture is at that part of its stored size

  // Which sample of `data` begins a pixel of the picture.
  std::size_t place(int row, int column) const {
    return ((static_cast<std::size_t>(row) - held.y0) * held.width() +
            (static_cast<std::size_t>(column) - held.x0)) *
           channels;
  }
};

std::size_t bytes_of(Codec type);

}  // namespace medshard::pipeline
