// Streams of the codecs that DICOM encapsulates, beside JPEG: components as they are coded, interleaved, in 8
// bits where their precision allows it and else in 16 bits of the machine's byte order; signed ones in two's
// complement.
#pragma once

#include <string>

#include "decode/image.hpp"

namespace medshard::decode {

Header read_jpeg_lossless_header(const std::uint8_t* data, std::size_t size);
void decode_jpeg_lossless(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);

// Without CharLS some layouts, and without OpenJPEG all of JPEG 2000, throw a DecodeError that names the
// package.
Header read_jpegls_header(const std::uint8_t* data, std::size_t size);
void decode_jpegls(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);

// Also HTJ2K, and the JP2 format around either. `reduce` discards levels of resolution; a region is decoded
// alone.
Header read_jpeg2000_header(const std::uint8_t* data, std::size_t size);
void decode_jpeg2000(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);
bool is_jpeg2000(const std::uint8_t* data, std::size_t size);

// Empty where the library is not built in.
std::string jpegls_version();
std::string jpeg2000_version();
bool has_htj2k();

}  // namespace medshard::decode
