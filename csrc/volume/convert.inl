// Included inside a namespace of the level's name; the compiler turns the loops into vectors.

template <typename From>
void convert(const void* source, float* __restrict out, std::size_t count, const Mapping& mapping,
             bool reverse) {
  const From* __restrict in = static_cast<const From*>(source);
  const float scale = mapping.scale, bias = mapping.bias, low = mapping.low, high = mapping.high;
  if (reverse) {
    for (std::size_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(in[count - 1 - i]) * scale + bias;
      out[i] = value < low ? low : value > high ? high : value;
    }
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(in[i]) * scale + bias;
      out[i] = value < low ? low : value > high ? high : value;
    }
  }
}

inline const Converters& table() {
  static const Converters converters = {{convert<std::uint8_t>, convert<std::int8_t>, convert<std::uint16_t>,
                                         convert<std::int16_t>, convert<std::uint32_t>, convert<std::int32_t>,
                                         convert<float>}};
  return converters;
}
