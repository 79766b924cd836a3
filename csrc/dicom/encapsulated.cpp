// Which fragments belong to which frame (PS3.5 A.4).
#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "dicom/dataset.hpp"

namespace medshard::dicom {
namespace {

// Where a coded picture ends in JPEG, JPEG-LS (T.81 B.1.1.3) and JPEG 2000 (15444-1 A.4.4) alike: FF D9, with
// padding.
bool ends_picture(const Span& fragment) {
  const std::size_t looked = std::min<std::size_t>(fragment.size, 10);
  const std::uint8_t* tail = fragment.data + fragment.size - looked;
  for (std::size_t i = 0; i + 1 < looked; ++i) {
    if (tail[i] == 0xFF && tail[i + 1] == 0xD9) return true;
  }
  return false;
}

// The fragment whose item begins at this offset.
std::size_t fragment_at(const File& file, std::uint64_t offset) {
  const auto& offsets = file.fragment_offsets;
  const auto found = std::lower_bound(offsets.begin(), offsets.end(), offset);
  if (found == offsets.end() || *found != offset) {
    throw DecodeError("DICOM: an offset table points beside the fragments");
  }
  return static_cast<std::size_t>(found - offsets.begin());
}

std::vector<FrameFragments> by_basic_offsets(const File& file) {
  std::vector<FrameFragments> frames(file.basic_offsets.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].first = fragment_at(file, file.basic_offsets[i]);
    frames[i].last =
        i + 1 < frames.size() ? fragment_at(file, file.basic_offsets[i + 1]) : file.fragments.size();
    if (frames[i].first >= frames[i].last) throw DecodeError("DICOM: the Basic Offset Table is not in order");
  }
  return frames;
}

std::vector<FrameFragments> by_extended_offsets(const File& file) {
  std::vector<FrameFragments> frames(file.extended_offsets.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::size_t first = fragment_at(file, file.extended_offsets[i]);
    // A frame is one fragment where this table is used (PS3.3 C.7.6.3).
    if (file.extended_lengths[i] > file.fragments[first].size) {
      throw DecodeError("DICOM: the Extended Offset Table reaches beyond a fragment");
    }
    frames[i] = {first, first + 1, static_cast<std::size_t>(file.extended_lengths[i])};
  }
  return frames;
}

}  // namespace

std::vector<FrameFragments> frames_of(const File& file) {
  const std::size_t wanted = static_cast<std::size_t>(file.frames), found = file.fragments.size();
  std::vector<FrameFragments> frames;
  if (!file.extended_offsets.empty() && file.extended_offsets.size() == file.extended_lengths.size()) {
    frames = by_extended_offsets(file);
  } else if (!file.basic_offsets.empty()) {
    frames = by_basic_offsets(file);
  } else if (wanted == 1) {
    frames = {{0, found}};
  } else if (found == wanted) {
    for (std::size_t i = 0; i < found; ++i) frames.push_back({i, i + 1});
  } else if (found > wanted && file.coding != Coding::rle) {
    std::size_t first = 0;
    for (std::size_t i = 0; i < found; ++i) {
      if (!ends_picture(file.fragments[i])) continue;
      frames.push_back({first, i + 1});
      first = i + 1;
    }
  }
  if (frames.size() != wanted) {
    throw DecodeError("DICOM: " + std::to_string(found) + " fragments do not make " + std::to_string(wanted) +
                      " frames");
  }
  return frames;
}

}  // namespace medshard::dicom
