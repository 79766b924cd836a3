// What a DICOM file says of its pixels (PS3.3 C.7.6.3), and where they lie. All else stays pydicom's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace medshard::dicom {

// How the pixels are coded (PS3.6 A-1), after the data set's own encoding is known.
enum class Coding { native, rle, jpeg, jpeg_lossless, jpegls, jpeg2000, htj2k, other };

struct Span {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

struct File {
  std::string transfer_syntax;
  Coding coding = Coding::other;
  bool big_endian = false;
  int rows = 0, columns = 0, samples = 1, frames = 1;
  int bits_allocated = 0, bits_stored = 0, high_bit = 0;
  bool is_signed = false;
  bool planar = false;  // PlanarConfiguration 1
  std::string photometric;
  bool has_palette = false;  // a Palette Color Lookup Table Descriptor is there
  bool has_modality_lut = false;
  bool has_rescale = false;
  double slope = 1.0, intercept = 0.0;
  bool has_window = false;
  double window_centre = 0.0, window_width = 0.0;  // the first one
  bool words = false;                              // the VR of Pixel Data is OW
  Span pixels;                                     // native: the samples
  std::vector<Span> fragments;                     // else the items, without the Basic Offset Table
  std::vector<std::uint64_t> fragment_offsets;     // of their item tags, from the first item after the table
  std::vector<std::uint64_t> basic_offsets;
  std::vector<std::uint64_t> extended_offsets, extended_lengths;
  std::vector<std::uint8_t> inflated;  // of a deflated data set; the spans then point into it
};

// By the prefix of PS3.10 7.1.
bool is_dicom(const std::uint8_t* data, std::size_t size);

// Throws DecodeError: no DICM prefix, damaged, nested too deep, or without pixels. The bytes must outlive the
// file. Messages never hold values of the data set.
File parse(const std::uint8_t* data, std::size_t size);

// The fragments of each frame (PS3.5 A.4), as indices first to last, the last not included. Throws
// DecodeError when they cannot be told apart.
struct FrameFragments {
  std::size_t first = 0, last = 0;
  std::size_t length = 0;  // of the first fragment, where only a part of it is the frame; 0 means all
};
std::vector<FrameFragments> frames_of(const File& file);

}  // namespace medshard::dicom
