// The loops themselves; the compiler turns the plain ones into vectors. Included inside a namespace of the
// level's name.

#include "volume/spline.inl"

inline void ramp(const double begin[3], const double step[3], int count, double* const points[3]) {
  for (int axis = 0; axis < 3; ++axis) {
    const double first = begin[axis], by = step[axis];
    double* __restrict out = points[axis];
    for (int i = 0; i < count; ++i) out[i] = first + by * i;
  }
}

inline void map(const double* matrix, int count, double* const points[3]) {
  double* __restrict zs = points[0];
  double* __restrict ys = points[1];
  double* __restrict xs = points[2];
  double m[12];
  for (int k = 0; k < 12; ++k) m[k] = matrix[k];
  for (int i = 0; i < count; ++i) {
    const double z = zs[i], y = ys[i], x = xs[i];
    zs[i] = m[0] * z + m[1] * y + m[2] * x + m[3];
    ys[i] = m[4] * z + m[5] * y + m[6] * x + m[7];
    xs[i] = m[8] * z + m[9] * y + m[10] * x + m[11];
  }
}

// The four numbers of a node. Written out for AVX2: the compiler puts other loops into its vectors.
#if defined(__AVX2__)
struct Four {
  __m256d values = _mm256_setzero_pd();

  void add(const double* node, double weight) {
    values = _mm256_add_pd(values, _mm256_mul_pd(_mm256_set1_pd(weight), _mm256_loadu_pd(node)));
  }
  void add(const Four& other, double weight) {
    values = _mm256_add_pd(values, _mm256_mul_pd(_mm256_set1_pd(weight), other.values));
  }
  void move(double* const points[3], int i) const {
    double moved[4];
    _mm256_storeu_pd(moved, values);
    for (int axis = 0; axis < 3; ++axis) points[axis][i] += moved[axis];
  }
};
#else
struct Four {
  double values[4] = {0.0, 0.0, 0.0, 0.0};

  void add(const double* node, double weight) {
    for (int axis = 0; axis < 4; ++axis) values[axis] += weight * node[axis];
  }
  void add(const Four& other, double weight) { add(other.values, weight); }
  void move(double* const points[3], int i) const {
    for (int axis = 0; axis < 3; ++axis) points[axis][i] += values[axis];
  }
};
#endif

// Four nodes along x.
inline Four mixed(const double* node, const double* weights) {
  Four sum;
  for (int c = 0; c < 4; ++c) sum.add(node + 4 * c, weights[c]);
  return sum;
}

inline void bend(const double (*line)[4], const std::int32_t* first, const double* weights, int count,
                 double* const points[3]) {
  for (int i = 0; i < count; ++i) mixed(line[first[i]], weights + 4 * i).move(points, i);
}

inline void bend_freely(const Nodes& nodes, const double spacing[3], int count, double* const points[3]) {
  const std::size_t row = 4 * nodes.wide, plane = row * nodes.high;
  const double per_z = 1.0 / spacing[0], per_y = 1.0 / spacing[1], per_x = 1.0 / spacing[2];
  for (int i = 0; i < count; ++i) {
    const Spline sz = spline_at(points[0][i] * per_z), sy = spline_at(points[1][i] * per_y),
                 sx = spline_at(points[2][i] * per_x);
    const double* corner = nodes.values + static_cast<std::size_t>(sz.node - nodes.low[0]) * plane +
                           static_cast<std::size_t>(sy.node - nodes.low[1]) * row +
                           4 * static_cast<std::size_t>(sx.node - nodes.low[2]);
    Four moved;
    for (int a = 0; a < 4; ++a) {
      Four of_plane;
      for (int b = 0; b < 4; ++b)
        of_plane.add(mixed(corner + a * plane + b * row, sx.weights), sy.weights[b]);
      moved.add(of_plane, sz.weights[a]);
    }
    moved.move(points, i);
  }
}

