#include "pipeline/program.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "augment/ranks.hpp"
#include "augment/values.hpp"
#include "core/cpu.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {
namespace {

using augment::Picture;
using augment::ValueKernels;

// A step at work: `p` are its parameters after the first.
struct Work {
  const ValueKernels& kernels;
  Picture& picture;
  const float* p;
  int count;
  int channels;  // that are delivered; the picture has as many, or one
  std::size_t pixels;
  ProgramScratch& scratch;

  float* all() const { return picture.values.data(); }
  std::size_t values() const { return pixels * picture.channels; }
  float* red() const { return picture.plane(0); }
  float* green() const { return picture.plane(1); }
  float* blue() const { return picture.plane(2); }
  bool colour() const { return picture.channels == 3; }

  const float* luma() const {
    if (!colour()) return red();
    scratch.values.resize(pixels);
    kernels.luma(red(), green(), blue(), pixels, scratch.values.data());
    return scratch.values.data();
  }
};

void percentile_normalize(const Work& work) {
  const std::vector<float>& of = work.p[2] != 0.0f ? work.scratch.whole.values : work.picture.values;
  std::vector<float>& values = work.scratch.values;
  values.clear();
  std::copy_if(of.begin(), of.end(), std::back_inserter(values), [](float v) { return std::isfinite(v); });
  double low = 0.0, high = 0.0;
  if (!values.empty()) {
    const augment::Ranks ranks(values);
    const std::size_t copies = work.p[2] != 0.0f ? 1 : work.channels / work.picture.channels;
    low = ranks.percentile(work.p[0], copies);
    high = ranks.percentile(work.p[1], copies);
  }
  const double width = high > low ? high - low : 1.0;
  work.kernels.scale(work.all(), work.values(), static_cast<float>(1.0 / width),
                     static_cast<float>(-low / width), true);
}

void zscore(const Work& work, float* values, std::size_t count, const float* of, std::size_t number) {
  const double mean = work.kernels.sum(of, number) / static_cast<double>(number);
  const double deviation =
      std::sqrt(work.kernels.sum_of_squares(of, number, mean) / static_cast<double>(number));
  const double inverse = deviation > 0.0 ? 1.0 / deviation : 1.0;
  work.kernels.normalize(values, count, static_cast<float>(mean), static_cast<float>(inverse));
}

// Colour that is delivered as grey has no channel of its own among those of the file: all are taken together.
void zscore_normalize(const Work& work) {
  Picture& picture = work.picture;
  const Picture& of = work.p[1] != 0.0f ? work.scratch.whole : picture;
  if (work.p[0] == 0.0f || (of.channels != 1 && of.channels != picture.channels)) {
    return zscore(work, work.all(), work.values(), of.values.data(), of.values.size());
  }
  const std::size_t number = static_cast<std::size_t>(of.height) * of.width;
  for (int c = 0; c < picture.channels; ++c) {
    zscore(work, picture.plane(c), work.pixels, of.plane(std::min(c, of.channels - 1)), number);
  }
}

void normalize(const Work& work) {
  for (int c = 0; c < work.picture.channels; ++c) {
    work.kernels.normalize(work.picture.plane(c), work.pixels, work.p[c], 1.0f / work.p[3 + c]);
  }
}

void color_jitter(const Work& work) {
  const float brightness = work.p[0], contrast = work.p[1], saturation = work.p[2], hue = work.p[3];
  if (brightness != 1.0f) work.kernels.scale(work.all(), work.values(), brightness, 0.0f, true);
  if (contrast != 1.0f) {
    const double mean = work.kernels.sum(work.luma(), work.pixels) / static_cast<double>(work.pixels);
    const float bias = (1.0f - contrast) * static_cast<float>(mean);
    work.kernels.scale(work.all(), work.values(), contrast, bias, true);
  }
  if (!work.colour()) return;
  if (saturation != 1.0f) {
    const float* grey = work.luma();
    for (int c = 0; c < 3; ++c) work.kernels.blend(work.picture.plane(c), grey, work.pixels, saturation);
  }
  if (hue != 0.0f) work.kernels.turn_hue(work.red(), work.green(), work.blue(), work.pixels, hue);
}

void grayscale(const Work& work) {
  if (!work.colour()) return;
  const float* grey = work.luma();
  for (int c = 0; c < 3; ++c) std::copy(grey, grey + work.pixels, work.picture.plane(c));
}

void stain_jitter(const Work& work) {
  if (!work.colour()) return;
  work.kernels.mix_densities(work.red(), work.green(), work.blue(), work.pixels, work.p, work.p + 9);
}

void erase(const Work& work) {
  const int height = work.picture.height, width = work.picture.width;
  for (const float* hole = work.p + 3; hole + 4 <= work.p + work.count; hole += 4) {
    const int top = std::clamp(static_cast<int>(hole[0]), 0, height);
    const int left = std::clamp(static_cast<int>(hole[1]), 0, width);
    const int bottom = std::clamp(static_cast<int>(hole[2]), top, height);
    const int right = std::clamp(static_cast<int>(hole[3]), left, width);
    for (int c = 0; c < work.picture.channels; ++c) {
      for (int y = top; y < bottom; ++y) {
        float* row = work.picture.plane(c) + static_cast<std::size_t>(y) * width;
        std::fill(row + left, row + right, work.p[c]);
      }
    }
  }
}

void gaussian_blur(const Work& work) {
  const int across = static_cast<int>(work.p[0]), down = static_cast<int>(work.p[1]);
  augment::blur(work.kernels, work.picture, work.p + 2, across, work.p + 2 + across, down,
                work.scratch.neighbourhood);
}

// The job's own mapping and that of each channel are one.
void multi_window(const Work& work, const Job& job) {
  for (int c = 0; c < work.picture.channels; ++c) {
    const float scale = work.p[2 * c], bias = work.p[2 * c + 1];
    work.kernels.scale(work.picture.plane(c), work.pixels, job.scale * scale, job.bias * scale + bias, true);
  }
}

void apply(const Work& work, const Step& step, const Job& job) {
  const float* p = work.p;
  switch (step.kind) {
    case StepKind::window:
      return work.kernels.scale(work.all(), work.values(), job.scale, job.bias, true);
    case StepKind::percentile_normalize:
      return percentile_normalize(work);
    case StepKind::normalize:
      return normalize(work);
    case StepKind::zscore_normalize:
      return zscore_normalize(work);
    case StepKind::color_jitter:
      return color_jitter(work);
    case StepKind::grayscale:
      return grayscale(work);
    case StepKind::gamma:
      return work.kernels.power(work.all(), work.values(), p[0]);
    case StepKind::invert:
      return work.kernels.scale(work.all(), work.values(), -1.0f, 1.0f, false);
    case StepKind::solarize:
      return work.kernels.solarize(work.all(), work.values(), p[0]);
    case StepKind::posterize:
      return work.kernels.posterize(work.all(), work.values(), p[0]);
    case StepKind::gaussian_noise:
      return work.kernels.add_noise(work.all(), work.values(), job.noise_seed,
                                    static_cast<std::uint32_t>(step.place), p[0], p[1], p[2] != 0.0f);
    case StepKind::stain_jitter:
      return stain_jitter(work);
    case StepKind::erase:
      return erase(work);
    case StepKind::gaussian_blur:
      return gaussian_blur(work);
    case StepKind::sharpness:
      return augment::sharpen(work.kernels, work.picture, p[0], work.scratch.neighbourhood);
    case StepKind::clahe:
      return augment::equalize_tiles(work.kernels, work.picture, p[0], static_cast<int>(p[1]),
                                     static_cast<int>(p[2]), work.scratch.neighbourhood);
    case StepKind::jpeg:
      return augment::compress(work.picture, static_cast<int>(p[0]), work.scratch.neighbourhood);
    case StepKind::multi_window:
      return multi_window(work, job);
  }
}

}  // namespace

