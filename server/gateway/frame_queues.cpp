#include "server/gateway/frame_queues.hpp"

#include "server/base/assert.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace clamor::gateway {
namespace {

/// A burst's pool above this is given back once it is empty.
constexpr std::size_t nodes_kept = 4096;

}  // namespace

void FrameQueues::push(Queue& queue, SharedFrame frame) {
  std::uint32_t index = free_;
  if (index != none) {
    free_ = nodes_[index].next;
    nodes_[index] = {std::move(frame), none};
  } else {
    index = static_cast<std::uint32_t>(nodes_.size());
    CLAMOR_ASSERT(index != none);
    nodes_.push_back({std::move(frame), none});
  }
  ++used_;
  if (queue.head == none) {
    queue.head = index;
  } else {
    nodes_[queue.tail].next = index;
  }
  queue.tail = index;
}

std::span<const std::byte> FrameQueues::next(const Queue& queue,
                                             std::span<std::byte> scratch) const {
  if (queue.empty()) return {};
  const std::span<const std::byte> head =
      nodes_[queue.head].frame->bytes().subspan(queue.head_sent_bytes);
  if (queue.head == queue.tail || head.size() >= scratch.size()) return head;
  std::size_t filled = 0;
  std::span<const std::byte> frame = head;
  for (std::uint32_t i = queue.head; filled < scratch.size();) {
    const std::size_t size = std::min(frame.size(), scratch.size() - filled);
    std::memcpy(scratch.data() + filled, frame.data(), size);
    filled += size;
    i = nodes_[i].next;
    if (i == none) break;
    frame = nodes_[i].frame->bytes();
  }
  return scratch.first(filled);
}

std::size_t FrameQueues::pop(Queue& queue, std::size_t bytes) {
  std::size_t messages = 0;
  bytes += queue.head_sent_bytes;
  while (queue.head != none && bytes >= nodes_[queue.head].frame->size()) {
    const std::uint32_t index = queue.head;
    bytes -= nodes_[index].frame->size();
    messages += nodes_[index].frame->is_data() ? 1U : 0U;
    queue.head = nodes_[index].next;
    release(index);
  }
  CLAMOR_ASSERT(queue.head != none || bytes == 0);
  queue.head_sent_bytes = static_cast<std::uint32_t>(bytes);
  if (queue.head == none) queue.tail = none;
  return messages;
}

std::size_t FrameQueues::drop_unwritten(Queue& queue) {
  if (queue.head_sent_bytes == 0) {
    clear(queue);
    return 0;
  }
  Node& head = nodes_[queue.head];
  drop_from(std::exchange(head.next, none));
  queue.tail = queue.head;
  return head.frame->size() - queue.head_sent_bytes;
}

void FrameQueues::clear(Queue& queue) {
  drop_from(queue.head);
  queue = {};
}

void FrameQueues::drop_from(std::uint32_t index) {
  while (index != none) {
    const std::uint32_t next = nodes_[index].next;
    release(index);
    index = next;
  }
}

void FrameQueues::release(std::uint32_t index) {
  nodes_[index].frame.reset();
  nodes_[index].next = free_;
  free_ = index;
  if (--used_ == 0 && nodes_.size() > nodes_kept) {
    nodes_ = std::vector<Node>{};  // `= {}` would keep the memory.
    free_ = none;
  }
}

}  // namespace clamor::gateway
