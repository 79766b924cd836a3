#include "dicom/values.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace medshard::dicom {
namespace {

// Loops are kept plain: the compiler makes vectors of each. `Wide` has the sign that the values shall have.
template <typename Stored, typename Wide, typename Out>
void write_as(const std::uint8_t* in, std::size_t count, const Mapping& mapping, Out* out) {
  using Unsigned = std::make_unsigned_t<Wide>;
  constexpr int width = static_cast<int>(sizeof(Wide) * 8);
  const bool has_junk = mapping.used_bits > 0 && mapping.used_bits < width;
  // Masked, and the sign bit carried upwards by (v ^ s) - s: shifts by a variable would not become vectors.
  const auto mask = static_cast<Unsigned>(has_junk ? (1u << mapping.used_bits) - 1 : ~0u);
  const auto sign = static_cast<Unsigned>(has_junk && mapping.is_signed ? 1u << (mapping.used_bits - 1) : 0u);
  // Samples lie in a file wherever they lie: unaligned.
  const auto stored = [in](std::size_t i) {
    Stored value;
    std::memcpy(&value, in + i * sizeof value, sizeof value);
    return value;
  };
  const auto used = [stored, mask, sign](std::size_t i) {
    const auto value = static_cast<Unsigned>(static_cast<Wide>(stored(i)));
    return static_cast<Wide>(static_cast<Unsigned>(static_cast<Unsigned>((value & mask) ^ sign) - sign));
  };
  if constexpr (std::is_floating_point_v<Out>) {
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<Out>(static_cast<double>(used(i)) * mapping.slope + mapping.intercept);
    }
  } else if constexpr (sizeof(Out) == 4) {
    const auto slope = static_cast<std::int64_t>(mapping.slope);
    const auto intercept = static_cast<std::int64_t>(mapping.intercept);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Out>(used(i) * slope + intercept);
  } else if (mapping.slope == 1.0 && mapping.intercept == 0.0 && !has_junk) {
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Out>(stored(i));
  } else if (mapping.slope == 1.0) {
    const auto intercept = static_cast<std::uint16_t>(static_cast<std::int64_t>(mapping.intercept));
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<Out>(static_cast<std::uint16_t>(used(i) + intercept));
    }
  } else {
    const auto slope = static_cast<std::uint16_t>(static_cast<std::int64_t>(mapping.slope));
    const auto intercept = static_cast<std::uint16_t>(static_cast<std::int64_t>(mapping.intercept));
    for (std::size_t i = 0; i < count; ++i) {
      const auto product = static_cast<std::uint16_t>(static_cast<std::uint32_t>(used(i)) * slope);
      out[i] = static_cast<Out>(static_cast<std::uint16_t>(product + intercept));
    }
  }
}

// An 8-bit value of a wider file is widened first, so that its unused bits are those of the file.
template <typename Stored, typename Out>
void write_from(const Samples& samples, const Mapping& mapping, Out* out) {
  const std::uint8_t* in = samples.data;
  constexpr bool narrow = sizeof(Out) == 1;
  if constexpr (narrow) {
    if (mapping.is_signed) return write_as<Stored, std::int8_t>(in, samples.count, mapping, out);
    return write_as<Stored, std::uint8_t>(in, samples.count, mapping, out);
  } else {
    if (mapping.is_signed) return write_as<Stored, std::int16_t>(in, samples.count, mapping, out);
    return write_as<Stored, std::uint16_t>(in, samples.count, mapping, out);
  }
}

template <typename Out>
void write_to(const Samples& samples, const Mapping& mapping, std::uint8_t* out) {
  auto* to = reinterpret_cast<Out*>(out);
  if (samples.bits == 16) {
    if (samples.is_signed) return write_from<std::int16_t>(samples, mapping, to);
    return write_from<std::uint16_t>(samples, mapping, to);
  }
  if (samples.is_signed) return write_from<std::int8_t>(samples, mapping, to);
  return write_from<std::uint8_t>(samples, mapping, to);
}

}  // namespace

std::size_t bytes_of(ValueType type) {
  switch (type) {
    case ValueType::u8:
    case ValueType::i8:
      return 1;
    case ValueType::u16:
    case ValueType::i16:
      return 2;
    default:
      return 4;
  }
}

void write_values(const Samples& samples, const Mapping& mapping, std::uint8_t* out) {
  switch (mapping.type) {
    case ValueType::u8:
      return write_to<std::uint8_t>(samples, mapping, out);
    case ValueType::i8:
      return write_to<std::int8_t>(samples, mapping, out);
    case ValueType::u16:
      return write_to<std::uint16_t>(samples, mapping, out);
    case ValueType::i16:
      return write_to<std::int16_t>(samples, mapping, out);
    case ValueType::i32:
      return write_to<std::int32_t>(samples, mapping, out);
    case ValueType::f32:
      return write_to<float>(samples, mapping, out);
  }
}

bool fit_bits(const Samples& samples, const Mapping& mapping, int bits) {
  constexpr std::size_t kBlock = 4096;
  std::int16_t values[kBlock];
  Mapping plain = mapping;
  plain.type = ValueType::i16;  // also for unsigned ones: only bits are looked at
  plain.slope = 1.0;
  plain.intercept = 0.0;
  std::uint16_t seen = 0;
  for (std::size_t first = 0; first < samples.count; first += kBlock) {
    Samples block = samples;
    block.data += first * (samples.bits / 8);
    block.count = std::min(kBlock, samples.count - first);
    write_values(block, plain, reinterpret_cast<std::uint8_t*>(values));
    for (std::size_t i = 0; i < block.count; ++i) {
      const int value = values[i];
      seen |= static_cast<std::uint16_t>(mapping.is_signed ? value ^ (value >> 15) : value);
    }
  }
  return seen >> (mapping.is_signed ? bits - 1 : bits) == 0;
}

void ybr_to_rgb(std::uint8_t* pixels, std::size_t count) {
  constexpr auto kGreenOfCb = static_cast<float>(-0.114 * 1.772 / 0.587);
  constexpr auto kGreenOfCr = static_cast<float>(-0.299 * 1.402 / 0.587);
  const auto rounded = [](float value) {
    return static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5f), 0.0f, 255.0f));
  };
  for (std::size_t i = 0; i < count; ++i, pixels += 3) {
    const float y = pixels[0], cb = pixels[1] - 128.0f, cr = pixels[2] - 128.0f;
    pixels[0] = rounded(y + 1.402f * cr);
    pixels[1] = rounded(y + kGreenOfCb * cb + kGreenOfCr * cr);
    pixels[2] = rounded(y + 1.772f * cb);
  }
}

}  // namespace medshard::dicom
