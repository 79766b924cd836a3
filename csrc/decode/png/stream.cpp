#include "decode/png/stream.hpp"

#include <libdeflate.h>

#include <cstring>

#include "core/error.hpp"
#include "decode/png/strips.hpp"

namespace medshard::decode::png {
namespace {

constexpr std::uint8_t kSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::uint32_t kMaxLength = 0x7FFFFFFFu;  // of a chunk and of a side (5.3, 11.2.1)

[[noreturn]] void fail(const std::string& what) { throw DecodeError("PNG: " + what); }

struct Chunk {
  const std::uint8_t* kind;
  Span body;

  bool is(const char* name) const { return std::memcmp(kind, name, 4) == 0; }
  bool critical() const { return (kind[0] & 0x20) == 0; }
};

std::uint32_t checksum(const std::uint8_t* data, std::size_t size) { return libdeflate_crc32(0, data, size); }

// The chunk at `place`, which is moved behind it; a reader of the head leaves the pixels' checksums alone.
Chunk next_chunk(const std::uint8_t* data, std::size_t size, std::size_t& place) {
  if (size - place < 12) fail("is cut off");
  const std::uint32_t length = big32(data + place);
  if (length > kMaxLength || length > size - place - 12) fail("is cut off inside a chunk");
  const Chunk chunk{data + place + 4, {data + place + 8, length}};
  place += 12 + static_cast<std::size_t>(length);
  return chunk;
}

void check(const Chunk& chunk) {
  if (checksum(chunk.kind, 4 + chunk.body.size) != big32(chunk.body.data + chunk.body.size)) {
    fail("a chunk fails its checksum");
  }
}

// Table 11.1: which depths go with which colour type.
bool allowed(int colour, int depth) {
  switch (colour) {
    case 0:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case 3:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2:
    case 4:
    case 6:
      return depth == 8 || depth == 16;
    default:
      return false;
  }
}

void read_header_chunk(const Chunk& chunk, Stream& stream) {
  if (!chunk.is("IHDR") || chunk.body.size != 13) fail("does not begin with a header");
  const std::uint8_t* body = chunk.body.data;
  stream.width = big32(body);
  stream.height = big32(body + 4);
  const bool sized =
      stream.width > 0 && stream.height > 0 && stream.width <= kMaxLength && stream.height <= kMaxLength;
  if (!sized || !allowed(body[9], body[8]) || body[10] != 0 || body[11] != 0 || body[12] > 1) {
    fail("the header is of a kind that is not known");
  }
  stream.depth = body[8];
  stream.colour = static_cast<Colour>(body[9]);
  stream.interlaced = body[12] == 1;
}

void read_palette(const Chunk& chunk, Stream& stream, std::size_t& entries) {
  const std::size_t size = chunk.body.size;
  if (entries > 0 || size % 3 != 0 || size == 0 || size > 3 * 256)
    fail("the palette has a wrong length or place");
  if (stream.colour == Colour::grey || stream.colour == Colour::grey_alpha)
    fail("a grey picture has a palette");
  entries = size / 3;
  if (stream.colour != Colour::palette) return;  // advice for displays
  if (entries > (std::size_t{1} << stream.depth)) fail("the palette is longer than its indices reach");
  for (std::size_t i = 0; i < entries; ++i) std::memcpy(stream.palette[i].data(), chunk.body.data + 3 * i, 3);
}

// Of a palette; one transparent colour of another picture is not looked at, as ever.
void read_transparency(const Chunk& chunk, Stream& stream, std::size_t entries) {
  if (stream.colour != Colour::palette) return;
  if (stream.transparent || chunk.body.size > entries || chunk.body.size == 0) {
    fail("the transparency has a wrong length or place");
  }
  stream.transparent = true;
  for (std::size_t i = 0; i < chunk.body.size; ++i) stream.palette[i][3] = chunk.body.data[i];
}

Stream read(const std::uint8_t* data, std::size_t size, bool whole) {
  if (size < 8 || std::memcmp(data, kSignature, 8) != 0) fail("has no signature");
  Stream stream;
  for (auto& entry : stream.palette) entry[3] = 255;
  std::size_t place = 8, entries = 0;
  Chunk chunk = next_chunk(data, size, place);
  check(chunk);
  read_header_chunk(chunk, stream);
  bool ended = false;  // whether a chunk of another kind follows the pixels
  Span strips;
  while (true) {
    chunk = next_chunk(data, size, place);
    if (chunk.is("IDAT")) {
      if (stream.colour == Colour::palette && entries == 0) fail("has no palette");
      if (!whole) return stream;
      if (ended) fail("the pixels are not in one row of chunks");
      check(chunk);
      stream.pixels.push_back(chunk.body);
      continue;
    }
    check(chunk);
    ended = ended || !stream.pixels.empty();
    if (chunk.is("IEND")) break;
    if (chunk.is("PLTE")) {
      if (ended || stream.transparent) fail("the palette has a wrong length or place");
      read_palette(chunk, stream, entries);
    } else if (chunk.is("tRNS") && !ended) {
      read_transparency(chunk, stream, entries);
    } else if (chunk.is(kStripChunk) && !ended) {
      strips = chunk.body;
    } else if (chunk.critical()) {
      fail(chunk.is("IHDR") ? "has two headers" : "has a critical chunk that is not known");
    }
  }
  if (stream.pixels.empty()) fail("has no pixels");
  if (strips.size > 0) stream.strip_rows = strip_rows_of(strips, stream, data);
  return stream;
}

}  // namespace

int Stream::stored_samples() const {
  switch (colour) {
    case Colour::rgb:
      return 3;
    case Colour::grey_alpha:
      return 2;
    case Colour::rgba:
      return 4;
    default:
      return 1;
  }
}

int Stream::channels() const {
  switch (colour) {
    case Colour::grey:
      return 1;
    case Colour::rgb:
      return 3;
    case Colour::palette:
      return transparent ? 4 : 3;
    default:
      return 4;
  }
}

Stream read_head(const std::uint8_t* data, std::size_t size) { return read(data, size, false); }

Stream read_stream(const std::uint8_t* data, std::size_t size) { return read(data, size, true); }

void append_chunk(std::vector<std::uint8_t>& out, const char* kind, const std::uint8_t* body,
                  std::size_t size) {
  if (size > kMaxLength) fail("a chunk would be longer than PNG allows");
  const std::size_t begin = out.size();
  out.resize(begin + 12 + size);
  std::uint8_t* at = out.data() + begin;
  put_big32(at, static_cast<std::uint32_t>(size));
  std::memcpy(at + 4, kind, 4);
  if (size > 0) std::memcpy(at + 8, body, size);
  put_big32(at + 8 + size, checksum(at + 4, 4 + size));
}

}  // namespace medshard::decode::png
