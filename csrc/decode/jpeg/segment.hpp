// Entropy-coded bytes between two markers, without the stuffing (T.81, B.1.1.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "decode/jpeg/levels.hpp"

namespace medshard::decode::jpeg {

// Where the marker after the entropy-coded bytes at `place` begins, or `size`.
std::size_t end_of_segment(const std::uint8_t* data, std::size_t size, std::size_t place);

class Segment {
 public:
  // Reads up to the next marker and returns its place, or `size`.
  std::size_t read(const std::uint8_t* data, std::size_t size, std::size_t place);
  Cursor cursor() const;
  // Gives back what one huge stream took.
  void forget_large();

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t room_ = 0, count_ = 0;
};

}  // namespace medshard::decode::jpeg
