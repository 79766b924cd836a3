// Pixels into a JPEG stream, for augmentation; medshard stores none.
#pragma once

#include <cstdint>
#include <vector>

namespace medshard::decode {

// Baseline, 8 bits, libjpeg's defaults: colour is YCbCr at half resolution. channels 1 or 3, interleaved;
// quality 1 to 100. `stream` keeps its memory between calls. Throws DecodeError.
void encode_jpeg(const std::uint8_t* pixels, int width, int height, int channels, int quality,
                 std::vector<std::uint8_t>& stream);

}  // namespace medshard::decode
