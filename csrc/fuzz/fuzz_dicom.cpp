// Any bytes as a DICOM file: header, frame table, the first and last frame, and the part that sampling asks
// for.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/error.hpp"
#include "dicom/frames.hpp"

using namespace medshard;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t kMaxPixels = 1 << 20;
  static dicom::Scratch scratch;
  try {
    const dicom::File file = dicom::parse(data, size);
    const dicom::Frames frames(file);
    if (frames.samples() > 3 * kMaxPixels) return 0;
    for (const bool rescale : {false, true}) {
      const dicom::Wanted wanted{rescale, !rescale};
      std::vector<std::uint8_t> out(frames.samples() * dicom::bytes_of(frames.type_of(wanted)));
      frames.read(0, wanted, out.data(), scratch);
      frames.read(frames.count() - 1, wanted, out.data(), scratch);
    }
    decode::Request request;
    request.max_pixels = kMaxPixels;
    request.region = {1, 2, 20, 9};
    decode::Pixels pixels;
    frames.read_part(request, pixels, scratch);
  } catch (const DecodeError&) {
  }
  return 0;
}
