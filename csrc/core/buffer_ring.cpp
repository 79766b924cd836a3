#include "core/buffer_ring.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <new>

namespace medshard::core {
namespace {

constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20;

// Sizes in steps of an eighth, so that batches of nearly one size share buffers.
std::size_t rounded(std::size_t bytes) {
  std::size_t step = kPage;
  while (step * 16 <= bytes) step *= 2;
  return std::max(step, (bytes + step - 1) / step * step);
}

// Large buffers begin at a huge page and ask for such: 512 times fewer page faults when they are first
// written.
std::uint8_t* map(std::size_t size) {
  const std::size_t slack = size >= kHugePage ? kHugePage : 0;
  void* mapped = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::uint8_t*>(mapped);
  if (slack == 0) return begin;
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  if (slack > before) munmap(begin + before + size, slack - before);
  madvise(begin + before, size, MADV_HUGEPAGE);  // where the system has none, nothing changes
  return begin + before;
}

}  // namespace

std::shared_ptr<BufferRing> BufferRing::make(std::size_t kept) {
  return std::shared_ptr<BufferRing>(new BufferRing(kept));
}

BufferRing::~BufferRing() {
  for (const Buffer& buffer : free_) munmap(buffer.data, buffer.size);
}

std::shared_ptr<std::uint8_t> BufferRing::take(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  Buffer buffer{nullptr, size};
  {
    std::lock_guard<std::mutex> lock(state_);
    // The last that was freed, which may still be in cache.
    const auto found =
        std::find_if(free_.rbegin(), free_.rend(), [&](const Buffer& free) { return free.size == size; });
    if (found != free_.rend()) {
      buffer = *found;
      free_.erase(std::next(found).base());
      ++reused_;
    } else {
      ++fresh_;
    }
  }
  if (buffer.data == nullptr) buffer.data = map(size);
  return {buffer.data, [ring = shared_from_this(), buffer](std::uint8_t*) { ring->give_back(buffer); }};
}

void BufferRing::give_back(Buffer buffer) noexcept {
  Buffer dropped{nullptr, 0};
  {
    std::lock_guard<std::mutex> lock(state_);
    try {
      free_.push_back(buffer);
      if (free_.size() > kept_) {
        dropped = free_.front();
        free_.pop_front();
      }
    } catch (const std::bad_alloc&) {
      dropped = buffer;
    }
  }
  if (dropped.data != nullptr) munmap(dropped.data, dropped.size);
}

BufferRing::Counts BufferRing::counts() const {
  std::lock_guard<std::mutex> lock(state_);
  Counts told{fresh_, reused_, free_.size(), 0};
  for (const Buffer& buffer : free_) told.free_bytes += buffer.size;
  return told;
}

}  // namespace medshard::core
