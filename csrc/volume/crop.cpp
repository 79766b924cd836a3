#include "volume/crop.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.hpp"
#include "volume/convert.hpp"

namespace medshard::volume {
namespace {

// What of a chunk lies in the box: rows begin .. end of the box, and where in the chunk they begin.
struct Span {
  int begin, end, first;
};

Span overlap(int origin, int inner, int shape) {
  const int begin = std::max(origin, 0);
  return {begin, std::min(origin + inner, shape), begin - origin};
}

template <typename Sample>
void copy_row(const void* source, void* target, std::size_t count, bool reverse) {
  const auto* in = static_cast<const Sample*>(source);
  auto* out = static_cast<Sample*>(target);
  if (reverse) {
    std::reverse_copy(in, in + count, out);
  } else {
    std::memcpy(out, in, count * sizeof(Sample));
  }
}

void copy_row_of(std::size_t item, const void* source, void* target, std::size_t count, bool reverse) {
  if (item == 1) return copy_row<std::uint8_t>(source, target, count, reverse);
  if (item == 2) return copy_row<std::uint16_t>(source, target, count, reverse);
  return copy_row<std::uint32_t>(source, target, count, reverse);
}

void place(const Crop& crop, const Piece& piece, const std::uint8_t* chunk, const Converters& converters) {
  const Span z = overlap(piece.origin[0], crop.inner[0], crop.shape[0]);
  const Span y = overlap(piece.origin[1], crop.inner[1], crop.shape[1]);
  const Span x = overlap(piece.origin[2], crop.inner[2], crop.shape[2]);
  if (z.begin >= z.end || y.begin >= y.end || x.begin >= x.end) return;
  const std::size_t item = bytes_of(crop.stored), count = static_cast<std::size_t>(x.end - x.begin);
  const Mapping mapping{crop.scale, crop.bias, crop.low, crop.high};
  const Convert convert = converters.of[static_cast<int>(crop.stored)];
  const int column = crop.flip[2] ? crop.shape[2] - x.end : x.begin;
  for (int plane = z.begin; plane < z.end; ++plane) {
    const int to_plane = crop.flip[0] ? crop.shape[0] - 1 - plane : plane;
    for (int row = y.begin; row < y.end; ++row) {
      const int to_row = crop.flip[1] ? crop.shape[1] - 1 - row : row;
      const std::size_t from =
          (static_cast<std::size_t>(plane - piece.origin[0]) * crop.inner[1] + (row - piece.origin[1])) *
              crop.inner[2] +
          x.first;
      const std::size_t to =
          (static_cast<std::size_t>(to_plane) * crop.shape[1] + to_row) * crop.shape[2] + column;
      if (crop.mapped) {
        convert(chunk + from * item, reinterpret_cast<float*>(crop.out) + to, count, mapping,
                crop.flip[2] != 0);
      } else {
        copy_row_of(item, chunk + from * item, reinterpret_cast<std::uint8_t*>(crop.out) + to * item, count,
                    crop.flip[2] != 0);
      }
    }
  }
}

// The packed chunk: where it lies in memory, or read into the thread's own, where it is unpacked while in
// cache.
const std::uint8_t* packed_bytes(const Piece& piece, int file, std::vector<std::uint8_t>& buffer) {
  if (file < 0) return reinterpret_cast<const std::uint8_t*>(piece.address);
  if (buffer.size() < piece.size) buffer.resize(piece.size);
  std::size_t done = 0;
  while (done < piece.size) {
    const ssize_t got =
        pread(file, buffer.data() + done, piece.size - done, static_cast<off_t>(piece.address + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw DecodeError("the file cannot be read");
    if (got == 0) throw DecodeError("the chunk is cut off");
    done += static_cast<std::size_t>(got);
  }
  return buffer.data();
}

}  // namespace

std::size_t bytes_of(Type type) {
  if (type == Type::u8 || type == Type::i8) return 1;
  return type == Type::u16 || type == Type::i16 ? 2 : 4;
}

const Converters& converters_of(core::Simd level) {
#if defined(MEDSHARD_X86)
  if (level == core::Simd::avx512) return avx512_converters();
  if (level == core::Simd::avx2) return avx2_converters();
#endif
  (void)level;
  return scalar_converters();
}

void read_crop(const Crop& crop, const Piece* pieces, std::size_t count, int file, Scratch& scratch,
               std::size_t& failed) {
  static const Converters& converters = converters_of(core::chosen_simd());
  const std::size_t bytes =
      static_cast<std::size_t>(crop.inner[0]) * crop.inner[1] * crop.inner[2] * bytes_of(crop.stored);
  const std::size_t plane = bytes / static_cast<std::size_t>(crop.inner[0]);
  scratch.chunk.resize(bytes);
  bool blank = false;  // whether the chunk holds zeros
  for (std::size_t number = 0; number < count; ++number) {
    failed = number;
    const Piece& piece = pieces[number];
    const Span z = overlap(piece.origin[0], crop.inner[0], crop.shape[0]);
    if (z.begin >= z.end) continue;
    if (piece.size != 0) {
      const std::size_t first = static_cast<std::size_t>(z.first);
      const Range wanted{first * plane, (first + static_cast<std::size_t>(z.end - z.begin)) * plane};
      unpack(packed_bytes(piece, file, scratch.packed), piece.size, scratch.chunk.data(), bytes, wanted,
             scratch);
      blank = false;
    } else if (!blank) {
      std::fill(scratch.chunk.begin(), scratch.chunk.end(), std::uint8_t{0});
      blank = true;
    }
    place(crop, piece, scratch.chunk.data(), converters);
  }
}

}  // namespace medshard::volume
