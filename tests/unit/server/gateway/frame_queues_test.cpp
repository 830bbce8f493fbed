#include "server/gateway/frame_queues.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <rapidcheck.h>
#include <vector>

namespace clamor::gateway {
namespace {

/// A frame of so many bytes, the header's two among them.
SharedFrame frame_of(std::size_t bytes, std::uint8_t fill, bool control = false) {
  return Frame::make(control ? protocol::Opcode::pong : protocol::Opcode::binary,
                     std::vector<std::byte>(bytes - 2, std::byte{fill}));
}

/// All that is queued, taken off a copy piece by piece as a gateway would.
std::vector<std::byte> queued_in(FrameQueues queues, FrameQueues::Queue queue,
                                 std::size_t scratch_bytes) {
  std::vector<std::byte> scratch(scratch_bytes);
  std::vector<std::byte> bytes;
  while (!queue.empty()) {
    const auto piece = queues.next(queue, scratch);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    queues.pop(queue, piece.size());
  }
  EXPECT_TRUE(queues.next(queue, scratch).empty());
  return bytes;
}

// Method: three queues share the pool; each is compared with a plain deque of bytes after random
// pushes, partial writes, drops and clears.
TEST(FrameQueues, BehaveAsSeparateByteQueuesUnderAnyMixOfOperations) {
  EXPECT_TRUE(rc::check("mix", [] {
    FrameQueues queues;
    std::array<FrameQueues::Queue, 3> queue;
    std::array<std::vector<std::byte>, 3> model;
    std::array<std::deque<std::size_t>, 3> sizes;  // of frames not completely written
    const int steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
      const auto q = *rc::gen::inRange<std::size_t>(0, 3);
      switch (*rc::gen::weightedElement<int>({{6, 0}, {4, 1}, {1, 2}, {1, 3}})) {
        case 0: {
          const SharedFrame frame =
              frame_of(*rc::gen::inRange<std::size_t>(2, 20), *rc::gen::arbitrary<std::uint8_t>());
          model[q].insert(model[q].end(), frame->bytes().begin(), frame->bytes().end());
          sizes[q].push_back(frame->size());
          queues.push(queue[q], frame);
          break;
        }
        case 1: {
          const auto written = *rc::gen::inRange<std::size_t>(0, model[q].size() + 1);
          model[q].erase(model[q].begin(), model[q].begin() + static_cast<std::ptrdiff_t>(written));
          std::size_t completed = 0;
          std::size_t left = written + queue[q].head_sent_bytes;
          while (!sizes[q].empty() && left >= sizes[q].front()) {
            left -= sizes[q].front();
            sizes[q].pop_front();
            ++completed;
          }
          RC_ASSERT(queues.pop(queue[q], written) == completed);
          break;
        }
        case 2: {
          const std::size_t kept =
              queue[q].head_sent_bytes == 0 ? 0 : sizes[q].front() - queue[q].head_sent_bytes;
          RC_ASSERT(queues.drop_unwritten(queue[q]) == kept);
          model[q].resize(kept);
          sizes[q].resize(kept == 0 ? 0 : 1);
          break;
        }
        default:
          queues.clear(queue[q]);
          model[q].clear();
          sizes[q].clear();
      }
      for (std::size_t i = 0; i < 3; ++i) {
        const auto scratch_bytes = *rc::gen::inRange<std::size_t>(1, 64);
        RC_ASSERT(queued_in(queues, queue[i], scratch_bytes) == model[i]);
        RC_ASSERT(queue[i].empty() == model[i].empty());
      }
    }
  }));
}

TEST(FrameQueues, SmallFramesComeInOnePieceAndALargeOneWhereItIs) {
  FrameQueues queues;
  FrameQueues::Queue queue;
  std::vector<std::byte> scratch(10);
  const SharedFrame large = frame_of(12, 3);
  queues.push(queue, frame_of(4, 1));
  EXPECT_NE(queues.next(queue, scratch).data(), scratch.data()) << "a lone one";
  queues.push(queue, frame_of(4, 2));
  queues.push(queue, large);
  EXPECT_EQ(queues.next(queue, scratch).data(), scratch.data());
  EXPECT_EQ(queues.next(queue, scratch).size(), 10U);
  queues.pop(queue, 8);
  EXPECT_EQ(queues.next(queue, scratch).data(), large->bytes().data());
}

TEST(FrameQueues, ControlFramesAreNotCountedAsMessages) {
  FrameQueues queues;
  FrameQueues::Queue queue;
  queues.push(queue, frame_of(4, 1));
  queues.push(queue, frame_of(4, 2, true));
  queues.push(queue, frame_of(4, 3));
  EXPECT_EQ(queues.pop(queue, 12), 2U);
}

TEST(FrameQueues, FrameIsReleasedAsSoonAsItIsWritten) {
  FrameQueues queues;
  FrameQueues::Queue queue;
  const SharedFrame frame = frame_of(4, 1);
  queues.push(queue, frame);
  EXPECT_EQ(frame->owners(), 2U);
  queues.pop(queue, 4);
  EXPECT_EQ(frame->owners(), 1U);
}

TEST(FrameQueues, PoolOfABurstIsGivenBackAndWorksAgain) {
  FrameQueues queues;
  FrameQueues::Queue queue;
  const SharedFrame frame = frame_of(4, 1);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 10000; ++i) queues.push(queue, frame);
    EXPECT_EQ(queues.pop(queue, 39996), 9999U);
    EXPECT_GE(queues.pool_frames(), 10000U);
    EXPECT_EQ(queues.pop(queue, 4), 1U);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queues.pool_frames(), 0U);
  }
}

}  // namespace
}  // namespace clamor::gateway
