#include <algorithm>
#include <cstring>
#include <limits>

#include "augment/values.hpp"
#include "volume/sampling.hpp"

namespace medshard::volume {
namespace {

struct Axis {
  const std::int32_t* first;
  const float* weights;
  int taps, count, length;
};

Axis axis_of(const Separable& job, int number) {
  return {reinterpret_cast<const std::int32_t*>(job.first[number]),
          reinterpret_cast<const float*>(job.weights[number]), job.taps[number], job.out_shape[number],
          job.source_shape[number]};
}

// One stored row along x.
void mix_row(const Axis& x, const float* in, float outside, float* out) {
  for (int n = 0; n < x.count; ++n) {
    if (x.first[n] < 0) {
      out[n] = outside;
      continue;
    }
    const float* from = in + x.first[n];
    const float* weights = x.weights + static_cast<std::size_t>(n) * x.taps;
    float total = 0.0f;
    for (int t = 0; t < x.taps; ++t) total += weights[t] * from[t];
    out[n] = total;
  }
}

// The part of an axis whose places are stored ones in a row, forwards or backwards: begin <= n < end.
struct Run {
  int begin = 0, end = 0, first = 0;  // first: the lowest stored place
  bool reverse = false;
};

// False where places are mixed, or left out between others.
bool find_run(const Axis& axis, Run& run) {
  if (axis.taps != 1) return false;
  while (run.begin < axis.count && axis.first[run.begin] < 0) ++run.begin;
  run.end = run.begin;
  while (run.end < axis.count && axis.first[run.end] >= 0) ++run.end;
  for (int n = run.end; n < axis.count; ++n) {
    if (axis.first[n] >= 0) return false;
  }
  if (run.end == run.begin) return true;
  run.reverse = run.end - run.begin > 1 && axis.first[run.begin + 1] < axis.first[run.begin];
  for (int n = run.begin + 1; n < run.end; ++n) {
    if (axis.first[n] != axis.first[n - 1] + (run.reverse ? -1 : 1)) return false;
  }
  run.first = axis.first[run.reverse ? run.end - 1 : run.begin];
  return true;
}

class Mixer {
 public:
  Mixer(const Separable& job, SamplingScratch& scratch)
      : job_(job), scratch_(scratch), z_(axis_of(job, 0)), y_(axis_of(job, 1)), x_(axis_of(job, 2)) {
    in_a_row_ = find_run(x_, run_);
  }

  void channel(int number) {
    const std::size_t voxels =
        static_cast<std::size_t>(z_.length) * y_.length * static_cast<std::size_t>(x_.length);
    source_ = reinterpret_cast<const std::uint8_t*>(job_.source) + number * voxels * bytes_of(job_.stored);
    out_ = reinterpret_cast<float*>(job_.out) +
           static_cast<std::size_t>(number) * z_.count * y_.count * static_cast<std::size_t>(x_.count);
    outside_ = job_.outside_mode == Outside::minimum ? minimum(voxels) : job_.outside;
    scratch_.row.resize(static_cast<std::size_t>(x_.length));
    if (z_.taps == 1 && y_.taps == 1) {
      straight();
    } else {
      in_passes();
    }
  }

 private:
  // Rows are taken as they are: each is written once.
  void straight() {
    for (int z = 0; z < z_.count; ++z) {
      for (int y = 0; y < y_.count; ++y) {
        float* to = out_ + (static_cast<std::size_t>(z) * y_.count + y) * x_.count;
        if (z_.first[z] < 0 || y_.first[y] < 0) {
          std::fill_n(to, x_.count, outside_);
        } else {
          row(z_.first[z], y_.first[y], to);
        }
      }
    }
  }

  // x of a plane, then y, then z over planes of which each is made once and kept while it is needed.
  void in_passes() {
    const std::size_t plane = static_cast<std::size_t>(y_.count) * x_.count;
    scratch_.first.resize(static_cast<std::size_t>(y_.length) * x_.count);
    scratch_.second.resize(plane * z_.taps);
    std::vector<int> held(z_.taps, -1);
    std::vector<const float*> rows(static_cast<std::size_t>(std::max(z_.taps, y_.taps)));
    for (int z = 0; z < z_.count; ++z) {
      float* to = out_ + z * plane;
      if (z_.first[z] < 0) {
        std::fill_n(to, plane, outside_);
        continue;
      }
      for (int t = 0; t < z_.taps; ++t) {
        const int wanted = z_.first[z] + t, slot = wanted % z_.taps;
        float* kept = scratch_.second.data() + slot * plane;
        if (held[slot] != wanted) {
          make_plane(wanted, kept, rows);
          held[slot] = wanted;
        }
      }
      for (int t = 0; t < z_.taps; ++t) {
        rows[t] = scratch_.second.data() + ((z_.first[z] + t) % z_.taps) * plane;
      }
      kernels_.weighted_sum(rows.data(), z_.weights + static_cast<std::size_t>(z) * z_.taps, z_.taps, plane,
                            to);
    }
  }

