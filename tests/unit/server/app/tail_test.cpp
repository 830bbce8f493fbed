#include "server/app/tail.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace clamor::server {
namespace {

using namespace std::chrono_literals;

Instant at(Duration since_start) { return Instant{since_start}; }

std::shared_ptr<store::Commit> commit_of(std::uint64_t channel, std::uint64_t first,
                                         std::uint64_t last) {
  auto commit = std::make_shared<store::Commit>();
  for (std::uint64_t id = first; id <= last; ++id) {
    commit->add({.channel = {channel}, .id = {id}}, {}, {});
  }
  return commit;
}

void add_all(Tail& tail, ChannelIndex channel, const std::shared_ptr<store::Commit>& commit,
             Instant now) {
  for (std::size_t i = 0; i < commit->batch.size(); ++i) tail.add(channel, commit, i, now);
}

/// The ids that the tail has of (after, up_to]; {0} where it has not all of them.
std::vector<std::uint64_t> read(const Tail& tail, ChannelIndex channel, std::uint64_t after,
                                std::uint64_t up_to) {
  std::vector<store::SharedRecord> found;
  if (!tail.read(channel, {after}, {up_to}, found)) return {0};
  std::vector<std::uint64_t> ids;
  for (const store::SharedRecord& reference : found) {
    ids.push_back(reference.record().id.value);
  }
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST(Tail, GivesAChannelsLatestRecordsInOrder) {
  Tail tail{{}};
  add_all(tail, 0, commit_of(10, 1, 3), at(0s));
  add_all(tail, 1, commit_of(11, 1, 2), at(0s));
  add_all(tail, 0, commit_of(10, 4, 5), at(1s));
  EXPECT_EQ(read(tail, 0, 0, 5), (Ids{1, 2, 3, 4, 5}));
  EXPECT_EQ(read(tail, 0, 2, 4), (Ids{3, 4}));
  EXPECT_EQ(read(tail, 1, 0, 2), (Ids{1, 2}));
  EXPECT_EQ(read(tail, 0, 5, 5), (Ids{}));
  EXPECT_EQ(read(tail, 0, 4, 6), (Ids{0})) << "6 is not in it";
  EXPECT_EQ(read(tail, 2, 0, 1), (Ids{0})) << "a channel it knows nothing of";
}

TEST(Tail, ServesNoRecordWhoseBodyHasLeftTheLog) {
  Tail tail{{}};
  add_all(tail, 0, commit_of(10, 1, 5), at(0s));
  add_all(tail, 1, commit_of(11, 1, 5), at(0s));
  tail.redact(0, {3});
  tail.redact(0, {99});
  tail.redact(7, {3});
  EXPECT_EQ(read(tail, 0, 3, 5), (Ids{4, 5}));
  EXPECT_EQ(read(tail, 0, 2, 5), (Ids{0}));
  EXPECT_EQ(read(tail, 0, 0, 2), (Ids{1, 2})) << "only what is asked for matters";
  EXPECT_EQ(read(tail, 1, 0, 5), (Ids{1, 2, 3, 4, 5}));
}

TEST(Tail, ForgetsByAge) {
  Tail tail{{.age = 5s}};
  add_all(tail, 0, commit_of(10, 1, 2), at(0s));
  add_all(tail, 0, commit_of(10, 3, 4), at(3s));
  tail.expire(at(5s));
  EXPECT_EQ(read(tail, 0, 0, 4), (Ids{1, 2, 3, 4}));
  tail.expire(at(5s + 1ns));
  EXPECT_EQ(read(tail, 0, 0, 4), (Ids{0}));
  EXPECT_EQ(read(tail, 0, 2, 4), (Ids{3, 4}));
  tail.expire(at(1min));
  EXPECT_EQ(read(tail, 0, 3, 4), (Ids{0}));
  add_all(tail, 0, commit_of(10, 5, 5), at(1min));
  EXPECT_EQ(read(tail, 0, 4, 5), (Ids{5})) << "it goes on after it was empty";
}

TEST(Tail, LooksBackSoManyRecordsOfAChannelAndNoFurther) {
  Tail tail{{.records_per_channel = 4}};
  add_all(tail, 0, commit_of(10, 1, 10), at(0s));
  EXPECT_EQ(read(tail, 0, 6, 10), (Ids{7, 8, 9, 10}));
  EXPECT_EQ(read(tail, 0, 5, 10), (Ids{0}));
}

TEST(Tail, StaysWithinItsMemory) {
  Tail tail{{.bytes_max = 3 * sizeof(core::Record)}};
  add_all(tail, 0, commit_of(10, 1, 5), at(0s));
  tail.expire(at(0s));
  EXPECT_EQ(read(tail, 0, 2, 5), (Ids{3, 4, 5}));
  EXPECT_EQ(read(tail, 0, 1, 5), (Ids{0}));
}

}  // namespace
}  // namespace clamor::server
