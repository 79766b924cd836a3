// Lossless JPEG, process 14 (T.81 annex H): Huffman coded differences to one of seven predictions, 2 to 16
// bits. The stuffed zero bytes are taken out before decoding.
#include <algorithm>
#include <cstring>

#include "decode/codestreams.hpp"
#include "decode/jpeg_markers.hpp"
// In this file alone, so that the compiler may inline what is called in one place.
#include "decode/jpeg_lossless/bits.inl"
#include "decode/jpeg_lossless/rows.inl"

namespace medshard::decode {
namespace {

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