const std::vector<StepFeature>& step_features() {
  static const std::vector<StepFeature> features = {
      {"window", true},
      {"percentile_normalize", true},  // its percentiles are selected by scalar code
      {"normalize", true},
      {"zscore_normalize", true},
      {"color_jitter", true},
      {"grayscale", true},
      {"gamma", true},
      {"invert", true},
      {"solarize", true},
      {"posterize", true},
      {"gaussian_noise", true},
      {"stain_jitter", true},
      {"erase", false},
      {"gaussian_blur", true},
      {"sharpness", true},
      {"clahe", false},
      {"jpeg", false},
      {"multi_window", true},
  };
  return features;
}

namespace {

// Whether a step may make the channels of a grey picture differ.
bool tells_channels_apart(const Step& step, const float* p) {
  switch (step.kind) {
    case StepKind::normalize:
      return p[0] != p[1] || p[0] != p[2] || p[3] != p[4] || p[3] != p[5];
    case StepKind::gaussian_noise:
    case StepKind::stain_jitter:
    case StepKind::multi_window:
      return true;
    case StepKind::erase:
      return p[0] != p[1] || p[0] != p[2];
    default:
      return false;
  }
}

void repeat_channel(Picture& picture, int channels) {
  if (picture.channels == channels) return;
  picture.reshape(channels, picture.height, picture.width);
  const std::size_t pixels = static_cast<std::size_t>(picture.height) * picture.width;
  for (int c = 1; c < channels; ++c) std::copy(picture.plane(0), picture.plane(0) + pixels, picture.plane(c));
}

}  // namespace

bool needs_whole(const Job& job, const std::vector<Step>& steps) {
  if (job.params == 0) return false;
  const auto* params = reinterpret_cast<const float*>(job.params);
  for (const Step& step : steps) {
    const float* p = params + step.first + 1;
    if (step.kind == StepKind::percentile_normalize && p[2] != 0.0f) return true;
    if (step.kind == StepKind::zscore_normalize && p[1] != 0.0f) return true;
  }
  return false;
}

void run_steps(const Job& job, const std::vector<Step>& steps, int channels, Picture& picture,
               ProgramScratch& scratch) {
  static const ValueKernels& kernels = augment::value_kernels_of(core::chosen_simd());
  const auto* params = reinterpret_cast<const float*>(job.params);
  const std::size_t pixels = static_cast<std::size_t>(picture.height) * picture.width;
  for (const Step& step : steps) {
    const float* own = params + step.first;
    if (own[0] == 0.0f) continue;
    if (tells_channels_apart(step, own + 1)) repeat_channel(picture, channels);
    apply({kernels, picture, own + 1, step.count - 1, channels, pixels, scratch}, step, job);
  }
  repeat_channel(picture, channels);
}

}  // namespace medshard::pipeline
