// JPEG: both decoders on any bytes. The first eight bytes choose reduction, colours and region, the rest is
// the stream; or a stream alone, whose last bytes choose.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/error.hpp"
#include "decode/image.hpp"

namespace decode = medshard::decode;

namespace {

constexpr std::size_t kChoices = 8;
constexpr std::uint64_t kMaxPixels = 1u << 20;

bool decoded(const std::uint8_t* data, std::size_t size, const decode::Request& request,
             decode::Pixels& out) {
  try {
    decode::decode_jpeg(data, size, request, out);
    return true;
  } catch (const medshard::DecodeError& error) {
    if (*error.what() == '\0') std::abort();  // an error says what is wrong
    return false;
  }
}

[[noreturn]] void differ(const char* what) {
  std::fprintf(stderr, "the decoders differ: %s\n", what);
  std::abort();
}

// The same pixels where both hold some.
void compare(const decode::Pixels& own, const decode::Pixels& other) {
  if (own.width != other.width || own.height != other.height || own.channels != other.channels)
    differ("shape");
  const decode::Region& held = own.held;
  if (other.held.x0 > held.x0 || other.held.x1 < held.x1 || other.held.y1 < held.y1) differ("region");
  const std::size_t pixel = static_cast<std::size_t>(own.channels) * (own.bits / 8);
  for (std::uint32_t y = held.y0; y < held.y1; ++y) {
    const std::uint8_t* a = own.bytes.data() + own.row_bytes() * (y - held.y0);
    const std::uint8_t* b =
        other.bytes.data() + other.row_bytes() * (y - other.held.y0) + pixel * (held.x0 - other.held.x0);
    if (std::memcmp(a, b, own.row_bytes()) != 0) differ("pixels");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kChoices) return 0;
  const bool alone = data[0] == 0xFF && data[1] == 0xD8;
  const std::uint8_t* chosen = alone ? data + size - kChoices : data;
  decode::Request request;
  request.reduce = 1 << (chosen[0] % 3);
  request.colour = static_cast<decode::Request::Colour>(chosen[0] / 3 % 3);
  request.max_pixels = kMaxPixels;
  if (chosen[1] % 2 == 1) {
    request.region = {chosen[2], chosen[3], chosen[2] + chosen[4] + 1u, chosen[3] + chosen[5] + 1u};
  }
  const std::uint8_t* stream = alone ? data : data + kChoices;
  if (!alone) size -= kChoices;
  decode::Pixels own, other;
  const bool accepted = decoded(stream, size, request, own);
  request.own = false;
  // Beside the region damage may go unseen, so the one may accept what the other refuses; what both accept is
  // equal.
  if (decoded(stream, size, request, other)) {
    if (!accepted) differ("only libjpeg accepts");
    if (own.bits == 8) compare(own, other);
  }
  try {
    decode::read_jpeg_header(stream, size);
  } catch (const medshard::DecodeError&) {
    if (accepted) differ("pixels without a header");
  }
  return 0;
}
