// Big buffers that are used again, so that a batch does not pay for the pages of its memory anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

namespace medshard::core {

class BufferRing : public std::enable_shared_from_this<BufferRing> {
 public:
  // kept: free buffers that are held for later; the oldest of more goes back to the system.
  static std::shared_ptr<BufferRing> make(std::size_t kept);
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // Begins at a page; what is in it is left from before. When the last owner lets go, it is free for the
  // next. Outlives the ring where need be. Throws std::bad_alloc.
  std::shared_ptr<std::uint8_t> take(std::size_t bytes);

  struct Counts {
    std::size_t fresh = 0, reused = 0, free_buffers = 0, free_bytes = 0;
  };
  Counts counts() const;

 private:
  struct Buffer {
    std::uint8_t* data;
    std::size_t size;
  };

  explicit BufferRing(std::size_t kept) : kept_(kept) {}
  void give_back(Buffer buffer) noexcept;

  mutable std::mutex state_;
  std::size_t kept_, fresh_ = 0, reused_ = 0;
  std::deque<Buffer> free_;  // the oldest first
};

}  // namespace medshard::core
