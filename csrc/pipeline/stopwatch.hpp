// Where the time of a thread goes, at the price of one look at the clock a stage.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace medshard::pipeline {

enum class Stage : std::size_t { decode = 0, sample = 1, store = 2 };
constexpr std::size_t kStages = 3;

using StageTimes = std::array<std::uint64_t, kStages>;  // nanoseconds

class Stopwatch {
 public:
  void start() { last_ = Clock::now(); }

  // What has passed since the last look belongs to `stage`.
  void lap(Stage stage) {
    const Clock::time_point now = Clock::now();
    times_[static_cast<std::size_t>(stage)] +=
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count());
    last_ = now;
  }

  const StageTimes& times() const { return times_; }
  void clear() { times_ = {}; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
  StageTimes times_{};
};

}  // namespace medshard::pipeline
