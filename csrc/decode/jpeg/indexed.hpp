// A lossless rewriting that lets a reader go to the part that it wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::decode::jpeg {

// The same coefficients as one sequential scan with restart markers, tables made for them, and no metadata.
// `parts`: segments that a row of MCUs is divided into. Grey and three components. Throws DecodeError.
std::vector<std::uint8_t> make_indexed(const std::uint8_t* data, std::size_t size, int parts,
                                       std::uint64_t max_pixels);

}  // namespace medshard::decode::jpeg
