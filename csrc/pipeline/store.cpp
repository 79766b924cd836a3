#include "pipeline/store.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "augment/kernels.hpp"
#include "pipeline/patches.hpp"

namespace medshard::pipeline {
namespace {

using augment::kRows;

std::uint16_t to_bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
    return static_cast<std::uint16_t>((bits >> 16) | 0x40u);  // NaN stays
  bits += 0x7FFFu + ((bits >> 16) & 1u);                      // round half to even
  return static_cast<std::uint16_t>(bits >> 16);
}

// IEEE 754 binary16, rounded half to even, in integers so that every machine gives the same bits.
std::uint16_t to_f16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // rounds to infinity
  if (magnitude < 0x33000001u) return static_cast<std::uint16_t>(sign);  // below half the least subnormal
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  std::uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
  int shift = 13;
  std::uint32_t biased = 0;
  if (exponent < -14) {
    shift += -14 - exponent;
  } else {
    biased = static_cast<std::uint32_t>(exponent + 15) << 10;
    mantissa &= 0x7FFFFFu;
  }
  const std::uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1),
                      half = 1u << (shift - 1);
  const std::uint32_t rounded = kept + ((rest > half || (rest == half && (kept & 1u))) ? 1u : 0u);
  return static_cast<std::uint16_t>(sign | (biased + rounded));
}

template <Output Type>
inline void put(std::uint8_t* out, std::size_t index, float value) {
  if constexpr (Type == Output::f32) {
    reinterpret_cast<float*>(out)[index] = value;
  } else if constexpr (Type == Output::f16) {
    reinterpret_cast<std::uint16_t*>(out)[index] = to_f16(value);
  } else if constexpr (Type == Output::bf16) {
    reinterpret_cast<std::uint16_t*>(out)[index] = to_bf16(value);
  } else if constexpr (Type == Output::u8) {
    out[index] = static_cast<std::uint8_t>(std::min(std::max(std::nearbyint(value), 0.0f), 255.0f));
  } else if constexpr (Type == Output::i16) {
    reinterpret_cast<std::int16_t*>(out)[index] = static_cast<std::int16_t>(std::nearbyint(value));
  } else {
    reinterpret_cast<std::int32_t*>(out)[index] = static_cast<std::int32_t>(std::nearbyint(value));
  }
}

inline float grey_of(const float* pixel) { return luma(pixel[0], pixel[kRows], pixel[2 * kRows]); }

inline float channel_of(const float* pixel, int channels, int c, int wanted) {
  return channels == 1 ? pixel[0] : wanted == 1 ? grey_of(pixel) : pixel[static_cast<std::size_t>(c) * kRows];
}

template <Output Type>
void store(const float* sampled, int channels, int y, int count, const Job& job, const Batch& batch,
           std::uint8_t* out) {
  const std::size_t width = job.width, plane = width * job.height;
  for (int r = 0; r < count; ++r) {
    for (int c = 0; c < batch.channels; ++c) {
      float scale = job.scale, bias = job.bias, mean = 0.0f, inverse = 1.0f;
      if (!batch.mean.empty()) {
        mean = batch.mean[batch.mean.size() == 1 ? 0 : c];
        inverse = 1.0f / batch.deviation[batch.deviation.size() == 1 ? 0 : c];
      }
      const std::size_t row = static_cast<std::size_t>(y + r) * width;
      for (std::size_t x = 0; x < width; ++x) {
        const float* pixel = sampled + x * channels * kRows + r;
        float value = channel_of(pixel, channels, c, batch.channels);
        value = value * scale + bias;
        if (batch.clamp) value = std::min(std::max(value, 0.0f), 1.0f);
        value = Type == Output::u8 ? value * 255.0f : (value - mean) * inverse;
        const std::size_t index = batch.channels_last ? (row + x) * batch.channels + c : c * plane + row + x;
        put<Type>(out, index, value);
      }
    }
  }
}

template <Output Type>
void store_planes(const augment::Picture& picture, const Batch& batch, std::uint8_t* out) {
  const std::size_t pixels = static_cast<std::size_t>(picture.height) * picture.width;
  for (int c = 0; c < picture.channels; ++c) {
    const float* plane = picture.plane(c);
    const std::size_t first = batch.channels_last ? c : c * pixels;
    const std::size_t step = batch.channels_last ? picture.channels : 1;
    for (std::size_t i = 0; i < pixels; ++i) {
      put<Type>(out, first + i * step, Type == Output::u8 ? plane[i] * 255.0f : plane[i]);
    }
  }
}

}  // namespace

void store_picture(const augment::Picture& picture, const Job& job, const Batch& batch, std::uint8_t* out) {
  if (batch.patches.edge > 0) return store_patch_picture(picture, job, batch, out);
  switch (batch.type) {
    case Output::f32:
      return store_planes<Output::f32>(picture, batch, out);
    case Output::f16:
      return store_planes<Output::f16>(picture, batch, out);
    case Output::bf16:
      return store_planes<Output::bf16>(picture, batch, out);
    default:
      return store_planes<Output::u8>(picture, batch, out);
  }
}

void store_rows(const float* sampled, int channels, int y, int count, const Job& job, const Batch& batch,
                std::uint8_t* out) {
  if (batch.patches.edge > 0) {
    for (int r = 0; r < count; ++r) {
      store_patch_row(sampled + r, static_cast<std::size_t>(channels) * kRows, kRows, channels, y + r, job,
                      batch, out);
    }
    return;
  }
  switch (batch.type) {
    case Output::f32:
      return store<Output::f32>(sampled, channels, y, count, job, batch, out);
    case Output::f16:
      return store<Output::f16>(sampled, channels, y, count, job, batch, out);
    case Output::bf16:
      return store<Output::bf16>(sampled, channels, y, count, job, batch, out);
    default:
      return store<Output::u8>(sampled, channels, y, count, job, batch, out);
  }
}

// Tiles of kRows rows, so that both ways of sampling end in the same mapping.
void store_sampled(const augment::Picture& picture, const Job& job, const Batch& batch, std::uint8_t* out) {
  const std::size_t width = picture.width, channels = picture.channels;
  std::vector<float> tile(width * channels * kRows);
  for (int y = 0; y < picture.height; y += kRows) {
    const int count = std::min(kRows, picture.height - y);
    for (std::size_t c = 0; c < channels; ++c) {
      for (int r = 0; r < count; ++r) {
        const float* line = picture.plane(static_cast<int>(c)) + (y + r) * width;
        for (std::size_t x = 0; x < width; ++x) tile[(x * channels + c) * kRows + r] = line[x];
      }
    }
    store_rows(tile.data(), picture.channels, y, count, job, batch, out);
  }
}

void put_values(Output type, const float* values, std::size_t count, std::uint8_t* out) {
  const auto put_all = [&](auto put_one) {
    for (std::size_t i = 0; i < count; ++i) put_one(out, i, values[i]);
  };
  switch (type) {
    case Output::f32:
      return put_all(put<Output::f32>);
    case Output::f16:
      return put_all(put<Output::f16>);
    case Output::bf16:
      return put_all(put<Output::bf16>);
    default:
      return put_all(put<Output::u8>);
  }
}

}  // namespace medshard::pipeline