  void make_plane(int z, float* out, std::vector<const float*>& rows) {
    for (int y = 0; y < y_.length; ++y) {
      row(z, y, scratch_.first.data() + static_cast<std::size_t>(y) * x_.count);
    }
    for (int y = 0; y < y_.count; ++y) {
      float* to = out + static_cast<std::size_t>(y) * x_.count;
      if (y_.first[y] < 0) {
        std::fill_n(to, x_.count, outside_);
        continue;
      }
      for (int t = 0; t < y_.taps; ++t) {
        rows[t] = scratch_.first.data() + static_cast<std::size_t>(y_.first[y] + t) * x_.count;
      }
      kernels_.weighted_sum(rows.data(), y_.weights + static_cast<std::size_t>(y) * y_.taps, y_.taps,
                            x_.count, to);
    }
  }

  void row(int z, int y, float* out) {
    const std::size_t place = (static_cast<std::size_t>(z) * y_.length + y) * x_.length;
    const std::uint8_t* stored = source_ + place * bytes_of(job_.stored);
    if (in_a_row_) {
      std::fill_n(out, run_.begin, outside_);
      to_float_(stored + run_.first * bytes_of(job_.stored), out + run_.begin, run_.end - run_.begin,
                run_.reverse);
      std::fill(out + run_.end, out + x_.count, outside_);
      return;
    }
    to_float_(stored, scratch_.row.data(), x_.length);
    mix_row(x_, scratch_.row.data(), outside_, out);
  }

  float minimum(std::size_t voxels) {
    float found = std::numeric_limits<float>::infinity();
    scratch_.row.resize(std::max<std::size_t>(static_cast<std::size_t>(x_.length), 4096));
    for (std::size_t at = 0; at < voxels; at += 4096) {
      const std::size_t count = std::min<std::size_t>(4096, voxels - at);
      to_float_(source_ + at * bytes_of(job_.stored), scratch_.row.data(), count);
      found = std::min(found, least(scratch_.row.data(), count));
    }
    return found;
  }

  const Separable& job_;
  SamplingScratch& scratch_;
  const Axis z_, y_, x_;
  Run run_;
  bool in_a_row_;
  const ToFloat to_float_{job_.stored};
  const augment::ValueKernels& kernels_ = augment::value_kernels_of(core::chosen_simd());
  const std::uint8_t* source_ = nullptr;
  float* out_ = nullptr;
  float outside_ = 0.0f;
};

template <typename Label>
void pick(const Separable& job) {
  const Axis z = axis_of(job, 0), y = axis_of(job, 1), x = axis_of(job, 2);
  const auto* labels = reinterpret_cast<const Label*>(job.source);
  auto* out = reinterpret_cast<std::int32_t*>(job.out);
  const std::size_t row = x.length, plane = row * y.length;
  for (int channel = 0; channel < job.channels; ++channel, labels += plane * z.length) {
    for (int k = 0; k < z.count; ++k) {
      for (int j = 0; j < y.count; ++j, out += x.count) {
        if (z.first[k] < 0 || y.first[j] < 0) {
          std::fill_n(out, x.count, job.mask_outside);
          continue;
        }
        const Label* from = labels + z.first[k] * plane + y.first[j] * row;
        for (int i = 0; i < x.count; ++i)
          out[i] = x.first[i] < 0 ? job.mask_outside : static_cast<std::int32_t>(from[x.first[i]]);
      }
    }
  }
}

void pick_of(const Separable& job) {
  switch (job.stored) {
    case Type::u8:
      return pick<std::uint8_t>(job);
    case Type::i8:
      return pick<std::int8_t>(job);
    case Type::u16:
      return pick<std::uint16_t>(job);
    case Type::i16:
      return pick<std::int16_t>(job);
    case Type::u32:
      return pick<std::uint32_t>(job);
    case Type::i32:
      return pick<std::int32_t>(job);
    case Type::f32:
      return pick<float>(job);
  }
}

}  // namespace

ToFloat::ToFloat(Type stored) : convert_(converters_of(core::chosen_simd()).of[static_cast<int>(stored)]) {}

void ToFloat::operator()(const void* source, float* out, std::size_t count, bool reverse) const {
  constexpr float kAll = std::numeric_limits<float>::infinity();
  convert_(source, out, count, {1.0f, 0.0f, -kAll, kAll}, reverse);
}

float least(const float* values, std::size_t count) {
  float found[8];
  std::fill(std::begin(found), std::end(found), std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < count; ++i) found[i % 8] = values[i] < found[i % 8] ? values[i] : found[i % 8];
  return *std::min_element(std::begin(found), std::end(found));
}

void separable(const Separable& job, SamplingScratch& scratch) {
  if (job.labels) return pick_of(job);
  Mixer mixer(job, scratch);
  for (int channel = 0; channel < job.channels; ++channel) mixer.channel(channel);
}

}  // namespace medshard::volume
