#include "dicom/elements.hpp"

#include <cstring>

#include "core/error.hpp"

namespace medshard::dicom {
namespace {

// Real files nest about ten deep.
constexpr int kMaxDepth = 64;

// VRs with a reserved field and a length of 32 bits (PS3.5 7.1.2).
bool is_long(const char* vr) {
  static const char kLong[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
  for (const char* known = kLong; *known != '\0'; known += 2) {
    if (vr[0] == known[0] && vr[1] == known[1]) return true;
  }
  return false;
}

}  // namespace

std::uint16_t read_u16(const std::uint8_t* data, bool big_endian) {
  return static_cast<std::uint16_t>(big_endian ? data[0] << 8 | data[1] : data[1] << 8 | data[0]);
}

std::uint32_t read_u32(const std::uint8_t* data, bool big_endian) {
  const std::uint32_t first = read_u16(data, big_endian), second = read_u16(data + 2, big_endian);
  return big_endian ? first << 16 | second : second << 16 | first;
}

std::uint64_t read_u64(const std::uint8_t* data) {
  return static_cast<std::uint64_t>(read_u32(data + 4, false)) << 32 | read_u32(data, false);
}

bool Cursor::next(const Encoding& encoding, Element& out) {
  if (left() < 8) return false;
  const std::uint8_t* head = here();
  out.tag = static_cast<std::uint32_t>(read_u16(head, encoding.big_endian)) << 16 |
            read_u16(head + 2, encoding.big_endian);
  out.vr[0] = out.vr[1] = 0;
  // Some writers turn to implicit VR within an explicit data set; delimiters never have a VR.
  const bool letters = head[4] >= 'A' && head[4] <= 'Z' && head[5] >= 'A' && head[5] <= 'Z';
  if (!encoding.explicit_vr || !letters || out.tag >> 16 == 0xFFFE) {
    out.length = read_u32(head + 4, encoding.big_endian);
    place_ += 8;
    return true;
  }
  std::memcpy(out.vr, head + 4, 2);
  if (!is_long(out.vr)) {
    out.length = read_u16(head + 6, encoding.big_endian);
    place_ += 8;
    return true;
  }
  if (left() < 12) return false;
  out.length = read_u32(head + 8, encoding.big_endian);
  place_ += 12;
  return true;
}

bool Cursor::skip(std::size_t count) {
  if (count > left()) return false;
  place_ += count;
  return true;
}

void Cursor::skip_sequence(const Encoding& encoding, int depth) {
  if (depth > kMaxDepth) throw DecodeError("DICOM: sequences are nested too deep");
  Element item;
  while (next(encoding, item)) {
    if (item.tag == kSequenceEnd) return;
    if (item.tag != kItem) throw DecodeError("DICOM: a sequence holds something that is no item");
    if (item.length == kUndefined) {
      skip_item(encoding, depth);
    } else if (!skip(item.length)) {
      break;
    }
  }
  throw DecodeError("DICOM: a sequence is cut off");
}

void Cursor::skip_item(const Encoding& encoding, int depth) {
  Element element;
  while (next(encoding, element)) {
    if (element.tag == kItemEnd) return;
    if (element.length == kUndefined) {
      // An unknown VR of undefined length holds items in implicit little endian (PS3.5 6.2.2, note 2).
      const bool unknown = element.vr[0] == 'U' && element.vr[1] == 'N';
      skip_sequence(unknown ? Encoding{false, false} : encoding, depth + 1);
    } else if (!skip(element.length)) {
      break;
    }
  }
  throw DecodeError("DICOM: an item is cut off");
}

}  // namespace medshard::dicom
