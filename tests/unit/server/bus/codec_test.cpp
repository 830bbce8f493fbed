#include "server/bus/codec.hpp"

#include "tests/unit/server/bus/messages.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <rapidcheck.h>
#include <string>
#include <vector>

namespace clamor::bus {
namespace {

using protocol::DecodeError;
using test::partitions;
using Buffer = std::vector<std::byte>;

constexpr std::size_t kinds = std::variant_size_v<Message>;

Buffer encoded(const Message& message) {
  Buffer bytes;
  encode(message, bytes);
  return bytes;
}

template <class F>
void hold(const char* what, F property) {
  EXPECT_TRUE(rc::check(what, property));
}

bool same(const Message& a, const Message& b) {
  if (a.index() != b.index()) return false;
  return std::visit([&b]<class M>(const M& one) { return test::same(one, std::get<M>(b)); }, a);
}

TEST(BusCodec, EveryMessageComesBackAsItWas) {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    hold("comes back", [kind] {
      const Message message = test::draw_message(kind);
      RC_ASSERT(message.index() == kind);
      const auto decoded = decode(encoded(message), partitions);
      RC_ASSERT(decoded.has_value());
      RC_ASSERT(decoded->size() == 1U);
      RC_ASSERT(same(message, decoded->front()));
    });
  }
}

TEST(BusCodec, AParcelHoldsMessagesInTheirOrder) {
  hold("parcel", [] {
    std::vector<Message> messages;
    Buffer parcel;
    for (std::size_t count = test::below(8); count != 0; --count) {
      messages.push_back(test::draw_message(test::below(kinds)));
      encode(messages.back(), parcel);
    }
    const auto decoded = decode(parcel, partitions);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(std::ranges::equal(messages, *decoded, same));
  });
}

// What is cut off decodes to nothing, or, at the end of a message without a field, to its
// beginning.
TEST(BusCodec, AMessageThatIsCutShortIsRefused) {
  hold("cut", [] {
    const Buffer bytes = encoded(test::draw_message(test::below(kinds)));
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      RC_ASSERT(decode(protocol::Bytes{bytes}.first(size), partitions).error() ==
                DecodeError::truncated);
    }
  });
}

// Goal: hostile bytes never crash (asan watches), and what decodes is canonical.
TEST(BusCodec, MutatedBytesAreRefusedOrDecodeToThemselves) {
  hold("mutation", [] {
    const Message message = test::draw_message(test::below(kinds));
    Buffer bytes = encoded(message);
    for (int i = 0; i < 30; ++i) {  // Mutations pile up; early ones leave the bytes decodable.
      const std::size_t at = test::below(bytes.size());
      if (*rc::gen::arbitrary<bool>()) {
        bytes[at] ^= std::byte{1} << static_cast<int>(test::below(8));
      } else {
        bytes[at] = std::byte{*rc::gen::element<std::uint8_t>(0, 1, 2, 0x7F, 0x80, 0xFF)};
      }
      const auto decoded = decode(bytes, partitions);
      if (!decoded) continue;
      Buffer again;
      for (const Message& one : *decoded) encode(one, again);
      const auto twice = decode(again, partitions);
      RC_ASSERT(twice.has_value());
      RC_ASSERT(std::ranges::equal(*decoded, *twice, same));
    }
  });
}

