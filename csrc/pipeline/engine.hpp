// Threads that work through batches of jobs, several batches at a time. Knows nothing of Python.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/job.hpp"
#include "pipeline/stopwatch.hpp"

namespace medshard::pipeline {

using Ticket = std::uint64_t;
using Patience = std::chrono::milliseconds;

struct Failure {
  std::size_t job;
  std::string reason;
};

// What became of a batch. Of a cancelled one, slots whose jobs had not begun are as they were.
struct Outcome {
  bool cancelled = false;
  std::vector<Failure> failures;  // by job, ascending
};

// Since the engine began; times are sums over its threads.
struct Counters {
  std::uint64_t batches = 0, jobs = 0;
  StageTimes stages{};
  std::uint64_t idle_ns = 0;        // threads that had nothing to do
  std::size_t waiting_batches = 0;  // now: given, and not finished
};

class Engine {
 public:
  // in_flight: batches that may be given and not finished; a further one waits.
  Engine(unsigned threads, unsigned in_flight);
  ~Engine();  // stops
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  unsigned threads() const { return static_cast<unsigned>(threads_.size()); }

  // Hands over a batch; its jobs begin in the order of batches and of jobs. Nothing, and the arguments are as
  // they were, where there was no room for so long. Throws std::invalid_argument once stopped. All addresses
  // stay valid until wait() has given the outcome.
  std::optional<Ticket> submit(std::vector<Job>&& jobs, Batch&& batch, Patience patience);

  // The outcome once no job of the batch runs or will run; the ticket is then used up. Nothing where that is
  // not so after so long. Throws std::invalid_argument for a ticket that is unknown or used up.
  std::optional<Outcome> wait(Ticket ticket, Patience patience);

  // Jobs of the batch that have not begun never will. Does not wait; no effect on a batch that is finished.
  void cancel(Ticket ticket);

  // Cancels what is left and joins the threads, which takes as long as the jobs that have begun. Who waits is
  // told.
  void stop();

  Counters counters() const;

 private:
  struct Given;  // a batch

  void work();
  void finish_if_done(Given& given);

  mutable std::mutex state_;
  std::condition_variable work_, room_, finished_;
  std::map<Ticket, std::shared_ptr<Given>> given_;  // until wait() has told
  std::deque<std::shared_ptr<Given>> open_;         // with jobs that have not begun, oldest first
  std::size_t in_flight_, unfinished_ = 0;
  Ticket next_ticket_ = 1;
  bool stop_ = false;
  Counters counters_;
  std::vector<std::thread> threads_;  // last: they use all the others
};

}  // namespace medshard::pipeline
