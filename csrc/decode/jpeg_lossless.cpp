// Lossless JPEG, process 14 (T.81 annex H): Huffman coded differences to one of seven predictions, 2 to 16
// bits.
//
// Two things make it fast. The stuffed zero bytes are taken out before decoding, so that a refill is one load
// of eight bytes; and the table's entry holds the whole difference wherever code and difference fit its
// index, so that most samples cost one look-up.
#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "decode/codestreams.hpp"
#include "decode/jpeg_markers.hpp"

namespace medshard::decode {
namespace {

[[noreturn]] void damaged(const char* what) { throw DecodeError(std::string("lossless JPEG: ") + what); }

constexpr int kIndexBits = 12;
constexpr int kLongestCode = 16;

// An entry: the difference in the upper 16 bits, below it the bits that it takes; kSlow where it does not
// fit.
constexpr std::uint32_t kSlow = 0xFF;

struct HuffmanTable {
  bool defined = false;
  std::uint32_t entries[1 << kIndexBits];
  // Codes longer than the index (T.81 F.2.2.3), left-aligned in 16 bits: beyond[l] is past the last code of
  // length l.
  std::uint32_t beyond[kLongestCode + 2];
  int offset[kLongestCode + 1];
  std::uint8_t sizes[256];
  int count = 0;
};

// The difference of `size` bits (T.81 F.2.2.1, H.1.2.2).
inline int extended(std::uint32_t bits, int size) {
  return bits < (1u << (size - 1)) ? static_cast<int>(bits) - (1 << size) + 1 : static_cast<int>(bits);
}

void define(HuffmanTable& table, const std::uint8_t* lengths, const std::uint8_t* sizes, int count) {
  std::copy(sizes, sizes + count, table.sizes);
  table.count = count;
  std::fill(std::begin(table.entries), std::end(table.entries), kSlow);
  std::uint32_t code = 0;
  int k = 0;
  for (int length = 1; length <= kLongestCode; ++length) {
    table.offset[length] = k - static_cast<int>(code);
    for (int i = 0; i < lengths[length - 1]; ++i, ++k, ++code) {
      if (code >= 1u << length) damaged("a Huffman table has too many codes");
      const int size = sizes[k];
      if (size > 16) damaged("a Huffman table has differences of more than 16 bits");
      const int extra = size == 16 ? 0 : size;  // size 16 is the one difference 32768
      if (length + extra > kIndexBits) continue;
      const int rest = kIndexBits - length - extra;
      for (std::uint32_t bits = 0; bits < 1u << extra; ++bits) {
        const int difference = size == 16 ? 32768 : size == 0 ? 0 : extended(bits, size);
        const std::uint32_t entry = static_cast<std::uint32_t>(difference & 0xFFFF) << 16 |
                                    static_cast<std::uint32_t>(length + extra);
        const std::uint32_t first = ((code << extra) | bits) << rest;
        std::fill_n(table.entries + first, std::size_t{1} << rest, entry);
      }
    }
    table.beyond[length] = code << (kLongestCode - length);
    code <<= 1;
  }
  table.beyond[kLongestCode + 1] = 0xFFFFFFFFu;
  table.defined = true;
}

std::uint64_t load_big_endian(const std::uint8_t* data) {
  std::uint64_t value;
  std::memcpy(&value, data, sizeof value);
  return __builtin_bswap64(value);
}

// Bits from the highest down. The bytes are followed by kPadding zero bytes, which may be read but not used.
class Bits {
 public:
  static constexpr std::size_t kPadding = 16;

  Bits(const std::uint8_t* begin, const std::uint8_t* end) : next_(begin), end_(end) { refill(); }

  // At least 56 bits are then held.
  void refill() {
    if (next_ > end_) next_ = end_;  // `held_` then tells how many bits were made up
    held_bits_ |= load_big_endian(next_) >> held_;
    const int taken = (63 - held_) >> 3;
    next_ += taken;
    held_ += taken * 8;
    used_beyond_ += next_ > end_ ? static_cast<std::size_t>(next_ - end_) : 0;
  }

  int difference(const HuffmanTable& table) {
    const std::uint32_t entry = table.entries[held_bits_ >> (64 - kIndexBits)];
    if ((entry & 0xFF) == kSlow) return slow(table);
    drop(static_cast<int>(entry & 0xFF));
    return static_cast<int>(entry >> 16);
  }

  // Whether more was used than was there.
  bool overrun() const { return used_beyond_ * 8 > static_cast<std::size_t>(held_); }

 private:
  void drop(int count) {
    held_bits_ <<= count;
    held_ -= count;
  }

