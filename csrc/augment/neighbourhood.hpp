// Steps in which a pixel depends on those around it.
#pragma once

#include <cstdint>
#include <vector>

#include "augment/picture.hpp"
#include "augment/values.hpp"
#include "decode/image.hpp"

namespace medshard::augment {

// Memory that a thread keeps for them.
struct NeighbourhoodScratch {
  std::vector<float> plane, line;
  std::vector<const float*> rows;
  std::vector<std::uint8_t> bytes, stream;
  decode::Pixels decoded;
};

// Where a place beyond the border is read: mirrored about the outermost pixel, as often as needed
// (numpy.pad's "reflect"; OpenCV's BORDER_REFLECT_101).
int reflected(int place, int size);

// Each plane convolved with `across` along rows and `down` along columns; both of odd length.
void blur(const ValueKernels& kernels, Picture& picture, const float* across, int across_taps,
          const float* down, int down_taps, NeighbourhoodScratch& scratch);

// factor * v + (1 - factor) * smoothed, to 0..1, smoothed with [[1 1 1] [1 5 1] [1 1 1]] / 13; the outermost
// pixels stay. As torchvision's adjust_sharpness.
void sharpen(const ValueKernels& kernels, Picture& picture, float factor, NeighbourhoodScratch& scratch);

// Contrast-limited adaptive histogram equalisation of the luma, as OpenCV's CLAHE of 8 bits: 256 bins, tiles
// of one size (the picture is extended by reflection where they do not fit), excess spread evenly, maps
// interpolated between tiles. Values are not rounded to bins. Colours are shifted by the change of their
// luma.
void equalize_tiles(const ValueKernels& kernels, Picture& picture, float clip_limit, int tiles_y, int tiles_x,
                    NeighbourhoodScratch& scratch);

// Through a JPEG of 8 bits at a quality of 1 to 100. Throws DecodeError when the picture is too large for
// one.
void compress(Picture& picture, int quality, NeighbourhoodScratch& scratch);

}  // namespace medshard::augment
