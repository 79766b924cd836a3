#include "volume/chunk.hpp"

#include <blosc.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/cpu.hpp"
#include "core/crc32c.hpp"
#include "core/error.hpp"
#include "volume/unshuffle.hpp"

namespace medshard::volume {
namespace {

constexpr std::size_t kCrcBytes = 4;

constexpr std::size_t kHeaderBytes = 16;

// The header of a Blosc 1 frame (README_CHUNK_FORMAT of c-blosc). Frames are read here and not by the Blosc
// library, which makes a new zstd context each time and unshuffles bits slowly where it was compiled for old
// machines: over 32^3 chunks of CT that is half the time.
struct Header {
  std::size_t item = 1, block = 0;
  int format = 0;  // 1 LZ4, 4 zstd
  Shuffle shuffle = Shuffle::none;
  bool stored = false, split = false;
};

std::uint32_t read_u32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) | static_cast<std::uint32_t>(at[1]) << 8 |
         static_cast<std::uint32_t>(at[2]) << 16 | static_cast<std::uint32_t>(at[3]) << 24;
}

Header read_header(const std::uint8_t* data, std::size_t frame, std::size_t content) {
  const std::uint8_t flags = data[2];
  Header header;
  header.item = data[3];
  header.block = read_u32(data + 8);
  header.format = flags >> 5;
  header.stored = (flags & 0x02) != 0;
  header.split = (flags & 0x10) == 0;
  header.shuffle = (flags & 0x04) != 0 ? Shuffle::bits : (flags & 0x01) != 0 ? Shuffle::bytes : Shuffle::none;
  if (read_u32(data + 4) != content || read_u32(data + 12) > frame) {
    throw DecodeError("the chunk is not of the length that its array says");
  }
  const bool known = data[0] == 2 && (header.format == 1 || header.format == 4) &&
                     (header.item == 1 || header.item == 2 || header.item == 4);
  if (!known) throw DecodeError("the chunk is of a kind of Blosc frame that is not read");
  if (header.block == 0 || header.block > content) throw DecodeError("the chunk is damaged");
  return header;
}

void read_stream(const Header& header, const std::uint8_t* data, std::size_t size, std::uint8_t* out,
                 std::size_t length, Scratch& scratch) {
  if (size == length) {  // what did not become shorter is stored as it is
    std::memcpy(out, data, length);
    return;
  }
  bool whole = false;
  if (header.format == 1) {
    const int made = LZ4_decompress_safe(reinterpret_cast<const char*>(data), reinterpret_cast<char*>(out),
                                         static_cast<int>(size), static_cast<int>(length));
    whole = made >= 0 && static_cast<std::size_t>(made) == length;
  } else {
    if (!scratch.zstd) scratch.zstd.reset(ZSTD_createDCtx());
    if (!scratch.zstd) throw std::bad_alloc();
    whole = ZSTD_decompressDCtx(scratch.zstd.get(), out, length, data, size) == length;
  }
  if (!whole) throw DecodeError("the chunk is damaged");
}

void read_block(const Header& header, const std::uint8_t* data, std::size_t size, std::uint8_t* out,
                std::size_t length, std::size_t streams, Scratch& scratch) {
  const std::size_t part = length / streams;
  for (std::size_t stream = 0; stream < streams; ++stream) {
    if (size < 4) throw DecodeError("the chunk is cut off");
    const std::size_t packed = read_u32(data);
    if (packed > size - 4) throw DecodeError("the chunk is damaged");
    read_stream(header, data + 4, packed, out + stream * part, part, scratch);
    data += 4 + packed;
    size -= 4 + packed;
  }
}

void unshuffle(const Header& header, const std::uint8_t* in, std::uint8_t* out, std::size_t length) {
  static const Unshufflers& unshufflers = unshufflers_of(core::chosen_simd());
  const std::size_t count = length / header.item;
  if (header.shuffle == Shuffle::bits && count % 8 != 0) {  // Blosc leaves such blocks as they are
    std::memcpy(out, in, length);
  } else if (header.shuffle == Shuffle::bits) {
    unshufflers.bits(in, out, count, header.item);
  } else {
    unshufflers.bytes(in, out, count, header.item);
  }
  std::memcpy(out + count * header.item, in + count * header.item, length % header.item);
}

}  // namespace

