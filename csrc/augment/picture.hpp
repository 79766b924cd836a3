// A sampled crop as planes of float32, on which neighbourhood and pointwise steps work.
#pragma once

#include <cstddef>
#include <vector>

namespace medshard::augment {

struct Picture {
  int channels = 0, height = 0, width = 0;
  std::vector<float> values;  // [channel][row][column]

  void reshape(int c, int h, int w) {
    channels = c, height = h, width = w;
    values.resize(static_cast<std::size_t>(c) * h * w);
  }
  float* plane(int c) { return values.data() + static_cast<std::size_t>(c) * height * width; }
  const float* plane(int c) const { return values.data() + static_cast<std::size_t>(c) * height * width; }
};

}  // namespace medshard::augment