  [[gnu::noinline]] int slow(const HuffmanTable& table) {
    refill();
    const std::uint32_t code = static_cast<std::uint32_t>(held_bits_ >> 48);
    int length = 1;
    while (code >= table.beyond[length] && length <= kLongestCode) ++length;
    if (length > kLongestCode) damaged("a Huffman code is none of the table");
    const int k = static_cast<int>(code >> (kLongestCode - length)) + table.offset[length];
    if (k < 0 || k >= table.count) damaged("a Huffman code is none of the table");
    const int size = table.sizes[k];
    drop(length);
    if (size == 0) {
      refill();
      return 0;
    }
    if (size == 16) {
      refill();
      return 32768;
    }
    const int found = extended(static_cast<std::uint32_t>(held_bits_ >> (64 - size)), size);
    drop(size);
    refill();
    return found;
  }

  std::uint64_t held_bits_ = 0;
  int held_ = 0;
  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::size_t used_beyond_ = 0;
};

// T.81 table H.1; ra left, rb above, rc above left.
template <int kPredictor>
inline int predicted(int ra, int rb, int rc) {
  switch (kPredictor) {
    case 1:
      return ra;
    case 2:
      return rb;
    case 3:
      return rc;
    case 4:
      return ra + rb - rc;
    case 5:
      return ra + ((rb - rc) >> 1);
    case 6:
      return rb + ((ra - rc) >> 1);
    default:
      return (ra + rb) >> 1;
  }
}

struct Component {
  int id = 0;
  int sampling = 0;
};

// What a scan codes: some of the picture's components, interleaved sample by sample.
struct Scan {
  int count = 0;
  int channel[4] = {0, 0, 0, 0};
  const HuffmanTable* table[4] = {nullptr, nullptr, nullptr, nullptr};
  int predictor = 1;
  int transform = 0;  // point transform
};

using Row = std::uint16_t*;

// `from` is the first column: its own prediction is made by the caller. Four look-ups of 12 bits fit one
// refill.
template <int kPredictor>
void decode_row(Bits& bits, const HuffmanTable& table, Row row, const std::uint16_t* above,
                std::size_t stride, std::size_t width) {
  std::uint32_t left = row[0];
  const auto step = [&](std::size_t x) {
    const std::size_t at = x * stride;
    const auto difference = static_cast<std::uint32_t>(bits.difference(table));
    if constexpr (kPredictor == 1) {
      left += difference;
    } else {
      const int guess = predicted<kPredictor>(static_cast<int>(left), above[at], above[at - stride]);
      left = (static_cast<std::uint32_t>(guess) + difference) & 0xFFFF;
    }
    row[at] = static_cast<std::uint16_t>(left);
  };
  std::size_t x = 1;
  for (; x + 4 <= width; x += 4) {
    bits.refill();
    step(x);
    step(x + 1);
    step(x + 2);
    step(x + 3);
  }
  bits.refill();
  for (; x < width; ++x) step(x);
}

using DecodeRow = void (*)(Bits&, const HuffmanTable&, Row, const std::uint16_t*, std::size_t, std::size_t);
constexpr DecodeRow kDecodeRow[8] = {nullptr,       decode_row<1>, decode_row<2>, decode_row<3>,
                                     decode_row<4>, decode_row<5>, decode_row<6>, decode_row<7>};

int predict(int predictor, int ra, int rb, int rc) {
  switch (predictor) {
    case 1:
      return predicted<1>(ra, rb, rc);
    case 2:
      return predicted<2>(ra, rb, rc);
    case 3:
      return predicted<3>(ra, rb, rc);
    case 4:
      return predicted<4>(ra, rb, rc);
    case 5:
      return predicted<5>(ra, rb, rc);
    case 6:
      return predicted<6>(ra, rb, rc);
    default:
      return predicted<7>(ra, rb, rc);
  }
}

class Picture {
 public:
  Picture(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels)
      : data_(data), size_(size), max_pixels_(max_pixels) {}

  void decode(Pixels& out) {
    std::size_t place = 2;
    int missing = -1;  // components without a scan; -1 before the frame header
    while (missing != 0) {
      const int marker = next_marker(place);
      if (marker == 0xD9) damaged("scans are missing");
      const std::size_t length =
          place + 2 <= size_ ? static_cast<std::size_t>(data_[place]) << 8 | data_[place + 1] : 0;
      if (length < 2 || length > size_ - place) damaged("a segment is cut off");
      const std::uint8_t* body = data_ + place + 2;
      const std::size_t held = length - 2;
      place += length;
      if (marker == 0xC4) {
        read_tables(body, held);
      } else if (marker == 0xDD) {
        if (held < 2) damaged("a restart interval is cut off");
        restart_interval_ = static_cast<std::size_t>(body[0]) << 8 | body[1];
      } else if (marker == 0xC3) {
        if (missing >= 0) damaged("has two frame headers");
        read_frame(body, held, out);
        missing = channels_;
      } else if (marker == 0xDA) {
        if (missing < 0) damaged("a scan comes before the frame header");
        const Scan scan = read_scan(body, held);
        missing -= scan.count;
        if (missing < 0) damaged("a component is coded twice");
        place = decode_scan(scan, place, out);
        shift(scan, out);
      }
    }
    if (out.bits == 8) narrow(out);
  }

