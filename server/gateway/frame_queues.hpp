#pragma once

#include "server/gateway/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clamor::gateway {

/// The send queues of all sessions of one gateway: linked lists in one pool of nodes. A session
/// without queued frames costs 12 bytes, queueing allocates nothing once the pool has grown, and a
/// quiet gateway gives the pool back. Not thread-safe.
class FrameQueues {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  /// One session's queue; empty when default-made. Must be cleared before it is dropped.
  struct Queue {
    std::uint32_t head = none;
    std::uint32_t tail = none;
    std::uint32_t head_sent_bytes = 0;  ///< Of the first frame, what is written already.
    [[nodiscard]] bool empty() const { return head == none; }
  };

  /// Appends a frame. O(1). @pre the frame is not empty.
  void push(Queue& queue, SharedFrame frame);

  /// The next unwritten bytes in one piece: those of a lone or large frame where they are, of
  /// several small ones as many as `scratch` holds, copied into it, since the kernel takes pieces
  /// in more slowly. Empty where nothing is queued; valid until the queue changes. O(bytes copied).
  [[nodiscard]] std::span<const std::byte> next(const Queue& queue,
                                                std::span<std::byte> scratch) const;

  /// Removes `bytes` written ones from the front; returns how many data messages that completed
  /// (control frames apart). O(frames removed). @pre as many are queued.
  std::size_t pop(Queue& queue, std::size_t bytes);

  /// Drops every frame that is not partly written; returns the bytes that still must go out so
  /// that the stream stays well-formed.
  std::size_t drop_unwritten(Queue& queue);

  /// Drops everything.
  void clear(Queue& queue);
  /// Frames that the pool holds memory for.
  [[nodiscard]] std::size_t pool_frames() const { return nodes_.capacity(); }

 private:
  struct Node {
    SharedFrame frame;
    std::uint32_t next = none;
  };

  void drop_from(std::uint32_t index);
  void release(std::uint32_t index);

  std::vector<Node> nodes_;
  std::uint32_t free_ = none;
  std::size_t used_ = 0;
};

}  // namespace clamor::gateway
