#include "decode/png/unfilter.hpp"

#include <cstdlib>

namespace medshard::decode::png {
namespace {

inline std::uint8_t paeth(int a, int b, int c) {
  const int to_a = std::abs(b - c), to_b = std::abs(a - c), to_c = std::abs(a + b - 2 * c);
  const int ab = to_a <= to_b ? a : b;
  const int least = to_a <= to_b ? to_a : to_b;
  return static_cast<std::uint8_t>(least <= to_c ? ab : c);
}

// The step is a constant so that the bytes of the pixel before stay in registers.
template <int Step>
void sub(std::uint8_t* row, std::size_t size) {
  for (std::size_t i = Step; i < size; ++i) row[i] = static_cast<std::uint8_t>(row[i] + row[i - Step]);
}

template <int Step>
void average(std::uint8_t* row, const std::uint8_t* above, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    const int left = i < Step ? 0 : row[i - Step];
    row[i] = static_cast<std::uint8_t>(row[i] + (left + above[i]) / 2);
  }
}

template <int Step>
void unpaeth(std::uint8_t* __restrict row, const std::uint8_t* __restrict above, std::size_t size) {
  int a[Step] = {}, c[Step] = {};
  for (std::size_t i = 0; i + Step <= size; i += Step) {
    for (int k = 0; k < Step; ++k) {
      const int b = above[i + k];
      a[k] = static_cast<std::uint8_t>(row[i + k] + paeth(a[k], b, c[k]));
      c[k] = b;
      row[i + k] = static_cast<std::uint8_t>(a[k]);
    }
  }
}

void up(std::uint8_t* __restrict row, const std::uint8_t* __restrict above, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) row[i] = static_cast<std::uint8_t>(row[i] + above[i]);
}

template <int Step>
bool unfilter(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size) {
  switch (filter) {
    case kNone:
      return true;
    case kSub:
      sub<Step>(row, size);
      return true;
    case kUp:
      up(row, above, size);
      return true;
    case kAverage:
      average<Step>(row, above, size);
      return true;
    case kPaeth:
      unpaeth<Step>(row, above, size);
      return true;
    default:
      return false;
  }
}

}  // namespace

bool unfilter_scalar(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size,
                     int step) {
  switch (step) {
    case 1:
      return unfilter<1>(filter, row, above, size);
    case 2:
      return unfilter<2>(filter, row, above, size);
    case 3:
      return unfilter<3>(filter, row, above, size);
    case 4:
      return unfilter<4>(filter, row, above, size);
    case 6:
      return unfilter<6>(filter, row, above, size);
    default:
      return unfilter<8>(filter, row, above, size);
  }
}

Unfilter unfilter_of(core::Simd level) {
#if defined(MEDSHARD_X86)
  if (level != core::Simd::scalar) return unfilter_sse2;
#endif
  (void)level;
  return unfilter_scalar;
}

}  // namespace medshard::decode::png
