// libjpeg-turbo: its errors as ours, and what is let pass.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
// jpeglib.h needs size_t and FILE before it.
#include <jerror.h>
#include <jpeglib.h>

namespace medshard::decode::jpeg {

// Behind `err` and `progress` of a libjpeg object. After setjmp(escape) any error and any warning that tells
// of damage comes back there, with its text in `message`.
struct LibraryErrors {
  jpeg_error_mgr base;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];

  jpeg_error_mgr* install();
};

// A header may promise a huge picture in a small stream: no memory is taken for what cannot be there. A
// Huffman code spends at least one bit on each block of 8 x 8 samples; the arithmetic code has no such bound.
// Throws DecodeError.
void check_plausible(const jpeg_decompress_struct& info, std::size_t size);

}  // namespace medshard::decode::jpeg