inline void cells(const PaddedBox& box, const double* const points[3], int count,
                  std::int32_t* __restrict offset, float* const rest[3]) {
  const std::int32_t strides[3] = {static_cast<std::int32_t>(box.plane), static_cast<std::int32_t>(box.row),
                                   1};
  for (int i = 0; i < count; ++i) offset[i] = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double* __restrict places = points[axis];
    float* __restrict parts = rest[axis];
    const double low = box.low[axis], high = box.high[axis];
    const std::int32_t last = box.last[axis], stride = strides[axis];
    for (int i = 0; i < count; ++i) {
      double place = places[i] > low ? places[i] : low;
      place = (place < high ? place : high) + 1.0;  // at least 0: truncation is the floor
      std::int32_t whole = static_cast<std::int32_t>(place);
      whole = whole < last ? whole : last;
      parts[i] = static_cast<float>(place - whole);
      offset[i] += whole * stride;
    }
  }
}

inline float between(float low, float high, float part) { return low + (high - low) * part; }

inline void trilinear_one(const PaddedBox& box, const std::int32_t* offset, const float* const rest[3], int i,
                          float* out) {
  const float* at = box.voxels + offset[i];
  const float* below = at + box.plane;
  const float fz = rest[0][i], fy = rest[1][i], fx = rest[2][i];
  const float upper = between(between(at[0], at[1], fx), between(at[box.row], at[box.row + 1], fx), fy);
  const float lower =
      between(between(below[0], below[1], fx), between(below[box.row], below[box.row + 1], fx), fy);
  out[i] = between(upper, lower, fz);
}

#if defined(__AVX2__)
// Eight cells, interpolated along x: each pair of voxels is one load. A gather of eight single voxels, twice,
// is slower.
inline __m256 along_x(const float* voxels, const std::int32_t* offset, __m256 part) {
  const auto two = [&](int first, int second) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(voxels + offset[first]));
    return _mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(voxels + offset[second]));
  };
  const __m256 a = _mm256_insertf128_ps(_mm256_castps128_ps256(two(0, 1)), two(4, 5), 1);
  const __m256 b = _mm256_insertf128_ps(_mm256_castps128_ps256(two(2, 3)), two(6, 7), 1);
  const __m256 left = _mm256_shuffle_ps(a, b, 0x88), right = _mm256_shuffle_ps(a, b, 0xDD);
  return _mm256_add_ps(left, _mm256_mul_ps(_mm256_sub_ps(right, left), part));
}

inline __m256 between_eight(__m256 low, __m256 high, __m256 part) {
  return _mm256_add_ps(low, _mm256_mul_ps(_mm256_sub_ps(high, low), part));
}
#endif

inline void trilinear(const PaddedBox& box, const std::int32_t* offset, const float* const rest[3], int count,
                      float* out) {
  int i = 0;
#if defined(__AVX2__)
  for (; i + 8 <= count; i += 8) {
    const __m256 fz = _mm256_loadu_ps(rest[0] + i), fy = _mm256_loadu_ps(rest[1] + i),
                 fx = _mm256_loadu_ps(rest[2] + i);
    const float* voxels = box.voxels;
    const __m256 a = along_x(voxels, offset + i, fx), b = along_x(voxels + box.row, offset + i, fx);
    const __m256 c = along_x(voxels + box.plane, offset + i, fx),
                 d = along_x(voxels + box.plane + box.row, offset + i, fx);
    _mm256_storeu_ps(out + i, between_eight(between_eight(a, b, fy), between_eight(c, d, fy), fz));
  }
#endif
  for (; i < count; ++i) trilinear_one(box, offset, rest, i, out);
}

inline void nearest(const std::int32_t shape[3], const double* const points[3], int count,
                    std::int32_t* __restrict offset) {
  constexpr double kAlike = 1e-9;  // so much below the middle between two voxels counts as on it
  const std::int32_t strides[3] = {shape[1] * shape[2], shape[2], 1};
  for (int i = 0; i < count; ++i) offset[i] = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double* __restrict places = points[axis];
    const double length = shape[axis];
    const std::int32_t count_inside = shape[axis], stride = strides[axis];
    for (int i = 0; i < count; ++i) {
      double place = places[i] + 0.5 + kAlike;
      place = place > -1.0 ? place : -1.0;
      place = (place < length ? place : length) + 1.0;
      const std::int32_t whole = static_cast<std::int32_t>(place) - 1;
      const bool outside = whole < 0 || whole >= count_inside || offset[i] < 0;
      offset[i] = outside ? -1 : offset[i] + whole * stride;
    }
  }
}

inline const SamplingKernels& table() {
  static const SamplingKernels kernels = {ramp, map, bend, bend_freely, cells, trilinear, nearest};
  return kernels;
}
