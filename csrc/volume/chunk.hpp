// Inner chunks of a stored volume: a Blosc frame (zstd or LZ4 after a shuffle) and its CRC-32C.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct ZSTD_DCtx_s;
using ZSTD_DCtx = ZSTD_DCtx_s;

namespace medshard::volume {

// As the "blosc" codec of Zarr v3 names them.
enum class Shuffle { none = 0, bytes = 1, bits = 2 };

struct Codec {
  std::string name;  // "zstd" or "lz4"
  int level = 5;
  Shuffle shuffle = Shuffle::bits;
  std::size_t block_bytes =
      0;  // unpacked length of a block, which can be unpacked by itself; 0 for one block
};

// Throws DecodeError when the codec is not built into the Blosc library.
std::vector<std::uint8_t> pack(const std::uint8_t* data, std::size_t size, std::size_t item_bytes,
                               const Codec& codec);

// What a thread keeps from chunk to chunk.
struct Scratch {
  struct FreeZstd {
    void operator()(ZSTD_DCtx* context) const;
  };
  std::vector<std::uint8_t> packed, shuffled, chunk;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> zstd;
};

// Places of unpacked bytes.
struct Range {
  std::size_t begin, end;
};

// The content of what pack() or another writer of Blosc frames with zstd or LZ4 gave, `content` bytes in all,
// of which only the `wanted` are sure to be written. Throws DecodeError: damaged, or of another length or
// kind.
void unpack(const std::uint8_t* data, std::size_t size, std::uint8_t* out, std::size_t content, Range wanted,
            Scratch& scratch);

std::string blosc_version();

}  // namespace medshard::volume
