#include "decode/inflate.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <utility>

#include "core/error.hpp"

namespace medshard::decode {
namespace {

constexpr std::size_t kMostFromOneByte = 1032;  // 258 bytes from two bits: no deflate stream gives more
constexpr std::size_t kLeastGzip = 18;          // header and trailer of an empty member
constexpr std::size_t kFirstBytes = 64 << 10;

libdeflate_decompressor* decompressor() {
  thread_local const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> kept(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!kept) throw DecodeError("out of memory");
  return kept.get();
}

// The length that the last member of a gzip file says it has, modulo 2^32 (RFC 1952, 2.3.1).
std::size_t stated_size(const std::uint8_t* data, std::size_t size) {
  if (size < kLeastGzip) return 0;
  std::size_t stated = 0;
  for (int place = 3; place >= 0; --place) stated = stated << 8 | data[size - 4 + place];
  return stated;
}

// A buffer that grows as what is written to it shows to be longer than was thought.
class Growing {
 public:
  Growing(std::size_t first, std::size_t most) : most_(most) { resize(std::min(first, most)); }
  std::uint8_t* end() { return held_.bytes.get() + held_.size; }
  std::size_t room() const { return capacity_ - held_.size; }
  void add(std::size_t written) { held_.size += written; }
  bool grow() {
    if (capacity_ >= most_) return false;
    resize(capacity_ > most_ / 2 ? most_ : std::max(capacity_ * 2, std::min(kFirstBytes, most_)));
    return true;
  }
  Inflated take() { return std::move(held_); }

 private:
  void resize(std::size_t capacity) {
    void* moved = std::realloc(held_.bytes.get(), std::max<std::size_t>(capacity, 1));
    if (moved == nullptr) throw DecodeError("out of memory");
    (void)held_.bytes.release();
    held_.bytes.reset(static_cast<std::uint8_t*>(moved));
    capacity_ = capacity;
  }
  std::size_t capacity_ = 0, most_;
  Inflated held_;
};

}  // namespace

Inflated inflate(const std::uint8_t* data, std::size_t size, Wrapping wrapping, std::size_t limit,
                 std::size_t expected) {
  const bool gzip = wrapping == Wrapping::kGzip;
  const auto decompress = gzip ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex;
  // What the data can give at most also bounds what a lying hint can take.
  const std::size_t possible = size > limit / kMostFromOneByte ? limit : size * kMostFromOneByte;
  if (expected == 0) expected = gzip ? stated_size(data, size) : size * 4;
  Growing out(std::max(expected, std::min(size, kFirstBytes)), possible);
  std::size_t read = 0;
  do {
    std::size_t used = 0, written = 0;
    const libdeflate_result result =
        decompress(decompressor(), data + read, size - read, out.end(), out.room(), &used, &written);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (!out.grow()) {
        if (possible < limit) throw DecodeError("the compressed data are damaged");
        return {};
      }
      continue;
    }
    if (result != LIBDEFLATE_SUCCESS) throw DecodeError("the compressed data are damaged or cut off");
    out.add(written);
    read += used;
    if (!gzip) break;
    if (read < size && data[read] == 0) {
      if (std::any_of(data + read, data + size, [](std::uint8_t byte) { return byte != 0; })) {
        throw DecodeError("the compressed data are damaged or cut off");
      }
      break;
    }
  } while (read < size);
  return out.take();
}

}  // namespace medshard::decode
