#include "decode/jpeg/segment.hpp"

#include <cstring>

namespace medshard::decode::jpeg {
namespace {

constexpr std::size_t kKeptBytes = 64ul << 20;

// Calls piece(from, to) for each run of bytes that stand for themselves.
template <typename Piece>
std::size_t for_pieces(const std::uint8_t* data, std::size_t size, std::size_t place, const Piece& piece) {
  while (place < size) {
    const void* found = std::memchr(data + place, 0xFF, size - place);
    if (found == nullptr) break;
    const auto at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - data);
    std::size_t after = at + 1;
    while (after < size && data[after] == 0xFF) ++after;
    if (after == size || data[after] != 0) {
      piece(place, at);
      return at;
    }
    piece(place, at + 1);  // however many 0xFF stand before the 0, they are one
    place = after + 1;
  }
  if (place < size) piece(place, size);
  return size;
}

}  // namespace

std::size_t end_of_segment(const std::uint8_t* data, std::size_t size, std::size_t place) {
  return for_pieces(data, size, place, [](std::size_t, std::size_t) {});
}

std::size_t Segment::read(const std::uint8_t* data, std::size_t size, std::size_t place) {
  const std::size_t needed = size - place + kPadBytes;
  if (room_ < needed) {
    bytes_.reset(new std::uint8_t[needed]);
    room_ = needed;
  }
  count_ = 0;
  const std::size_t end = for_pieces(data, size, place, [&](std::size_t from, std::size_t to) {
    std::memcpy(bytes_.get() + count_, data + from, to - from);
    count_ += to - from;
  });
  std::memset(bytes_.get() + count_, 0, kPadBytes);
  return end;
}

Cursor Segment::cursor() const {
  Cursor cursor;
  cursor.bytes = bytes_.get();
  cursor.end = 8 * static_cast<std::uint64_t>(count_);
  return cursor;
}

void Segment::forget_large() {
  if (room_ <= kKeptBytes) return;
  bytes_.reset();
  room_ = 0;
}

}  // namespace medshard::decode::jpeg
