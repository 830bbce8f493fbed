#include "server/store/rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <rapidcheck/gtest.h>

namespace clamor::store {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

TEST(Rows, LogValueReadsBackAsTheRecordItWasMadeOf) {
  const core::Record record{.channel = {7},
                            .id = {1ULL << 40U},
                            .kind = core::RecordKind::leave,
                            .redacted = true,
                            .has_about = true,
                            .uncountable = 0x80000002U,
                            .sender = {0xFFEEDDCCBBAA9988ULL},
                            .device = {3},
                            .device_incarnation = 0x80000001U,
                            .client_message_id = {65},
                            .accepted_at = instant_from_ns(-5)};
  std::string value = "stale";
  write_log_value(record, bytes_of("body"), value);
  const auto key = log_key(record.channel, record.id);
  const auto row = read_log_row(key.view(), value);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->record.channel, record.channel);
  EXPECT_EQ(row->record.id, record.id);
  EXPECT_EQ(row->record.kind, record.kind);
  EXPECT_EQ(row->record.redacted, record.redacted);
  EXPECT_EQ(row->record.has_about, record.has_about);
  EXPECT_EQ(row->record.uncountable, record.uncountable);
  EXPECT_EQ(row->record.sender, record.sender);
  EXPECT_EQ(row->record.device, record.device);
  EXPECT_EQ(row->record.device_incarnation, record.device_incarnation);
  EXPECT_EQ(row->record.client_message_id, record.client_message_id);
  EXPECT_EQ(row->record.accepted_at, record.accepted_at);
  EXPECT_EQ(row->record.body_bytes, 4U);
  EXPECT_EQ(text_of(row->body), "body");
}

TEST(Rows, AReadCursorReadsBackAsItWasWritten) {
  const ReadCursor cursor{{1ULL << 50U}, {0xFFEEDDCCBBAA9988ULL}, {{1ULL << 40U}, 0x80000001U}};
  const auto key = read_cursor_key(cursor.channel, cursor.user);
  std::string value = "stale";
  write_read_cursor(cursor.read, value);
  EXPECT_EQ(read_cursor_row(key.view(), value), cursor);
  EXPECT_FALSE(read_cursor_row(key.view().substr(1), value));
  EXPECT_FALSE(read_cursor_row(key.view(), std::string_view{value}.substr(1)));
}

TEST(Rows, DamagedRowsAreRefusedNotGuessed) {
  const auto key = log_key({1}, {1});
  std::string value;
  write_log_value({}, {}, value);
  EXPECT_TRUE(read_log_row(key.view(), value));
  EXPECT_FALSE(read_log_row(key.view().substr(1), value)) << "short key";
  EXPECT_FALSE(read_log_row(key.view(), std::string_view{value}.substr(1))) << "short value";
  value[0] = 0;
  EXPECT_FALSE(read_log_row(key.view(), value)) << "no such kind";

  std::string run;
  append_run({{300}, {70'000}, 5}, run);
  for (std::size_t length = 0; length < run.size(); ++length) {
    std::string_view cut{run.data(), length};
    EXPECT_FALSE(take_run(cut)) << "cut to " << length;
  }
  const std::string endless(11, '\xFF');
  std::string_view from = endless;
  EXPECT_FALSE(take_varint(from));
}

RC_GTEST_PROP(Rows, KeysSortByBytesAsTheirNumbersSort, ()) {
  // Small numbers half of the time, so that ties in the first field occur.
  const auto number = [] {
    return *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 3),
                           rc::gen::arbitrary<std::uint64_t>());
  };
  const std::array<std::uint64_t, 3> a{number(), number(), number()};
  const std::array<std::uint64_t, 3> b{number(), number(), number()};
  RC_ASSERT((member_queue_key({a[0]}, {a[1]}, {a[2]}).view() <
             member_queue_key({b[0]}, {b[1]}, {b[2]}).view()) == (a < b));
  RC_ASSERT((log_key({a[0]}, {a[1]}).view() < log_key({b[0]}, {b[1]}).view()) ==
            (std::pair{a[0], a[1]} < std::pair{b[0], b[1]}));
}

RC_GTEST_PROP(Rows, RunsReadBackInOrder, ()) {
  std::vector<QueueRun> runs;
  std::string value;
  for (auto i = *rc::gen::inRange(0, 6); i > 0; --i) {
    runs.push_back({{*rc::gen::arbitrary<std::uint64_t>()},
                    {*rc::gen::arbitrary<std::uint64_t>()},
                    *rc::gen::inRange(1U, std::numeric_limits<std::uint32_t>::max())});
    append_run(runs.back(), value);
  }
  std::string_view rest = value;
  for (const QueueRun& run : runs) RC_ASSERT(take_run(rest) == run);
  RC_ASSERT(rest.empty());
}

}  // namespace
}  // namespace clamor::store
