// Gaussian numbers from a counter: Philox4x32-10 (Salmon and others, "Parallel random numbers: as easy as 1,
// 2, 3", SC 2011) and the transform of Box and Muller. Included inside a namespace of the level's name.
//
// Block b of stream `place` is Philox of counter (b, place, 0, 0) under the key `seed`, low half first. Its
// four words w give, with u(w) = (w >> 8) / 2 ** 24 + 2 ** -25,
//   g0, g1 = sqrt(-2 ln u(w0)) * (cos, sin)(2 pi (w1 >> 8) / 2 ** 24), and g2, g3 likewise from w2, w3.
// Of n values, with B = ceil(n / 4), value j * B + b takes number g_j of block b.

constexpr int kBlocks = 64;

struct Gaussians {
  float values[4][kBlocks];
};

inline void make_gaussians(std::uint32_t first, std::uint32_t place, std::uint64_t seed, Gaussians& out) {
  std::uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    c0[i] = first + static_cast<std::uint32_t>(i);
    c1[i] = place;
    c2[i] = c3[i] = 0;
  }
  std::uint32_t key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const std::uint64_t p0 = static_cast<std::uint64_t>(0xD2511F53u) * c0[i];
      const std::uint64_t p1 = static_cast<std::uint64_t>(0xCD9E8D57u) * c2[i];
      c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ key0;
      c1[i] = static_cast<std::uint32_t>(p1);
      c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ key1;
      c3[i] = static_cast<std::uint32_t>(p0);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  const auto pair = [](const std::uint32_t* length, const std::uint32_t* turn, float* a, float* b) {
    for (int i = 0; i < kBlocks; ++i) {
      const float u = static_cast<float>(static_cast<std::int32_t>(length[i] >> 8)) * 0x1p-24f + 0x1p-25f;
      // Near u = 1 the sum rounds up to 1 and its logarithm to 0; never above.
      const float squared = -1.3862943611198906f * log2_of(u);  // -2 ln u
      const float radius = std::sqrt(squared > 0.0f ? squared : 0.0f);
      float cosine, sine;
      cos_sin_of_turn(static_cast<float>(static_cast<std::int32_t>(turn[i] >> 8)) * 0x1p-24f, &cosine, &sine);
      a[i] = radius * cosine;
      b[i] = radius * sine;
    }
  };
  pair(c0, c1, out.values[0], out.values[1]);
  pair(c2, c3, out.values[2], out.values[3]);
}

inline void add_noise(float* __restrict values, std::size_t count, std::uint64_t seed, std::uint32_t place,
                      float mean, float sigma, bool clamp) {
  const std::size_t blocks = (count + 3) / 4;
  Gaussians drawn;
  for (std::size_t first = 0; first < blocks; first += kBlocks) {
    make_gaussians(static_cast<std::uint32_t>(first), place, seed, drawn);
    for (std::size_t j = 0; j < 4; ++j) {
      const std::size_t begin = j * blocks + first;
      std::size_t end = j * blocks + (first + kBlocks < blocks ? first + kBlocks : blocks);
      end = end < count ? end : count;
      for (std::size_t i = begin; i < end; ++i) {
        const float value = values[i] + (mean + sigma * drawn.values[j][i - begin]);
        values[i] = clamp ? within_unit(value) : value;
      }
    }
  }
}