 private:
  int next_marker(std::size_t& place) const {
    while (place + 1 < size_ && !(data_[place] == 0xFF && data_[place + 1] != 0xFF && data_[place + 1] != 0))
      ++place;
    if (place + 1 >= size_) damaged("is cut off");
    place += 2;
    return data_[place - 1];
  }

  void read_tables(const std::uint8_t* body, std::size_t held) {
    while (held > 0) {
      if (held < 17) damaged("a Huffman table is cut off");
      const int slot = body[0] & 15;
      int count = 0;
      for (int i = 1; i <= 16; ++i) count += body[i];
      if (slot > 3 || (body[0] >> 4) != 0 || count > 256) damaged("a Huffman table is none of lossless JPEG");
      if (held < 17 + static_cast<std::size_t>(count)) damaged("a Huffman table is cut off");
      define(tables_[slot], body + 1, body + 17, count);
      body += 17 + count;
      held -= 17 + static_cast<std::size_t>(count);
    }
  }

  void read_frame(const std::uint8_t* body, std::size_t held, Pixels& out) {
    if (held < 6) damaged("the frame header is cut off");
    precision_ = body[0];
    height_ = static_cast<std::size_t>(body[1]) << 8 | body[2];
    width_ = static_cast<std::size_t>(body[3]) << 8 | body[4];
    channels_ = body[5];
    if (precision_ < 2 || precision_ > 16) damaged("samples are not of 2 to 16 bits");
    if (channels_ < 1 || channels_ > 4) damaged("pictures of more than 4 components are not decoded");
    if (held < 6 + 3 * static_cast<std::size_t>(channels_)) damaged("the frame header is cut off");
    check_size(width_, height_, max_pixels_);
    for (int c = 0; c < channels_; ++c) {
      components_[c] = {body[6 + 3 * c], body[7 + 3 * c]};
      if (components_[c].sampling != components_[0].sampling) {
        damaged("components of differing size are not decoded");
      }
    }
    // A code has at least one bit: no memory is taken for what cannot be there.
    const std::size_t samples = width_ * height_ * static_cast<std::size_t>(channels_);
    if (samples > 8 * size_) damaged("the stream is too short for its pixels");
    out.width = static_cast<std::uint32_t>(width_);
    out.height = static_cast<std::uint32_t>(height_);
    out.held = {0, 0, out.width, out.height};
    out.channels = channels_;
    out.precision = precision_;
    out.is_signed = false;
    out.bits = precision_ <= 8 ? 8 : 16;
    out.bytes.resize(samples * 2);
  }

  Scan read_scan(const std::uint8_t* body, std::size_t held) const {
    Scan scan;
    scan.count = held > 0 ? body[0] : 0;
    if (scan.count < 1 || scan.count > channels_ || held < 4 + 2 * static_cast<std::size_t>(scan.count)) {
      damaged("a scan header is damaged");
    }
    for (int i = 0; i < scan.count; ++i) {
      const int id = body[1 + 2 * i], slot = body[2 + 2 * i] >> 4;
      int c = 0;
      while (c < channels_ && components_[c].id != id) ++c;
      if (c == channels_ || slot > 3 || !tables_[slot].defined) damaged("a scan names what is not there");
      for (int j = 0; j < i; ++j) {
        if (scan.channel[j] == c) damaged("a component is coded twice");
      }
      scan.channel[i] = c;
      scan.table[i] = &tables_[slot];
    }
    scan.predictor = body[1 + 2 * scan.count];
    scan.transform = body[3 + 2 * scan.count] & 15;
    if (scan.predictor < 1 || scan.predictor > 7) damaged("the predictor is not 1 to 7");
    if (scan.transform >= precision_) damaged("the point transform is too large");
    return scan;
  }

  // Entropy-coded bytes up to the next marker, without stuffing; `place` moves to that marker.
  void unstuff(std::size_t& place) {
    plain_.resize(size_ - place + Bits::kPadding);
    std::uint8_t* out = plain_.data();
    while (place < size_) {
      const auto* found = static_cast<const std::uint8_t*>(std::memchr(data_ + place, 0xFF, size_ - place));
      const std::size_t run = found ? static_cast<std::size_t>(found - data_) - place : size_ - place;
      std::memcpy(out, data_ + place, run);
      out += run;
      place += run;
      if (place + 1 >= size_) break;
      if (data_[place + 1] == 0) {
        *out++ = 0xFF;
        place += 2;
      } else if (data_[place + 1] == 0xFF) {
        ++place;  // a fill byte
      } else {
        break;
      }
    }
    std::memset(out, 0, Bits::kPadding);
    plain_end_ = out;
  }

