// Predictions and rows of lossless JPEG (T.81 H.1.2).
#include <cstdint>

namespace medshard::decode {
namespace {

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

}  // namespace
}  // namespace medshard::decode
