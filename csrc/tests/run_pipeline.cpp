// The engine without Python, for sanitizers: batches of sound and damaged streams on 1 to 8 threads give the
// same bytes and the same failures; batches overlap, are cancelled, wait for room, and are in flight when the
// engine ends.
#include <cstdio>  // before jpeglib.h, which needs it
//
#include <jpeglib.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/buffer_ring.hpp"
#include "decode/image.hpp"
#include "pipeline/engine.hpp"

namespace {

using namespace medshard;
using Bytes = std::vector<std::uint8_t>;

constexpr int kHeight = 29, kWidth = 43, kChannels = 3;
constexpr std::size_t kSlot = std::size_t{kHeight} * kWidth * kChannels * sizeof(float);
constexpr pipeline::Patience kLong{60'000};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "run_pipeline: %s\n", what);
  std::exit(1);
}

Bytes noise(std::size_t size, std::mt19937& numbers) {
  Bytes made(size);
  for (std::size_t place = 0; place < size; ++place) {
    made[place] = static_cast<std::uint8_t>(place / 7 + numbers() % 32);
  }
  return made;
}

Bytes encode_jpeg(int width, int height, int channels, bool progressive, std::mt19937& numbers) {
  const Bytes pixels = noise(static_cast<std::size_t>(width) * height * channels, numbers);
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = channels;
  info.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  if (progressive) jpeg_simple_progression(&info);
  info.restart_interval = numbers() % 3;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row =
        const_cast<JSAMPROW>(pixels.data() + static_cast<std::size_t>(info.next_scanline) * width * channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes made(memory, memory + size);
  std::free(memory);
  return made;
}

struct Work {
  std::vector<Bytes> sources;
  std::vector<pipeline::Job> jobs;
};

void damage(Bytes& stream, std::mt19937& numbers) {
  if (numbers() % 2 == 0) {
    stream.resize(numbers() % stream.size() + 1);
    return;
  }
  for (int change = 0; change < 5; ++change) {
    stream[numbers() % stream.size()] = static_cast<std::uint8_t>(numbers());
  }
}

// Streams and raw samples of many kinds; every fourth stream is damaged.
Work make_work(std::size_t count, unsigned seed) {
  std::mt19937 numbers(seed);
  Work work;
  for (std::size_t slot = 0; slot < count; ++slot) {
    const int width = static_cast<int>(1 + numbers() % 120), height = static_cast<int>(1 + numbers() % 120);
    const int channels = numbers() % 2 == 0 ? 1 : 3;
    const std::size_t samples = static_cast<std::size_t>(width) * height * channels;
    pipeline::Job job{};
    Bytes source;
    switch (numbers() % 4) {
      case 0:
      case 1:
        source = encode_jpeg(width, height, channels, numbers() % 2 == 0, numbers);
        break;
      case 2: {
        const int bits = numbers() % 2 == 0 ? 8 : 16;
        const Bytes pixels = noise(samples * static_cast<std::size_t>(bits / 8), numbers);
        source = decode::encode_png(pixels.data(), static_cast<std::uint32_t>(width),
                                    static_cast<std::uint32_t>(height), channels, bits, 1);
        break;
      }
      default:
        source = noise(samples * 2, numbers);
        job.codec = static_cast<std::uint8_t>(pipeline::Codec::raw_i16);
        job.raw[0] = height;
        job.raw[1] = width;
        job.raw[2] = channels;
    }
    if (job.codec == 0 && slot % 4 == 3) damage(source, numbers);
    job.size = source.size();
    job.out = slot * kSlot;
    job.box[2] = width;
    job.box[3] = height;
    if (width > 4 && numbers() % 2 == 0) job.box[0] = 1.5;
    job.bounds[2] = width;
    job.bounds[3] = height;
    job.height = kHeight;
    job.width = kWidth;
    job.scale = 1.0f / 255.0f;
    job.flip_x = numbers() % 2;
    job.flip_y = numbers() % 2;
    work.sources.push_back(std::move(source));
    work.jobs.push_back(job);
  }
  for (std::size_t slot = 0; slot < count; ++slot) {
    work.jobs[slot].address = reinterpret_cast<std::uint64_t>(work.sources[slot].data());
  }
  return work;
}

pipeline::Batch batch_into(std::uint8_t* out) {
  pipeline::Batch batch;
  batch.out = out;
  batch.channels = kChannels;
  batch.mean = {0.4f};
  batch.deviation = {0.2f};
  batch.max_pixels = 1u << 20;
  return batch;
}

pipeline::Ticket submit(pipeline::Engine& engine, const Work& work, std::uint8_t* out) {
  const auto ticket = engine.submit(std::vector<pipeline::Job>(work.jobs), batch_into(out), kLong);
  require(ticket.has_value(), "no room for a batch within a minute");
  return *ticket;
}

pipeline::Outcome wait(pipeline::Engine& engine, pipeline::Ticket ticket) {
  auto outcome = engine.wait(ticket, kLong);
  require(outcome.has_value(), "a batch was not finished within a minute");
  return std::move(*outcome);
}

struct Expected {
  Bytes out;
  std::vector<pipeline::Failure> failures;
};

Expected run_alone(const Work& work) {
  pipeline::Engine engine(1, 1);
  Expected expected{Bytes(work.jobs.size() * kSlot, 0xAA), {}};
  expected.failures = wait(engine, submit(engine, work, expected.out.data())).failures;
  return expected;
}

void require_same(const pipeline::Outcome& outcome, const std::uint8_t* out, const Expected& expected) {
  require(!outcome.cancelled, "a batch that nobody cancelled is cancelled");
  require(std::memcmp(out, expected.out.data(), expected.out.size()) == 0, "bytes depend on threads");
  require(outcome.failures.size() == expected.failures.size(), "failures depend on threads");
  for (std::size_t place = 0; place < expected.failures.size(); ++place) {
    require(outcome.failures[place].job == expected.failures[place].job &&
                outcome.failures[place].reason == expected.failures[place].reason,
            "failures depend on threads");
  }
}

// One thread hands over, another waits, as the loader does; memory comes from a ring.
void overlap(const std::vector<Work>& works, const std::vector<Expected>& expected, unsigned threads) {
  pipeline::Engine engine(threads, 3);
  const auto ring = core::BufferRing::make(2);
  std::vector<std::shared_ptr<std::uint8_t>> outs(works.size());
  std::vector<std::atomic<pipeline::Ticket>> tickets(works.size());
  std::thread giver([&] {
    for (std::size_t place = 0; place < works.size(); ++place) {
      outs[place] = ring->take(expected[place].out.size());
      std::memset(outs[place].get(), 0xAA, expected[place].out.size());
      tickets[place] = submit(engine, works[place], outs[place].get());
    }
  });
  for (std::size_t place = 0; place < works.size(); ++place) {
    while (tickets[place] == 0) std::this_thread::yield();
    require_same(wait(engine, tickets[place]), outs[place].get(), expected[place]);
    outs[place].reset();
  }
  giver.join();
  require(engine.counters().waiting_batches == 0, "batches are left");
}

void cancel_some(const std::vector<Work>& works, const std::vector<Expected>& expected, unsigned threads) {
  pipeline::Engine engine(threads, 100);
  std::vector<Bytes> outs;
  for (const Expected& one : expected) outs.emplace_back(one.out.size(), 0xAA);
  std::vector<pipeline::Ticket> tickets;
  for (std::size_t place = 0; place < works.size(); ++place) {
    tickets.push_back(submit(engine, works[place], outs[place].data()));
  }
  std::thread canceller([&] {
    for (std::size_t place = 1; place < works.size(); place += 2) engine.cancel(tickets[place]);
  });
  for (std::size_t place = 0; place < works.size(); ++place) {
    const pipeline::Outcome outcome = wait(engine, tickets[place]);
    if (!outcome.cancelled) require_same(outcome, outs[place].data(), expected[place]);
    require(place % 2 == 1 || !outcome.cancelled, "another batch than the one meant was cancelled");
  }
  canceller.join();
}

// The engine ends while batches are in flight and somebody waits.
void stop_early(const std::vector<Work>& works, unsigned threads) {
  std::vector<Bytes> outs;
  for (const Work& work : works) outs.emplace_back(work.jobs.size() * kSlot);
  pipeline::Engine engine(threads, 100);
  pipeline::Ticket last = 0;
  for (std::size_t place = 0; place < works.size(); ++place)
    last = submit(engine, works[place], outs[place].data());
  std::thread waiter([&] { wait(engine, last); });
  engine.stop();
  waiter.join();
}

void share_ring() {
  const auto ring = core::BufferRing::make(3);
  std::vector<std::thread> users;
  for (unsigned user = 0; user < 4; ++user) {
    users.emplace_back([&ring, user] {
      for (std::size_t turn = 0; turn < 200; ++turn) {
        const std::size_t size = 5000 + 4096 * (turn % 3);
        const auto buffer = ring->take(size), other = ring->take(size);
        std::memset(buffer.get(), static_cast<int>(user), size);
        std::memset(other.get(), 99, size);
        require(buffer.get()[0] == user && buffer.get()[size - 1] == user, "two share a buffer");
      }
    });
  }
  for (std::thread& user : users) user.join();
  require(ring->counts().free_buffers <= 3, "a ring holds more than it may");
}

}  // namespace

int main() {
  std::vector<Work> works;
  std::vector<Expected> expected;
  std::size_t failures = 0, jobs = 0;
  for (unsigned number = 0; number < 8; ++number) {
    works.push_back(make_work(17 + number, number));
    expected.push_back(run_alone(works.back()));
    failures += expected.back().failures.size();
    jobs += works.back().jobs.size();
  }
  require(failures > jobs / 20 && failures < jobs / 2, "the damage is not what this program is for");
  share_ring();
  for (unsigned threads = 1; threads <= 8; ++threads) {
    overlap(works, expected, threads);
    cancel_some(works, expected, threads);
    stop_early(works, threads);
  }
  std::printf("run_pipeline: %zu jobs on 1 to 8 threads, %zu of them damaged beyond decoding: all alike\n",
              jobs, failures);
}