  std::size_t decode_scan(const Scan& scan, std::size_t place, Pixels& out) {
    auto* const samples = reinterpret_cast<std::uint16_t*>(out.bytes.data());
    const std::size_t row_samples = width_ * static_cast<std::size_t>(channels_);
    // A restart resets the prediction, which only the beginning of a row can take (T.81 H.1.1).
    if (restart_interval_ % width_ != 0) damaged("restart intervals that are no whole rows are not decoded");
    const std::size_t rows = restart_interval_ == 0 ? height_ : restart_interval_ / width_;
    for (std::size_t first = 0; first < height_; first += rows) {
      if (first > 0) {
        const int marker = next_marker(place);
        if (marker != 0xD0 + static_cast<int>((first / rows - 1) % 8)) damaged("a restart marker is missing");
      }
      unstuff(place);
      Bits bits(plain_.data(), plain_end_);
      const std::size_t last = std::min(height_, first + rows);
      for (std::size_t y = first; y < last; ++y) {
        decode_line(scan, bits, samples + y * row_samples, y == first, row_samples);
        if (bits.overrun()) damaged("is cut off");
      }
    }
    return place;
  }

  void decode_line(const Scan& scan, Bits& bits, Row line, bool is_first, std::size_t row_samples) const {
    const auto stride = static_cast<std::size_t>(channels_);
    const std::uint16_t* above = is_first ? line : line - row_samples;
    // The first line is predicted from the left, whatever the predictor (T.81 H.1.2.1).
    const int predictor = is_first ? 1 : scan.predictor;
    for (int i = 0; i < scan.count; ++i) {
      const int c = scan.channel[i];
      const int start = is_first ? 1 << (precision_ - scan.transform - 1) : above[c];
      bits.refill();
      line[c] = static_cast<std::uint16_t>(start + bits.difference(*scan.table[i]));
    }
    if (scan.count == 1) {
      const int c = scan.channel[0];
      kDecodeRow[predictor](bits, *scan.table[0], line + c, above + c, stride, width_);
      return;
    }
    for (std::size_t x = 1; x < width_; ++x) {
      bits.refill();
      for (int i = 0; i < scan.count; ++i) {
        const std::size_t at = x * stride + static_cast<std::size_t>(scan.channel[i]);
        const int guess = predict(predictor, line[at - stride], above[at], above[at - stride]);
        line[at] = static_cast<std::uint16_t>(guess + bits.difference(*scan.table[i]));
      }
    }
  }

  void shift(const Scan& scan, Pixels& out) const {
    if (scan.transform == 0) return;
    auto* const samples = reinterpret_cast<std::uint16_t*>(out.bytes.data());
    for (std::size_t pixel = 0; pixel < width_ * height_; ++pixel) {
      for (int i = 0; i < scan.count; ++i) {
        std::uint16_t& sample = samples[pixel * static_cast<std::size_t>(channels_) + scan.channel[i]];
        sample = static_cast<std::uint16_t>(sample << scan.transform);
      }
    }
  }

  static void narrow(Pixels& out) {
    const auto* const wide = reinterpret_cast<const std::uint16_t*>(out.bytes.data());
    const std::size_t count = out.bytes.size() / 2;
    for (std::size_t i = 0; i < count; ++i) out.bytes[i] = static_cast<std::uint8_t>(wide[i]);
    out.bytes.resize(count);
  }

  const std::uint8_t* data_;
  std::size_t size_;
  std::uint64_t max_pixels_;
  int precision_ = 0, channels_ = 0;
  std::size_t width_ = 0, height_ = 0, restart_interval_ = 0;
  Component components_[4];
  HuffmanTable tables_[4];
  std::vector<std::uint8_t> plain_;
  const std::uint8_t* plain_end_ = nullptr;
};

}  // namespace

Header read_jpeg_lossless_header(const std::uint8_t* data, std::size_t size) {
  JpegMarkers markers;
  if (!scan_markers(data, size, markers) || markers.process != 3) damaged("has no frame header of that kind");
  Header header;
  header.format = Format::jpeg_lossless;
  header.width = markers.width;
  header.height = markers.height;
  header.channels = markers.components;
  header.precision = markers.precision;
  header.bits = markers.precision <= 8 ? 8 : 16;
  return header;
}

void decode_jpeg_lossless(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  if (size < 4 || data[0] != 0xFF || data[1] != 0xD8) damaged("has no start of image");
  Picture(data, size, request.max_pixels).decode(out);
}

}  // namespace medshard::decode
