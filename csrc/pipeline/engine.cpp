#include "pipeline/engine.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "pipeline/scratch.hpp"

namespace medshard::pipeline {

struct Engine::Given {
  std::vector<Job> jobs;
  Batch batch;
  std::size_t begun = 0, ended = 0;
  bool finished = false;
  Outcome outcome;
};

Engine::Engine(unsigned threads, unsigned in_flight) : in_flight_(in_flight) {
  if (threads == 0 || in_flight == 0)
    throw std::invalid_argument("an engine has a thread and room for a batch");
  threads_.reserve(threads);
  for (unsigned thread = 0; thread < threads; ++thread) threads_.emplace_back([this] { work(); });
}

Engine::~Engine() { stop(); }

void Engine::stop() {
  {
    std::lock_guard<std::mutex> lock(state_);
    if (stop_) return;
    stop_ = true;
    open_.clear();
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  std::lock_guard<std::mutex> lock(state_);
  for (auto& [ticket, given] : given_) {
    if (given->finished) continue;
    given->outcome.cancelled = true;
    given->jobs.resize(given->begun);
    finish_if_done(*given);
  }
  room_.notify_all();
}

std::optional<Ticket> Engine::submit(std::vector<Job>&& jobs, Batch&& batch, Patience patience) {
  Ticket ticket;
  {
    std::unique_lock<std::mutex> lock(state_);
    const bool room = room_.wait_for(lock, patience, [this] { return stop_ || unfinished_ < in_flight_; });
    if (stop_) throw std::invalid_argument("the engine has been stopped");
    if (!room) return std::nullopt;
    auto given = std::make_shared<Given>();
    given->jobs = std::move(jobs);
    given->batch = std::move(batch);
    ticket = next_ticket_++;
    given_.emplace(ticket, given);
    ++unfinished_;
    ++counters_.batches;
    if (given->jobs.empty()) {
      finish_if_done(*given);
    } else {
      open_.push_back(std::move(given));
    }
  }
  work_.notify_all();
  return ticket;
}

std::optional<Outcome> Engine::wait(Ticket ticket, Patience patience) {
  std::unique_lock<std::mutex> lock(state_);
  const auto found = given_.find(ticket);
  if (found == given_.end())
    throw std::invalid_argument("no batch has that ticket, or its outcome has been told");
  const std::shared_ptr<Given> given = found->second;
  if (!finished_.wait_for(lock, patience, [&] { return given->finished; })) return std::nullopt;
  given_.erase(ticket);
  std::sort(given->outcome.failures.begin(), given->outcome.failures.end(),
            [](const Failure& a, const Failure& b) { return a.job < b.job; });
  return std::move(given->outcome);
}

void Engine::cancel(Ticket ticket) {
  std::lock_guard<std::mutex> lock(state_);
  const auto found = given_.find(ticket);
  if (found == given_.end() || found->second->begun == found->second->jobs.size()) return;
  const std::shared_ptr<Given> given = found->second;
  given->outcome.cancelled = true;
  given->jobs.resize(given->begun);
  open_.erase(std::remove(open_.begin(), open_.end(), given), open_.end());
  finish_if_done(*given);
}

Counters Engine::counters() const {
  std::lock_guard<std::mutex> lock(state_);
  Counters told = counters_;
  told.waiting_batches = unfinished_;
  return told;
}

void Engine::finish_if_done(Given& given) {
  if (given.ended < given.jobs.size()) return;
  given.finished = true;
  --unfinished_;
  room_.notify_all();
  finished_.notify_all();
}

void Engine::work() {
  using Clock = std::chrono::steady_clock;
  Scratch scratch;
  std::vector<Job> jobs;  // of one source
  std::vector<std::string> reasons;
  std::unique_lock<std::mutex> lock(state_);
  for (;;) {
    if (!stop_ && open_.empty()) {
      const Clock::time_point began = Clock::now();
      work_.wait(lock, [this] { return stop_ || !open_.empty(); });
      counters_.idle_ns += static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began).count());
    }
    if (stop_) return;
    const std::shared_ptr<Given> given = open_.front();
    const std::size_t first = given->begun,
                      count = same_source(given->jobs.data(), first, given->jobs.size());
    given->begun += count;
    if (given->begun == given->jobs.size()) open_.pop_front();
    // A copy, since cancel() shortens the list.
    jobs.assign(given->jobs.begin() + first, given->jobs.begin() + first + count);
    reasons.assign(count, {});
    lock.unlock();
    run_jobs(jobs.data(), count, given->batch, scratch, reasons.data());
    lock.lock();
    for (std::size_t job = 0; job < count; ++job) {
      if (!reasons[job].empty()) given->outcome.failures.push_back({first + job, std::move(reasons[job])});
    }
    given->ended += count;
    counters_.jobs += count;
    for (std::size_t stage = 0; stage < kStages; ++stage)
      counters_.stages[stage] += scratch.watch.times()[stage];
    scratch.watch.clear();
    finish_if_done(*given);
  }
}

}  // namespace medshard::pipeline
