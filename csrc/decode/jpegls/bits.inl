// The bits of a JPEG-LS scan (T.87 annex A).
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace medshard::decode {
namespace {

[[noreturn]] void damaged(const char* what) { throw DecodeError(std::string("JPEG-LS: ") + what); }

// The bits of a scan one after another. After a byte FF the next one's first bit is stuffed (T.87 A.1); taken
// out here once, a read needs no test.
class PlainBits {
 public:
  // Zeros follow for a line of this width, so that only its end needs a test: a sample takes less than
  // 128 bits.
  PlainBits(const std::uint8_t* in, const std::uint8_t* end, std::size_t width)
      : bytes_(static_cast<std::size_t>(end - in) + 16 * width + 64, 0) {
    while (in < end) {
      const auto* ff =
          static_cast<const std::uint8_t*>(std::memchr(in, 0xFF, static_cast<std::size_t>(end - in)));
      const std::uint8_t* stop = ff == nullptr ? end : ff + 1;
      append(in, stop);
      in = stop;
      if (ff == nullptr || in >= end || *in >= 0x80) break;
      append_seven(*in++);
    }
  }

  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return size_; }  // in bits

 private:
  void append(const std::uint8_t* in, const std::uint8_t* end) {
    const std::size_t shift = size_ % 8;
    std::uint8_t* out = bytes_.data() + size_ / 8;
    std::uint64_t kept = static_cast<std::uint64_t>(*out) << 56;
    size_ += static_cast<std::size_t>(end - in) * 8;
    for (; end - in >= 8; in += 8, out += 8) {
      const std::uint64_t word = core::load_big_endian(in);
      core::store_big_endian(out, kept | word >> shift);
      kept = shift == 0 ? 0 : word << (64 - shift);
    }
    for (; in < end; ++in) {
      const std::uint64_t byte = static_cast<std::uint64_t>(*in) << 56;
      *out++ = static_cast<std::uint8_t>((kept | byte >> shift) >> 56);
      kept = byte << (8 - shift);
    }
    *out = static_cast<std::uint8_t>(kept >> 56);
  }

  void append_seven(std::uint8_t byte) {
    const std::size_t shift = size_ % 8;
    std::uint8_t* out = bytes_.data() + size_ / 8;
    const unsigned both = static_cast<unsigned>(byte) << (9 - shift);
    out[0] = static_cast<std::uint8_t>(out[0] | both >> 8);
    out[1] = static_cast<std::uint8_t>(both);
    size_ += 7;
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t size_ = 0;
};

// A place in them.
class Bits {
 public:
  explicit Bits(const PlainBits& plain) : data_(plain.data()), size_(plain.size()) {}

  // The next bits from the highest down, at least 57 of them.
  std::uint64_t window() const { return core::load_big_endian(data_ + place_ / 8) << (place_ % 8); }

  void drop(int count) { place_ += static_cast<std::size_t>(count); }

  int take(int count) {  // 0 to 32
    const std::uint64_t value = window();
    drop(count);
    return top(value, count);
  }

  static int top(std::uint64_t window, int count) { return static_cast<int>(window >> 1 >> (63 - count)); }

  bool overrun() const { return place_ > size_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t place_ = 0;
};

}  // namespace
}  // namespace medshard::decode
