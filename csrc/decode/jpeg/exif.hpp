// The one thing that EXIF says about how a picture is to be shown.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::decode::jpeg {

// The orientation (EXIF 2.32, 4.6.4: 1 to 8) in the body of an APP1 segment; 0 when it says none that is
// valid.
int exif_orientation(const std::uint8_t* body, std::size_t size);

}  // namespace medshard::decode::jpeg
