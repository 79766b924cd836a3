// Jobs from bytes to their slots: plan, decode, sample, map, store.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "core/error.hpp"
#include "pipeline/job.hpp"
#include "pipeline/levels.hpp"
#include "pipeline/patches.hpp"
#include "pipeline/scratch.hpp"
#include "pipeline/store.hpp"
#include "pipeline/whole.hpp"

namespace medshard::pipeline {
namespace {

// Memory that a thread keeps after a picture; a rare huge one does not stay.
constexpr std::size_t kKeptBytes = 256ul << 20;
// Jobs of one source that a thread takes at a time: a batch of one picture is still shared by threads, and
// cancelling waits for no more.
constexpr std::size_t kMostOfOneSource = 16;

constexpr decode::Region kWhole{0, 0, 0x7FFFFFFF, 0x7FFFFFFF};

bool is_raw(const Job& job) { return static_cast<Codec>(job.codec) != Codec::compressed; }

Source raw_source(const Job& job, std::uint64_t max_pixels) {
  Source source;
  source.data = reinterpret_cast<const std::uint8_t*>(job.address);
  source.height = job.raw[0];
  source.width = job.raw[1];
  source.channels = job.raw[2];
  source.type = static_cast<Codec>(job.codec);
  if (source.height < 1 || source.width < 1) throw DecodeError("raw samples have no pixels");
  source.held = {0, 0, static_cast<std::uint32_t>(source.width), static_cast<std::uint32_t>(source.height)};
  decode::check_size(source.width, source.height, max_pixels);
  const std::size_t bytes =
      static_cast<std::size_t>(source.height) * source.width * source.channels * bytes_of(source.type);
  if (bytes != job.size) throw DecodeError("raw samples are not of the size that their shape says");
  return source;
}

// The stored size, and how much smaller than it the picture is decoded: as the most exacting job allows.
Source described_source(const Job* jobs, std::size_t count, const Batch& batch) {
  const decode::Header header =
      decode::read_header(reinterpret_cast<const std::uint8_t*>(jobs->address), jobs->size);
  Source source;
  source.height = static_cast<int>(header.height);
  source.width = static_cast<int>(header.width);
  if (!batch.nearest && header.format == decode::Format::jpeg && header.bits == 8) {  // 12 bits: not reduced
    source.reduce = batch.reduce;
    for (std::size_t i = 0; i < count; ++i)
      source.reduce = std::min(source.reduce, reduction_of(jobs[i], batch.reduce));
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (needs_whole(jobs[i], batch.steps)) source.reduce = 1;
  }
  return source;
}

// Decodes the part that is needed.
void decode_source(const Job& job, const Batch& batch, const decode::Region& needed, Scratch& scratch,
                   Source& source) {
  decode::Request request{source.reduce, needed, batch.max_pixels};
  request.frame = job.raw[0];
  decode::decode(reinterpret_cast<const std::uint8_t*>(job.address), job.size, request, scratch.pixels);
  source.data = scratch.pixels.bytes.data();
  source.held = scratch.pixels.held;
  source.height = static_cast<int>(scratch.pixels.height);
  source.width = static_cast<int>(scratch.pixels.width);
  source.channels = scratch.pixels.channels;
  source.type = scratch.pixels.bits == 16 ? Codec::raw_u16 : Codec::raw_u8;
}

decode::Region united(const decode::Region& a, const decode::Region& b) {
  return {std::min(a.x0, b.x0), std::min(a.y0, b.y0), std::max(a.x1, b.x1), std::max(a.y1, b.y1)};
}

// Four channels lose their alpha; three become luma where the batch has one.
void keep_channels(augment::Picture& picture, int channels) {
  if (picture.channels <= channels) return;
  if (channels == 1) {
    const float *green = picture.plane(1), *blue = picture.plane(2);
    float* grey = picture.plane(0);  // red so far
    const std::size_t pixels = static_cast<std::size_t>(picture.height) * picture.width;
    for (std::size_t i = 0; i < pixels; ++i) grey[i] = luma(grey[i], green[i], blue[i]);
  }
  picture.reshape(channels, picture.height, picture.width);
}

// 8-bit pictures in whole levels, so that they equal what a family's own processor makes of them; those that
// are transposed are so before, since the passes do not commute.
void sample_levels(const Source& source, const Job& job, const Batch& batch, const Sampling& sampling,
                   LevelMemory& memory, std::uint8_t* out) {
  const Visible part = visible_part(job);
  LevelRows rows{source.data, static_cast<std::size_t>(source.held.width()) * source.channels,
                 static_cast<int>(source.held.x0), static_cast<int>(source.held.y0), source.channels};
  if (job.transpose) {
    rows = transposed(rows, source.held.height(), source.held.width(), memory);
    resize_levels(rows, sampling.down, sampling.across, part, memory);
  } else {
    resize_levels(rows, sampling.across, sampling.down, part, memory);
  }
  store_patch_levels(memory.levels.data(), source.channels, job, batch, out);
}

bool by_levels(const Source& source, const Batch& batch, const Sampling& sampling) {
  return batch.patches.edge > 0 && batch.steps.empty() && source.type == Codec::raw_u8 && !sampling.warped &&
         sampling.rows.covered && sampling.columns.covered;
}

void sample(const Source& source, const Job& job, const Batch& batch, Sampling& sampling, Scratch& scratch) {
  std::uint8_t* out = batch.out + job.out;
  if (batch.nearest) return sample_labels(source, job, batch, sampling, scratch.memory, out);
  if (source.channels != 1 && source.channels != 3 && source.channels != 4) {
    throw DecodeError("pictures of " + std::to_string(source.channels) + " channels are not sampled");
  }
  if (batch.patches.edge > 0) clear_patches(job, batch, out);
  if (by_levels(source, batch, sampling)) {
    sample_levels(source, job, batch, sampling, scratch.levels, out);
    return scratch.watch.lap(Stage::sample);
  }
  if (batch.steps.empty() && by_rows(job, sampling))
    return sample_rows(source, job, batch, sampling, scratch.memory, scratch.watch, out);
  sample_picture(source, job, sampling, scratch.memory, scratch.picture);
  scratch.watch.lap(Stage::sample);
  if (batch.steps.empty()) {
    store_sampled(scratch.picture, job, batch, out);
  } else {
    keep_channels(scratch.picture, batch.channels);
    if (needs_whole(job, batch.steps)) keep_whole(source, scratch.program.whole);
    run_steps(job, batch.steps, batch.channels, scratch.picture, scratch.program);
    store_picture(scratch.picture, job, batch, out);
  }
  scratch.watch.lap(Stage::store);
}

// Runs a step; what it throws becomes the reason.
template <typename Step>
bool attempt(std::string& reason, Step step) {
  try {
    step();
    return true;
  } catch (const std::exception& error) {
    reason = error.what();
    if (reason.empty()) reason = "failed without a reason";
    return false;
  }
}

void clear_slot(const Job& job, const Batch& batch) {
  const std::size_t pixels = static_cast<std::size_t>(job.height) * job.width;
  const std::size_t bytes =
      batch.patches.edge > 0 ? patches_bytes(job, batch) : pixels * batch.channels * bytes_of(batch.type);
  std::memset(batch.out + job.out, 0, bytes);
}

// Memory of a picture, and of a job whose pictures were large, goes back.
void trim(Scratch& scratch) {
  for (auto* kept : {&scratch.pixels.bytes, &scratch.pixels.scratch, &scratch.levels.turned}) {
    if (kept->capacity() > kKeptBytes) std::vector<std::uint8_t>().swap(*kept);
  }
  for (augment::Picture* picture :
       {&scratch.picture, &scratch.memory.grid, &scratch.memory.turned, &scratch.program.whole}) {
    if (picture->values.capacity() * sizeof(float) > kKeptBytes) *picture = {};
  }
  if (scratch.program.values.capacity() * sizeof(float) > kKeptBytes)
    std::vector<float>().swap(scratch.program.values);
}

}  // namespace

std::size_t bytes_of(Codec type) { return type == Codec::raw_u8 ? 1 : type == Codec::raw_f32 ? 4 : 2; }

std::size_t bytes_of(Output type) {
  switch (type) {
    case Output::u8:
      return 1;
    case Output::f32:
    case Output::i32:
      return 4;
    default:
      return 2;
  }
}

std::size_t same_source(const Job* jobs, std::size_t first, std::size_t count) {
  const Job& one = jobs[first];
  const auto same = [&](const Job& other) {
    return other.address == one.address && other.size == one.size && other.codec == one.codec &&
           std::equal(std::begin(one.raw), std::end(one.raw), std::begin(other.raw));
  };
  std::size_t last = first + 1;
  const std::size_t end = std::min(count, first + kMostOfOneSource);
  while (last < end && same(jobs[last])) ++last;
  return last - first;
}

void run_jobs(const Job* jobs, std::size_t count, const Batch& batch, Scratch& scratch,
              std::string* failures) {
  const bool raw = is_raw(*jobs);
  scratch.watch.start();
  if (scratch.samplings.size() < count) scratch.samplings.resize(count);
  Source source;
  std::string reason;
  const auto fail_all = [&] {
    for (std::size_t i = 0; i < count; ++i) {
      if (failures[i].empty()) failures[i] = reason;
      clear_slot(jobs[i], batch);
    }
  };
  const auto describe = [&] {
    source = raw ? raw_source(*jobs, batch.max_pixels) : described_source(jobs, count, batch);
  };
  if (!attempt(reason, describe)) return fail_all();
  decode::Region needed;
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) {
    Sampling& sampling = scratch.samplings[i];
    const bool planned = attempt(failures[i], [&] {
      if (!batch.steps.empty() && jobs[i].params == 0)
        throw DecodeError("the steps of the batch have no parameters");
      if (batch.patches.edge > 0) check_patches(jobs[i], batch);
      plan_sampling(jobs[i], batch, source.height, source.width, source.reduce, sampling);
      if (needs_whole(jobs[i], batch.steps)) sampling.needed = kWhole;
    });
    if (!planned) {
      clear_slot(jobs[i], batch);
      continue;
    }
    needed = any ? united(needed, sampling.needed) : sampling.needed;
    any = true;
  }
  if (!any) return;
  const auto decode = [&] { decode_source(*jobs, batch, needed, scratch, source); };
  if (!raw && !attempt(reason, decode)) return fail_all();
  scratch.watch.lap(Stage::decode);
  for (std::size_t i = 0; i < count; ++i) {
    if (!failures[i].empty()) continue;
    const auto step = [&] { sample(source, jobs[i], batch, scratch.samplings[i], scratch); };
    if (!attempt(failures[i], step)) clear_slot(jobs[i], batch);
    scratch.watch.lap(Stage::sample);
  }
  trim(scratch);
}

}  // namespace medshard::pipeline
