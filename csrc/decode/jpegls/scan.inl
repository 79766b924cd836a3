// One scan of JPEG-LS, line by line: contexts, Golomb codes and runs (T.87 annex A).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace medshard::decode {
namespace {

constexpr int kContexts = 365;
// Orders of run lengths (T.87 A.2.1, J).
constexpr int kRunOrder[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,  2,  3,  3,  3,  3,
                               4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

int bits_of(std::uint32_t value) { return value == 0 ? 0 : 32 - __builtin_clz(value); }

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

}  // namespace
}  // namespace medshard::decode
