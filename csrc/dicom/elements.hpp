// Data elements one after another (PS3.5 chapter 7), within bounds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::dicom {

struct Encoding {
  bool explicit_vr = true;
  bool big_endian = false;
};

constexpr std::uint32_t kUndefined = 0xFFFFFFFFu;
constexpr std::uint32_t kItem = 0xFFFEE000u;
constexpr std::uint32_t kItemEnd = 0xFFFEE00Du;
constexpr std::uint32_t kSequenceEnd = 0xFFFEE0DDu;

struct Element {
  std::uint32_t tag = 0;
  char vr[2] = {0, 0};  // zeros where it is implicit
  std::uint32_t length = 0;
};

class Cursor {
 public:
  Cursor(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::size_t place() const { return place_; }
  std::size_t left() const { return size_ - place_; }
  const std::uint8_t* here() const { return data_ + place_; }

  // Tag, VR and length; false where fewer bytes are left than those take.
  bool next(const Encoding& encoding, Element& out);
  // False, and nothing skipped, where fewer bytes are left.
  bool skip(std::size_t count);
  // Goes past a value of undefined length: items to the sequence's end. Throws DecodeError.
  void skip_sequence(const Encoding& encoding, int depth);

 private:
  void skip_item(const Encoding& encoding, int depth);

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t place_ = 0;
};

std::uint16_t read_u16(const std::uint8_t* data, bool big_endian);
std::uint32_t read_u32(const std::uint8_t* data, bool big_endian);
std::uint64_t read_u64(const std::uint8_t* data);

}  // namespace medshard::dicom
