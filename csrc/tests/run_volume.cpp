// Crops of volumes without Python, for sanitizers: every stored type, boxes of one voxel and more, crops that
// reach outside, all steps; threads that work side by side give the bytes that one alone gives.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "volume/elastic.hpp"
#include "volume/sampling.hpp"
#include "volume/steps.hpp"

namespace {

using namespace medshard;
using Bytes = std::vector<std::uint8_t>;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "run_volume: %s\n", what);
  std::exit(1);
}

template <typename Value>
std::uint64_t address(const std::vector<Value>& values) {
  return reinterpret_cast<std::uint64_t>(values.data());
}

// A box of stored voxels. What the vector holds behind the last voxel is not there for the engine to read.
struct Stored {
  volume::Type type;
  std::int32_t channels, shape[3];
  Bytes voxels;

  Stored(std::mt19937& numbers) {
    type = static_cast<volume::Type>(numbers() % 7);
    channels = static_cast<std::int32_t>(1 + numbers() % 3);
    std::size_t count = static_cast<std::size_t>(channels);
    for (std::int32_t& edge : shape) {
      edge = static_cast<std::int32_t>(numbers() % 4 == 0 ? 1 : 1 + numbers() % 40);
      count *= static_cast<std::size_t>(edge);
    }
    voxels.resize(count * volume::bytes_of(type));
    for (std::uint8_t& byte : voxels) byte = static_cast<std::uint8_t>(numbers());
    if (type == volume::Type::f32) {
      auto* values = reinterpret_cast<float*>(voxels.data());
      for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(numbers() % 5000) - 2000.0f;
    }
  }
};

void any_size(std::mt19937& numbers, std::int32_t size[3]) {
  for (int axis = 0; axis < 3; ++axis) size[axis] = static_cast<std::int32_t>(1 + numbers() % 45);
}

double between(std::mt19937& numbers, double low, double high) {
  return low + (high - low) * (static_cast<double>(numbers()) / 4294967296.0);
}

struct Axis {
  std::vector<std::int32_t> first;
  std::vector<float> weights;
  std::int32_t taps;

  Axis(std::mt19937& numbers, std::int32_t length, std::int32_t count) {
    taps = static_cast<std::int32_t>(1 + numbers() % std::min(length, 5));
    const bool backwards = numbers() % 2 == 0, whole = numbers() % 2 == 0;
    for (std::int32_t n = 0; n < count; ++n) {
      const std::int32_t at = (backwards ? count - 1 - n : n) - count / 4;
      const bool inside = at >= 0 && at <= length - taps;
      const bool left_out = !whole && numbers() % 6 == 0;
      first.push_back(inside && !left_out ? at : -1);
      for (std::int32_t t = 0; t < taps; ++t) weights.push_back(1.0f / static_cast<float>(taps));
    }
  }
};

void finite(const std::vector<float>& values) {
  for (const float value : values) require(std::isfinite(value), "a value is not finite");
}

std::vector<float> mixed(const Stored& stored, std::mt19937& numbers, volume::SamplingScratch& scratch) {
  volume::Separable job{};
  any_size(numbers, job.out_shape);
  std::vector<Axis> axes;
  for (int axis = 0; axis < 3; ++axis) axes.emplace_back(numbers, stored.shape[axis], job.out_shape[axis]);
  std::vector<float> out(
      static_cast<std::size_t>(stored.channels) * job.out_shape[0] * job.out_shape[1] * job.out_shape[2],
      std::numeric_limits<float>::quiet_NaN());
  job.source = address(stored.voxels);
  job.out = address(out);
  for (int axis = 0; axis < 3; ++axis) {
    job.first[axis] = address(axes[axis].first);
    job.weights[axis] = address(axes[axis].weights);
    job.taps[axis] = axes[axis].taps;
    job.source_shape[axis] = stored.shape[axis];
  }
  job.channels = stored.channels;
  job.stored = stored.type;
  job.outside = -7.0f;
  job.outside_mode = numbers() % 2 == 0 ? volume::Outside::value : volume::Outside::minimum;
  volume::separable(job, scratch);
  finite(out);
  return out;
}

