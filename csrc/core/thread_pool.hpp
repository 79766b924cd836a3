// Threads that share out the indices of a loop.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace medshard::core {

class ThreadPool {
 public:
  // Starts `threads` - 1 threads; the caller of run() is the last one.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }

  // Calls body(index, thread) for every index below `count`, each once, and returns when all are done.
  // `thread` is below size(); at one time each thread number is in use once. `body` must not throw.
  // One call at a time; a second waits for the first.
  void run(std::size_t count, const std::function<void(std::size_t, unsigned)>& body);

 private:
  void work(unsigned thread);
  void take(unsigned thread);

  std::vector<std::thread> workers_;
  std::mutex calls_;
  std::mutex state_;
  std::condition_variable begin_, end_;
  const std::function<void(std::size_t, unsigned)>* body_ = nullptr;
  std::size_t count_ = 0, next_ = 0;
  unsigned busy_ = 0;
  unsigned long generation_ = 0;
  bool stop_ = false;
};

}  // namespace medshard::core
