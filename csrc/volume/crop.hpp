// A box of a stored volume, from packed inner chunks to its place in a batch. The layouts are shared with
// Python (medshard/volumes/native.py).
#pragma once

#include <cstddef>
#include <cstdint>

#include "volume/chunk.hpp"

namespace medshard::volume {

enum class Type : std::uint8_t { u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6 };

// One inner chunk under the box.
struct Piece {
  std::uint64_t address;   // of the packed chunk, in memory or in a file
  std::uint64_t size;      // in bytes; 0 for a chunk that holds only the fill value
  std::int32_t origin[3];  // of its first voxel, counted from the box's first; z y x, may be negative
  std::int32_t spare;
};
static_assert(sizeof(Piece) == 32, "medshard/volumes/native.py holds the same layout");

struct Crop {
  std::uint64_t out;      // address of the first value: C-contiguous (z, y, x)
  std::int32_t shape[3];  // of the box
  std::int32_t inner[3];  // of the chunks
  Type stored;            // of the voxels
  std::uint8_t mapped;    // 0: values as stored; 1: float32, stored * scale + bias, then low to high
  std::uint8_t flip[3];   // z y x
  std::uint8_t spare[3];
  float scale, bias, low, high;
};
static_assert(sizeof(Crop) == 56, "medshard/volumes/native.py holds the same layout");

std::size_t bytes_of(Type type);

// Unpacks every piece and writes what lies inside the box; voxels under no piece are not written. Pieces lie
// in the open `file`, or in memory where it is -1. `scratch` keeps its memory between calls. Throws
// DecodeError with the number of the piece that is damaged in `failed`.
void read_crop(const Crop& crop, const Piece* pieces, std::size_t count, int file, Scratch& scratch,
               std::size_t& failed);

}  // namespace medshard::volume