volume::Warp any_warp(const Stored& stored, std::mt19937& numbers) {
  volume::Warp job{};
  any_size(numbers, job.out_shape);
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 4; ++column) {
      job.source_from_plane[4 * row + column] =
          column == 3 ? between(numbers, -10.0, 20.0) : between(numbers, -1.5, 1.5);
      job.plane_from_output[4 * row + column] = row == column;
    }
    job.spacing[row] = between(numbers, 3.0, 30.0);
    job.amplitude[row] = between(numbers, 0.0, 12.0);
    job.source_shape[row] = stored.shape[row];
  }
  if (numbers() % 2 == 0) job.plane_from_output[2] = 0.5;  // rows that run aslant through the lattice
  job.seed = numbers();
  job.source = address(stored.voxels);
  job.channels = stored.channels;
  job.stored = stored.type;
  job.elastic = numbers() % 2;
  job.outside_mode = static_cast<volume::Outside>(numbers() % 3);
  job.mask_outside = -1;
  return job;
}

template <typename Value>
std::vector<Value> warped(volume::Warp job, volume::SamplingScratch& scratch) {
  std::vector<Value> out(static_cast<std::size_t>(job.channels) * job.out_shape[0] * job.out_shape[1] *
                         job.out_shape[2]);
  job.out = address(out);
  job.nearest = std::is_same_v<Value, std::int32_t>;
  volume::warp(job, scratch);
  return out;
}

void change(std::vector<float>& values, const std::int32_t shape[3], std::mt19937& numbers,
            volume::StepScratch& scratch) {
  for (int kind = 0; kind < 12; ++kind) {
    volume::Step step{};
    step.kind = static_cast<volume::Kind>(kind);
    step.seed = numbers();
    const float some = static_cast<float>(between(numbers, 0.3, 1.4));
    switch (step.kind) {
      case volume::Kind::window:
        step.params[0] = -1000.0f, step.params[1] = 1000.0f;
        break;
      case volume::Kind::percentile_normalize:
        step.params[0] = 1.0f, step.params[1] = 99.0f;
        break;
      case volume::Kind::low_resolution:
        step.params[0] = std::min(some, 1.0f), step.params[1] = static_cast<float>(numbers() % 2);
        break;
      case volume::Kind::bias_field:
        step.params[0] = static_cast<float>(numbers() % 5);
        for (int term = 1; term < volume::kMostParams; ++term)
          step.params[term] = static_cast<float>(between(numbers, -0.3, 0.3));
        break;
      default:
        step.params[0] = some, step.params[1] = some, step.params[2] = some;
    }
    volume::do_step(step, values.data(), shape, scratch);
    finite(values);
  }
}

// One crop after another; what all of them hold, as one number.
std::uint64_t crops(unsigned seed) {
  std::mt19937 numbers(seed);
  volume::SamplingScratch sampling;
  volume::StepScratch steps;
  std::uint64_t seen = 1469598103934665603u;
  const auto add = [&](const auto& values) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    for (std::size_t i = 0; i < values.size() * sizeof(values[0]); ++i)
      seen = (seen ^ bytes[i]) * 1099511628211u;
  };
  for (int crop = 0; crop < 12; ++crop) {
    const Stored stored(numbers);
    add(mixed(stored, numbers, sampling));
    const volume::Warp job = any_warp(stored, numbers);
    add(warped<std::int32_t>(job, sampling));
    std::vector<float> image = warped<float>(job, sampling);
    finite(image);
    image.resize(static_cast<std::size_t>(job.out_shape[0]) * job.out_shape[1] * job.out_shape[2]);
    change(image, job.out_shape, numbers, steps);
    add(image);
  }
  return seen;
}

void refuse_fine_lattices() {
  volume::Warp job{};
  for (int axis = 0; axis < 3; ++axis) {
    job.out_shape[axis] = 1 << 20;
    job.spacing[axis] = 1.0;
    job.plane_from_output[5 * axis] = job.source_from_plane[5 * axis] = 1.0;
    job.source_shape[axis] = 1;
  }
  job.elastic = 1;
  volume::SamplingScratch scratch;
  bool refused = false;
  try {
    volume::warp(job, scratch);
  } catch (const std::runtime_error&) {
    refused = true;
  }
  require(refused, "a lattice without bound is made");
}

}  // namespace

int main() {
  constexpr unsigned kSeeds = 12;
  std::vector<std::uint64_t> alone;
  for (unsigned seed = 0; seed < kSeeds; ++seed) alone.push_back(crops(seed));
  std::vector<std::uint64_t> together(kSeeds);
  std::vector<std::thread> threads;
  for (unsigned first = 0; first < 4; ++first) {
    threads.emplace_back([&together, first] {
      for (unsigned seed = first; seed < kSeeds; seed += 4) together[seed] = crops(seed);
    });
  }
  for (std::thread& thread : threads) thread.join();
  require(alone == together, "bytes depend on threads");
  refuse_fine_lattices();
  std::printf("run_volume: %u crops of every stored type, alone and on 4 threads: all alike\n", kSeeds * 12);
}