namespace {

std::vector<std::uint8_t> pack_frame(const std::uint8_t* data, std::size_t size, std::size_t item_bytes,
                                     const Codec& codec) {
  std::vector<std::uint8_t> out(size + BLOSC_MAX_OVERHEAD);
  const int length = blosc_compress_ctx(codec.level, static_cast<int>(codec.shuffle), item_bytes, size, data,
                                        out.data(), out.size(), codec.name.c_str(), size, 1);
  if (length <= 0) throw DecodeError("the codec '" + codec.name + "' is not built into the Blosc library");
  out.resize(static_cast<std::size_t>(length));
  return out;
}

void write_u32(std::uint8_t* at, std::size_t value) {
  for (int place = 0; place < 4; ++place) at[place] = static_cast<std::uint8_t>(value >> (8 * place));
}

// A frame of blocks that were packed one by one; empty where one of them did not become shorter. The Blosc
// library takes no wish for blocks this small of codecs that it packs byte by byte.
std::vector<std::uint8_t> join_blocks(const std::uint8_t* data, std::size_t size, std::size_t item_bytes,
                                      const Codec& codec) {
  const std::size_t blocks = size / codec.block_bytes;
  std::vector<std::uint8_t> out(kHeaderBytes + 4 * blocks);
  for (std::size_t number = 0; number < blocks; ++number) {
    const std::vector<std::uint8_t> frame =
        pack_frame(data + number * codec.block_bytes, codec.block_bytes, item_bytes, codec);
    const bool alone = frame.size() > kHeaderBytes + 4 && (frame[2] & 0x02) == 0 &&
                       read_u32(frame.data() + 8) == codec.block_bytes;
    if (!alone || (number > 0 && frame[2] != out[2])) return {};
    if (number == 0) std::copy(frame.begin(), frame.begin() + kHeaderBytes, out.begin());
    write_u32(out.data() + kHeaderBytes + 4 * number, out.size());
    out.insert(out.end(), frame.begin() + read_u32(frame.data() + kHeaderBytes), frame.end());
  }
  write_u32(out.data() + 4, size);
  write_u32(out.data() + 12, out.size());
  return out;
}

}  // namespace

std::vector<std::uint8_t> pack(const std::uint8_t* data, std::size_t size, std::size_t item_bytes,
                               const Codec& codec) {
  if (size > BLOSC_MAX_BUFFERSIZE) throw DecodeError("a chunk is larger than Blosc takes");
  std::vector<std::uint8_t> out;
  if (codec.block_bytes != 0 && codec.block_bytes < size && size % codec.block_bytes == 0) {
    out = join_blocks(data, size, item_bytes, codec);
  }
  if (out.empty()) out = pack_frame(data, size, item_bytes, codec);
  const std::uint32_t sum = core::crc32c(out.data(), out.size());
  out.resize(out.size() + kCrcBytes);
  write_u32(out.data() + out.size() - kCrcBytes, sum);
  return out;
}

void unpack(const std::uint8_t* data, std::size_t size, std::uint8_t* out, std::size_t content, Range wanted,
            Scratch& scratch) {
  if (size <= kCrcBytes + kHeaderBytes) throw DecodeError("the chunk is cut off");
  const std::size_t frame = size - kCrcBytes;
  if (core::crc32c(data, frame) != read_u32(data + frame)) throw DecodeError("the checksum differs");
  const Header header = read_header(data, frame, content);
  if (header.stored) {
    if (frame < kHeaderBytes + content) throw DecodeError("the chunk is cut off");
    std::memcpy(out + wanted.begin, data + kHeaderBytes + wanted.begin, wanted.end - wanted.begin);
    return;
  }
  const std::size_t blocks = (content + header.block - 1) / header.block;
  if (frame < kHeaderBytes + 4 * blocks) throw DecodeError("the chunk is cut off");
  if (header.shuffle != Shuffle::none) scratch.shuffled.resize(header.block);
  const std::size_t past = std::min(blocks, (wanted.end + header.block - 1) / header.block);
  for (std::size_t number = wanted.begin / header.block; number < past; ++number) {
    const std::size_t begin = number * header.block, length = std::min(header.block, content - begin);
    const std::size_t start = read_u32(data + kHeaderBytes + 4 * number);
    if (start > frame) throw DecodeError("the chunk is damaged");
    std::uint8_t* target = header.shuffle == Shuffle::none ? out + begin : scratch.shuffled.data();
    // As the writer: only whole blocks are split into a stream a byte of the item.
    const std::size_t streams = header.split && length == header.block ? header.item : 1;
    read_block(header, data + start, frame - start, target, length, streams, scratch);
    if (header.shuffle != Shuffle::none) unshuffle(header, target, out + begin, length);
  }
}

void Scratch::FreeZstd::operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }

std::string blosc_version() { return BLOSC_VERSION_STRING; }

}  // namespace medshard::volume
