#include "core/thread_pool.hpp"

namespace medshard::core {

ThreadPool::ThreadPool(unsigned threads) {
  for (unsigned thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(state_);
    stop_ = true;
  }
  begin_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t count, const std::function<void(std::size_t, unsigned)>& body) {
  std::lock_guard<std::mutex> call(calls_);
  {
    std::lock_guard<std::mutex> lock(state_);
    body_ = &body;
    count_ = count;
    next_ = 0;
    busy_ = static_cast<unsigned>(workers_.size());
    ++generation_;
  }
  begin_.notify_all();
  take(0);
  std::unique_lock<std::mutex> lock(state_);
  end_.wait(lock, [this] { return busy_ == 0; });
  body_ = nullptr;
}

void ThreadPool::take(unsigned thread) {
  for (;;) {
    std::size_t index;
    {
      std::lock_guard<std::mutex> lock(state_);
      if (next_ >= count_) return;
      index = next_++;
    }
    (*body_)(index, thread);
  }
}

void ThreadPool::work(unsigned thread) {
  unsigned long seen = 0;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(state_);
      begin_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
    }
    take(thread);
    {
      std::lock_guard<std::mutex> lock(state_);
      --busy_;
    }
    end_.notify_one();
  }
}

}  // namespace medshard::core
