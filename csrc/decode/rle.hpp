// DICOM's run-length coding (PS3.5 annex G): PackBits, one segment for each byte of each sample.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::decode {

// The segments one after another, each of `plane` bytes; `out` is a little longer than they are. Throws
// DecodeError.
void decode_rle(const std::uint8_t* data, std::size_t size, int segments, std::size_t plane,
                std::vector<std::uint8_t>& out);

}  // namespace medshard::decode
