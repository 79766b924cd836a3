// Frames of a DICOM file, decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decode/image.hpp"
#include "dicom/dataset.hpp"
#include "dicom/values.hpp"

namespace medshard::dicom {

// Memory that is kept between frames.
struct Scratch {
  decode::Pixels pixels;
  std::vector<std::uint8_t> joined, plain;
};

// What the values of frames shall be.
struct Wanted {
  bool rescale = false;  // slope and intercept are applied to grey values
  bool as_rgb = true;    // YBR_FULL and YBR_FULL_422 become RGB
};

class Frames {
 public:
  // Checks the header and finds the frames. Throws DecodeError: against itself, or of a kind that is left to
  // pydicom.
  explicit Frames(const File& file);

  int count() const { return file_.frames; }
  std::size_t samples() const { return samples_; }  // of one frame
  // Of the values: by the header alone, never by how bright a frame is. Rescaled: int16 where all values of
  // BitsStored fit, else int32; float32 where slope or intercept are fractions.
  ValueType type_of(const Wanted& wanted) const;
  // (rows, columns[, 3]) of that type, planar configuration 0. Throws DecodeError.
  void read(int frame, const Wanted& wanted, std::uint8_t* out, Scratch& scratch) const;
  // For sampling: stored values, colours as RGB, the wanted rows only.
  void read_part(const decode::Request& request, decode::Pixels& out, Scratch& scratch) const;

 private:
  struct Stored {
    Samples samples;
    std::uint32_t width = 0, height = 0;  // of the frame, reduced
    decode::Region held;
    int used_bits = 0;
    bool is_ybr = false;
  };

  Stored stored(int frame, const decode::Request& request, Scratch& scratch) const;
  Stored native(int frame, Scratch& scratch) const;
  Stored run_length(const Span& coded, Scratch& scratch) const;
  Stored coded(const Span& coded, const decode::Request& request, Scratch& scratch) const;
  Span joined(int frame, Scratch& scratch) const;
  int header_bits() const;  // Mapping::used_bits where the header rules, not the stream
  bool is_grey() const;
  bool applies_rescale(const Wanted& wanted) const;

  const File& file_;
  std::vector<FrameFragments> fragments_;
  std::size_t samples_ = 0;
  int value_bits_ = 0;  // no value needs more
};

decode::Header read_header(const std::uint8_t* data, std::size_t size);
void decode(const std::uint8_t* data, std::size_t size, const decode::Request& request, decode::Pixels& out);

}  // namespace medshard::dicom
