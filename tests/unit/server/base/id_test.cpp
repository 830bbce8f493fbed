#include "server/base/id.hpp"

#include "server/base/operations.hpp"
#include "server/base/queue_design.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace clamor {
namespace {

template <class A, class B>
concept comparable = requires(A a, B b) {
  a == b;
};

static_assert(comparable<UserId, UserId>);
static_assert(!comparable<UserId, ChannelId>, "names of different kinds must not mix");
static_assert(!comparable<MessageId, ClientMessageId>, "counters of different kinds must not mix");
static_assert(std::is_trivially_copyable_v<Position> && sizeof(MessageId) == 8);

TEST(Ordinal, CountsAndMeasuresDistance) {
  MessageId id{6};
  EXPECT_EQ(++id, MessageId{7});
  EXPECT_EQ(id + 3, MessageId{10});
  EXPECT_EQ(id - 7, MessageId{0});
  EXPECT_EQ(MessageId{10} - MessageId{4}, 6U);
  EXPECT_LT(MessageId{}, MessageId{1});
}

TEST(Position, OrdersByIncarnationBeforeMessageId) {
  EXPECT_LT((Position{1, MessageId{900}}), (Position{2, MessageId{1}}));
  EXPECT_LT((Position{2, MessageId{1}}), (Position{2, MessageId{2}}));
}

TEST(Id, DenseIdsHashApart) {
  std::unordered_set<std::size_t> top_bytes;
  for (std::uint64_t i = 0; i < 64; ++i) {
    top_bytes.insert(std::hash<UserId>{}(UserId{i}) >> 56U);
  }
  EXPECT_GT(top_bytes.size(), 50U) << "dense ids must differ in the bits that maps take";
}

TEST(Operations, AddingSumsEveryCounter) {
  Operations one;
  std::uint64_t n = 0;
  for (const OperationCounter& counter : operation_counters) one.*counter.member = ++n;
  Operations sum = one;
  sum += one;
  n = 0;
  for (const OperationCounter& counter : operation_counters) {
    EXPECT_EQ(sum.*counter.member, 2 * ++n) << counter.name;
  }
}

TEST(QueueDesign, EveryDesignIsFoundByItsName) {
  for (const QueueDesign design : queue_designs) {
    EXPECT_NE(name_of(design), "?");
    EXPECT_EQ(design_from_name(name_of(design)), design);
  }
  EXPECT_FALSE(design_from_name("per-user"));
}

}  // namespace
}  // namespace clamor
