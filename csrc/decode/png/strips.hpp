// Independent strips: a standard PNG of which a reader that knows about them decodes only the rows it needs.
//
// The rows come in strips of equally many rows (the last may have fewer). The first row of a strip has a
// filter that does not look up (None or Sub), no match of the deflate stream reaches back into an earlier
// strip, and each strip is a chunk of its own: IDAT number k begins with the first byte of strip k (the first
// one with the two bytes of the zlib header before it) and ends with an empty stored block, the last one with
// the end of the stream.
//
// The chunk `msST` says so (ancillary, private, not safe to copy: an editor that changes the pixels drops
// it). All numbers are of four bytes, most significant first: version (1), rows of a strip, number of strips,
// and for each strip the offset of its IDAT body from the first byte of the file. A reader can so fetch
// single strips by range.
//
// What the chunk says is compared with the IDAT chunks, and each strip that is decoded with its length; where
// they disagree the picture is decoded whole. A forged file can still show other pixels in parts than whole,
// and nothing worse.
#pragma once

#include <cstdint>

#include "decode/png/stream.hpp"

namespace medshard::decode::png {

constexpr char kStripChunk[] = "msST";
constexpr std::uint32_t kStripVersion = 1;

// Rows of a strip by what the chunk says, where that agrees with the chunks of pixels; else 0, and the
// picture is decoded as any other.
std::uint32_t strip_rows_of(const Span& body, const Stream& stream, const std::uint8_t* file);

// The compressed bytes of a strip.
Span strip_bytes(const Stream& stream, std::size_t strip);

}  // namespace medshard::decode::png