TEST(BusCodec, OfASharedCommitOnlyTheNamedRecordsGo) {
  const auto commit = std::make_shared<store::Commit>();
  for (std::uint64_t id = 1; id <= 5; ++id) {
    const Buffer body(100, static_cast<std::byte>(id));
    commit->add({.channel = {7}, .id = {id}}, body, {{1}, {id}});
  }
  Published published{.term = {2}, .number = 9, .commit = commit, .entries = {}};
  published.entries.push_back({.record = 1, .live = true});
  published.entries.push_back({.record = 3, .live = true});
  const Buffer bytes = encoded(published);
  EXPECT_LT(bytes.size(), 2 * 140U);
  const auto decoded = decode(bytes, partitions);
  ASSERT_TRUE(decoded.has_value());
  const auto& back = std::get<Published>(decoded->front());
  ASSERT_EQ(back.commit->batch.size(), 2U);
  EXPECT_EQ(back.commit->batch.record(back.entries[0].record).id, MessageId{2});
  EXPECT_EQ(back.commit->batch.record(back.entries[1].record).id, MessageId{4});
  EXPECT_EQ(back.commit->batch.body(1)[99], std::byte{4});

  FanOutBatch batch;
  batch.fan_out.records = commit;
  batch.fan_out.runs = {{.channel = {7}, .entries_end = 1}, {.channel = {8}, .entries_end = 2}};
  batch.fan_out.entries = {{.user = {1}, .first = {2}, .count = 2},
                           {.user = {1}, .first = {1}, .count = 5}};
  const auto copies = decode(encoded(batch), partitions);
  ASSERT_TRUE(copies.has_value());
  const auto& held = std::get<FanOutBatch>(copies->front()).fan_out.records->batch;
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held.record(0).id, MessageId{2});
  EXPECT_EQ(held.record(1).id, MessageId{3});
}

TEST(BusCodec, SmallNumbersTakeAByteAndLargeOnesAtMostTen) {
  EXPECT_EQ(encoded(Supersede{{5}}).size(), 2U);
  EXPECT_EQ(encoded(Supersede{{0x7F}}).size(), 2U);
  EXPECT_EQ(encoded(Supersede{{0x80}}).size(), 3U);
  EXPECT_EQ(encoded(Supersede{no_session}).size(), 11U);
  EXPECT_EQ(encoded(FanOutCaughtUp{}).size(), 1U);
}

TEST(BusCodec, EachKindOfBadBytesHasItsError) {
  const auto error_of = [](Buffer bytes) { return decode(bytes, partitions).error(); };
  EXPECT_TRUE(decode({}, partitions)->empty());
  EXPECT_EQ(error_of({static_cast<std::byte>(kinds)}), DecodeError::unknown_type);

  Buffer long_number = encoded(Supersede{{5}});
  long_number[1] |= std::byte{0x80};
  long_number.push_back(std::byte{0});
  EXPECT_EQ(error_of(long_number), DecodeError::bad_value) << "5 in two bytes";
  Buffer beyond = encoded(Supersede{no_session});
  beyond.back() = std::byte{2};
  EXPECT_EQ(error_of(beyond), DecodeError::bad_value) << "a 65th bit";

  Buffer count = encoded(UserChannels{});
  count.back() = std::byte{0x7F};
  EXPECT_EQ(error_of(count), DecodeError::truncated) << "a list longer than its parcel";

  EXPECT_EQ(error_of(encoded(FanOutFlushed{{{{partitions}, {1}}}})), DecodeError::bad_value)
      << "a partition that the deployment does not have";
  EXPECT_EQ(error_of(encoded(LogRead{.reading = static_cast<Reading>(3)})), DecodeError::bad_value);
  EXPECT_EQ(error_of(encoded(Refusal{.code = static_cast<protocol::RefusalCode>(0)})),
            DecodeError::bad_value);
  EXPECT_EQ(error_of(encoded(Registered{.channels = {{.intervals_end = 1}}})),
            DecodeError::bad_value)
      << "an interval that is not there";
  const auto commit = std::make_shared<store::Commit>();
  commit->add({}, {}, {});
  Buffer published = encoded(Published{.commit = commit, .entries = {{.record = 0}}});
  ASSERT_EQ(published[4], std::byte{1}) << "one entry";
  published[5] = std::byte{1};
  EXPECT_EQ(error_of(published), DecodeError::bad_value) << "of a record that is not there";
  FanOutBatch batch;
  batch.fan_out.runs = {{.entries_end = 0}};
  batch.fan_out.entries = {{.first = {1}, .count = 1}};
  EXPECT_EQ(error_of(encoded(batch)), DecodeError::bad_value) << "an entry outside the runs";
}

}  // namespace
}  // namespace clamor::bus
