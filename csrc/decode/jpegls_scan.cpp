#include "decode/jpegls_scan.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/error.hpp"

namespace medshard::decode {
namespace {

[[noreturn]] void damaged(const char* what) { throw DecodeError(std::string("JPEG-LS: ") + what); }

constexpr int kContexts = 365;
// Orders of run lengths (T.87 A.2.1, J).
constexpr int kRunOrder[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,  2,  3,  3,  3,  3,
                               4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

int bits_of(std::uint32_t value) { return value == 0 ? 0 : 32 - __builtin_clz(value); }

std::uint64_t load_big_endian(const std::uint8_t* data) {
  std::uint64_t value;
  std::memcpy(&value, data, sizeof value);
  return __builtin_bswap64(value);
}

void store_big_endian(std::uint8_t* data, std::uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(data, &value, sizeof value);
}

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
      const std::uint64_t word = load_big_endian(in);
      store_big_endian(out, kept | word >> shift);
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
  std::uint64_t window() const { return load_big_endian(data_ + place_ / 8) << (place_ % 8); }

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

struct Preset {
  int max_value = 0, t1 = 0, t2 = 0, t3 = 0, reset = 64;
};

// T.87 C.2.4.1.1.1
Preset default_preset(int max_value, int near) {
  const auto within = [&](int value, int low) { return value > max_value || value < low ? low : value; };
  Preset preset;
  preset.max_value = max_value;
  if (max_value >= 128) {
    const int factor = (std::min(max_value, 4095) + 128) / 256;
    preset.t1 = within(factor * (3 - 2) + 2 + 3 * near, near + 1);
    preset.t2 = within(factor * (7 - 3) + 3 + 5 * near, preset.t1);
    preset.t3 = within(factor * (21 - 4) + 4 + 7 * near, preset.t2);
  } else {
    const int factor = 256 / (max_value + 1);
    preset.t1 = within(std::max(2, 3 / factor + 3 * near), near + 1);
    preset.t2 = within(std::max(3, 7 / factor + 5 * near), preset.t1);
    preset.t3 = within(std::max(4, 21 / factor + 7 * near), preset.t2);
  }
  return preset;
}

struct Context {
  std::int32_t a = 0;
  std::int16_t b = 0, c = 0, n = 1;
};

struct RunContext {
  int a = 0, n = 1, negative = 0;
};

// Lossless values of whole bits wrap by a mask; lossless ones below another maximum, and near-lossless ones,
// do not.
enum class Values { near, lossless, whole_bits };

// One scan: its contexts and the bits that are left.
class Scan {
 public:
  Scan(const Preset& preset, int near, const PlainBits& plain) : preset_(preset), near_(near), bits_(plain) {
    step_ = 2 * near + 1;
    range_ = (preset.max_value + 2 * near) / step_ + 1;
    quantized_bits_ = bits_of(static_cast<std::uint32_t>(range_ - 1));
    const int depth = std::max(2, bits_of(static_cast<std::uint32_t>(preset.max_value)));
    limit_ = 2 * (depth + std::max(8, depth));
    const int start = std::max(2, (range_ + 32) / 64);
    for (Context& context : contexts_) context.a = start;
    runs_[0].a = runs_[1].a = start;
    // Gradients of up to max_value either way, looked up.
    levels_.resize(2 * static_cast<std::size_t>(preset.max_value) + 1);
    for (int d = -preset.max_value; d <= preset.max_value; ++d) {
      const int size = std::abs(d);
      const int level = size <= near       ? 0
                        : size < preset.t1 ? 1
                        : size < preset.t2 ? 2
                        : size < preset.t3 ? 3
                                           : 4;
      levels_[static_cast<std::size_t>(d + preset.max_value)] =
          static_cast<std::int8_t>(d < 0 ? -level : level);
    }
  }

  // `line[-1]` and `above[-1] .. above[width]` are there; samples are below max_value + 1.
  template <Values kValues>
  void decode_line(std::uint16_t* line, const std::uint16_t* above, int width, int& run_index) {
    const std::int8_t* level = levels_.data() + preset_.max_value;
    int x = 0;
    int ra = line[-1], rb = above[0], rc = above[-1];
    int middle = level[rb - rc];
    Bits bits = bits_;  // in registers
    while (x < width) {
      const int rd = above[x + 1];
      const int first = level[rd - rb];
      const int context = (first * 9 + middle) * 9 + level[rc - ra];
      if (context != 0) {
        ra = regular<kValues>(bits, context, ra, rb, rc);
        line[x++] = static_cast<std::uint16_t>(ra);
        rc = rb;
        rb = rd;
        middle = first;
        continue;
      }
      bits_ = bits;
      x = run(line, above, x, width, run_index);
      bits = bits_;
      if (bits.overrun()) damaged("is cut off");
      if (x >= width) break;
      ra = line[x - 1];
      rc = above[x - 1];
      rb = above[x];
      middle = level[rb - rc];
    }
    if (bits.overrun()) damaged("is cut off");
    bits_ = bits;
  }

 private:
  // Golomb code of order k, escaped beyond `limit` (T.87 A.5.3).
  [[gnu::always_inline]] int golomb(Bits& bits, int k, int limit) const {
    const std::uint64_t window = bits.window();
    const int zeros = __builtin_clzll(window | 1);
    const int longest = limit - quantized_bits_ - 1;
    if (zeros + k < 56 && zeros < longest) {
      bits.drop(zeros + 1 + k);
      return (zeros << k) + Bits::top(window << zeros << 1, k);
    }
    return rare_golomb(bits, zeros, k, longest);
  }

  int rare_golomb(Bits& bits, int zeros, int k, int longest) const {
    if (zeros > longest) damaged("a code is too long");
    bits.drop(zeros + 1);
    return zeros < longest ? (zeros << k) + bits.take(k) : bits.take(quantized_bits_) + 1;
  }

  static int order(int n, int a) {
    int k =
        std::max(0, __builtin_clz(static_cast<unsigned>(n)) - __builtin_clz(static_cast<unsigned>(a) | 1));
    k += (n << k) < a;
    return k;
  }

  int reconstructed(int guess, int error) const {
    int value = guess + error * step_;
    if (value < -near_) {
      value += range_ * step_;
    } else if (value > preset_.max_value + near_) {
      value -= range_ * step_;
    }
    return std::clamp(value, 0, preset_.max_value);
  }

  template <Values kValues>
  [[gnu::always_inline]] int regular(Bits& bits, int number, int ra, int rb, int rc) {
    const int sign = number >> 31;  // 0 or -1
    Context& context = contexts_[(number ^ sign) - sign];
    // The median of ra, rb and ra + rb - rc. Which of the first two is less cannot be guessed: no branch.
    const int differing = (ra ^ rb) & -static_cast<int>(ra < rb);
    const int low = rb ^ differing, high = ra ^ differing;
    const int median = std::max(low, std::min(high, ra + rb - rc));
    const int guess = std::clamp(median + ((context.c ^ sign) - sign), 0, preset_.max_value);
    const int k = order(context.n, context.a);
    if (k > 24) damaged("a context is out of range");
    const int mapped = golomb(bits, k, limit_);
    int error = (mapped >> 1) ^ -(mapped & 1);
    if (kValues != Values::near && k == 0 && 2 * context.b <= -context.n) error = ~error;
    if (std::abs(error) > 65535) damaged("a difference is out of range");
    update(context, error);
    const int difference = (error ^ sign) - sign;
    if constexpr (kValues == Values::whole_bits) return (guess + difference) & preset_.max_value;
    return reconstructed(guess, difference);
  }

  void update(Context& context, int error) {
    int a = context.a + std::abs(error), b = context.b + error * step_, n = context.n;
    if (n == preset_.reset) {
      a >>= 1;
      b >>= 1;
      n >>= 1;
    }
    ++n;
    context.a = a;
    context.n = static_cast<std::int16_t>(n);
    // T.87 A.6.2 without branches, which would be guessed wrongly: b stays within 1 - n and 0.
    const int below = -static_cast<int>(b + n <= 0), above = -static_cast<int>(b > 0);
    context.b = static_cast<std::int16_t>(std::min(std::max(b + (n & below) - (n & above), 1 - n), 0));
    context.c = static_cast<std::int16_t>(std::clamp(context.c + below - above, -128, 127));
  }

  // A run of the left sample and, unless the line ends, the sample that ends it (T.87 A.7).
  int run(std::uint16_t* line, const std::uint16_t* above, int x, int width, int& index) {
    const std::uint16_t ra = line[x - 1];
    int length = 0;
    const int left = width - x;
    for (;;) {
      if (bits_.take(1) == 0) {
        length += bits_.take(kRunOrder[index]);
        break;
      }
      const int whole = 1 << kRunOrder[index], taken = std::min(whole, left - length);
      length += taken;
      if (taken == whole && index < 31) ++index;
      if (length == left) break;
    }
    if (length > left) damaged("a run is too long");
    std::fill_n(line + x, length, ra);
    x += length;
    if (x == width) return x;
    line[x] = static_cast<std::uint16_t>(interruption(ra, above[x], kRunOrder[index]));
    if (index > 0) --index;
    return x + 1;
  }

  int interruption(int ra, int rb, int run_order) {
    const int type = std::abs(ra - rb) <= near_ ? 1 : 0;
    RunContext& context = runs_[type];
    const int k = order(context.n, std::max(1, context.a + (type == 1 ? context.n >> 1 : 0)));
    if (k > 24) damaged("a context is out of range");
    const int mapped = golomb(bits_, k, limit_ - run_order - 1);
    const int sum = mapped + type, odd = sum & 1, size = (sum + odd) / 2;
    if (size > 65536) damaged("a difference is out of range");
    const bool negative = (k != 0 || 2 * context.negative >= context.n) == (odd == 1);
    const int error = negative ? -size : size;
    if (error < 0) ++context.negative;
    context.a += (mapped + 1 - type) >> 1;
    if (context.n == preset_.reset) {
      context.a >>= 1;
      context.n >>= 1;
      context.negative >>= 1;
    }
    ++context.n;
    if (type == 1) return reconstructed(ra, error);
    return reconstructed(rb, rb < ra ? -error : error);
  }

  Preset preset_;
  int near_, step_ = 1, range_ = 0, quantized_bits_ = 0, limit_ = 0;
  Bits bits_;
  Context contexts_[kContexts];
  RunContext runs_[2];
  std::vector<std::int8_t> levels_;
};

struct Frame {
  int precision = 0, channels = 0;
  std::size_t width = 0, height = 0;
  std::uint8_t ids[4] = {0, 0, 0, 0};
};

std::size_t read_u16(const std::uint8_t* data) { return static_cast<std::size_t>(data[0]) << 8 | data[1]; }

// Where the entropy-coded bytes end: at a marker, which follows FF with its first bit set.
std::size_t scan_end(const std::uint8_t* data, std::size_t size, std::size_t place) {
  while (place + 1 < size) {
    const auto* found = static_cast<const std::uint8_t*>(std::memchr(data + place, 0xFF, size - place - 1));
    if (found == nullptr) return size;
    place = static_cast<std::size_t>(found - data);
    if (data[place + 1] >= 0x80 && data[place + 1] != 0xFF) return place;
    ++place;
  }
  return size;
}

template <typename Sample>
void store(const std::uint16_t* line, std::size_t width, std::size_t stride, std::uint8_t* to) {
  auto* out = reinterpret_cast<Sample*>(to);
  for (std::size_t x = 0; x < width; ++x) out[x * stride] = static_cast<Sample>(line[x]);
}

void decode_scan(const Frame& frame, const std::vector<int>& channels, const Preset& preset, int near,
                 const PlainBits& plain, Pixels& out) {
  Scan scan(preset, near, plain);
  const std::size_t stride = static_cast<std::size_t>(frame.channels), sample = out.bits == 8 ? 1 : 2;
  const std::size_t padded = frame.width + 2, count = channels.size();
  std::vector<std::uint16_t> lines(2 * count * padded, 0);
  std::vector<int> run_index(count, 0);
  for (std::size_t y = 0; y < frame.height; ++y) {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t* line = lines.data() + (2 * i + y % 2) * padded + 1;
      std::uint16_t* above = lines.data() + (2 * i + (y + 1) % 2) * padded + 1;
      above[frame.width] = above[frame.width - 1];
      line[-1] = above[0];
      const int width = static_cast<int>(frame.width);
      if (near > 0) {
        scan.decode_line<Values::near>(line, above, width, run_index[i]);
      } else if ((preset.max_value & (preset.max_value + 1)) != 0) {
        scan.decode_line<Values::lossless>(line, above, width, run_index[i]);
      } else {
        scan.decode_line<Values::whole_bits>(line, above, width, run_index[i]);
      }
      std::uint8_t* to =
          out.bytes.data() + ((y * frame.width) * stride + static_cast<std::size_t>(channels[i])) * sample;
      if (sample == 1) {
        store<std::uint8_t>(line, frame.width, stride, to);
      } else {
        store<std::uint16_t>(line, frame.width, stride, to);
      }
    }
  }
}

}  // namespace

bool decode_jpegls_scans(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels, Pixels& out) {
  if (size < 4 || data[0] != 0xFF || data[1] != 0xD8) damaged("has no start of image");
  Frame frame;
  Preset told;
  bool has_preset = false;
  int missing = -1;  // components without a scan; -1 before the frame header
  std::size_t place = 2;
  while (missing != 0) {
    while (place + 1 < size && data[place] == 0xFF && data[place + 1] == 0xFF) ++place;
    if (place + 4 > size || data[place] != 0xFF) damaged("is cut off");
    const int marker = data[place + 1];
    if (marker == 0xD9) damaged("scans are missing");
    const std::size_t length = read_u16(data + place + 2);
    if (length < 2 || length > size - place - 2) damaged("a segment is cut off");
    const std::uint8_t* body = data + place + 4;
    const std::size_t held = length - 2;
    place += 2 + length;
    if (marker == 0xF7) {
      if (missing >= 0 || held < 6) damaged("the frame header is damaged");
      frame.precision = body[0];
      frame.height = read_u16(body + 1);
      frame.width = read_u16(body + 3);
      frame.channels = body[5];
      if (frame.precision < 2 || frame.precision > 16 || frame.channels < 1 || frame.channels > 4)
        return false;
      if (held < 6 + 3 * static_cast<std::size_t>(frame.channels)) damaged("the frame header is cut off");
      for (int c = 0; c < frame.channels; ++c) frame.ids[c] = body[6 + 3 * c];
      check_size(frame.width, frame.height, max_pixels);
      out.width = static_cast<std::uint32_t>(frame.width);
      out.height = static_cast<std::uint32_t>(frame.height);
      out.held = {0, 0, out.width, out.height};
      out.channels = frame.channels;
      out.precision = frame.precision;
      out.bits = frame.precision <= 8 ? 8 : 16;
      out.is_signed = false;
      out.bytes.resize(out.row_bytes() * out.height);
      missing = frame.channels;
    } else if (marker == 0xF8) {
      if (held < 11 || body[0] != 1) return false;
      told = {static_cast<int>(read_u16(body + 1)), static_cast<int>(read_u16(body + 3)),
              static_cast<int>(read_u16(body + 5)), static_cast<int>(read_u16(body + 7)),
              static_cast<int>(read_u16(body + 9))};
      has_preset = true;
    } else if (marker == 0xDD || (marker == 0xE8 && held >= 4 && std::memcmp(body, "mrfx", 4) == 0)) {
      return false;
    } else if (marker == 0xDA) {
      const int count = held > 0 ? body[0] : 0;
      if (missing < 0 || count < 1 || count > missing || held < 4 + 2 * static_cast<std::size_t>(count)) {
        damaged("a scan header is damaged");
      }
      std::vector<int> channels;
      for (int i = 0; i < count; ++i) {
        const auto* found = std::find(frame.ids, frame.ids + frame.channels, body[1 + 2 * i]);
        if (found == frame.ids + frame.channels || body[2 + 2 * i] != 0) return false;
        channels.push_back(static_cast<int>(found - frame.ids));
      }
      const int near = body[1 + 2 * count], layout = body[2 + 2 * count];
      if (layout > 1 || (layout == 0 && count != 1) || (body[3 + 2 * count] & 15) != 0) return false;
      const int top = (1 << frame.precision) - 1;
      const int max_value = has_preset && told.max_value > 0 ? told.max_value : top;
      if (max_value > top || near > std::min(255, max_value / 2))
        damaged("the coding parameters are damaged");
      Preset preset = default_preset(max_value, near);
      if (has_preset) {
        if (told.t1 > 0) preset.t1 = told.t1;
        if (told.t2 > 0) preset.t2 = told.t2;
        if (told.t3 > 0) preset.t3 = told.t3;
        if (told.reset > 0) preset.reset = told.reset;
      }
      const bool ordered = near < preset.t1 && preset.t1 <= preset.t2 && preset.t2 <= preset.t3;
      if (!ordered || preset.t3 > max_value || preset.reset < 3 || preset.reset > 255) return false;
      const std::size_t end = scan_end(data, size, place);
      decode_scan(frame, channels, preset, near, PlainBits(data + place, data + end, frame.width), out);
      missing -= count;
      place = end;
    }
  }
  return true;
}

}  // namespace medshard::decode
