#pragma once

#include "server/base/id.hpp"
#include "server/core/record.hpp"
#include "server/store/commit.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Layout of keys and values on disk. Keys are big-endian, so that RocksDB's byte order is the
/// order of ids; values are little-endian or varints. Changing any of it needs a new
/// `data_format`.
namespace clamor::store {

inline constexpr std::uint32_t data_format = 5;

/// A key of fixed size, comparable by bytes.
template <std::size_t size>
struct Key {
  std::array<char, size> bytes{};
  [[nodiscard]] std::string_view view() const { return {bytes.data(), size}; }
};

// --- log: (channel, message_id) -> record without the two, body at the end
[[nodiscard]] Key<16> log_key(ChannelId channel, MessageId id);
/// Bytes of a log value before the body.
inline constexpr std::size_t log_header_bytes = 37;
void write_log_value(const core::Record& record, std::span<const std::byte> body, std::string& out);
/// Nothing where key or value is not a record: the row is damaged.
struct LogRow {
  core::Record record;
  std::span<const std::byte> body;  ///< Points into the value.
};
[[nodiscard]] std::optional<LogRow> read_log_row(std::string_view key, std::string_view value);

// --- journal: (partition, sequence) -> (channel, message_id)
[[nodiscard]] Key<12> journal_key(JournalPlace place);
[[nodiscard]] Key<16> journal_value(ChannelId channel, MessageId id);
struct JournalRow {
  JournalPlace place;
  ChannelId channel;
  MessageId id;
};
[[nodiscard]] std::optional<JournalRow> read_journal_row(std::string_view key,
                                                         std::string_view value);

// --- read cursors, beside the directory's facts: tag, channel, user -> id, uncountable
inline constexpr char read_cursor_tag = 'R';
[[nodiscard]] Key<17> read_cursor_key(ChannelId channel, UserId user);
void write_read_cursor(const core::CountedId& read, std::string& out);
/// Nothing where key or value is not a read cursor.
[[nodiscard]] std::optional<ReadCursor> read_cursor_row(std::string_view key,
                                                        std::string_view value);

// --- edits of messages, beside the directory's facts: tag, channel, message, edit -> nothing
inline constexpr char edit_tag = 'E';
[[nodiscard]] Key<25> edit_key(ChannelId channel, MessageId target, MessageId edit);

// --- accounts, beside the directory's facts: tag, user -> how the password is stored
inline constexpr char account_tag = 'A';
[[nodiscard]] Key<9> account_key(UserId user);

// --- checkpoints of trimmed logs, beside the directory's facts: tag, channel -> up to which id the
// log is gone, and what the owner of the channel made of it
inline constexpr char checkpoint_tag = 'K';
[[nodiscard]] Key<9> checkpoint_key(ChannelId channel);
void write_checkpoint(const Checkpoint& checkpoint, std::string& out);
/// Nothing where key or value is no checkpoint.
[[nodiscard]] std::optional<Checkpoint> checkpoint_row(std::string_view key,
                                                       std::string_view value);

// --- queues: first byte of the key tells rows apart
inline constexpr char user_queue_tag = 'U';
inline constexpr char member_queue_tag = 'M';
inline constexpr char cursor_tag = 'C';
inline constexpr char user_channel_tag = 'L';
inline constexpr char device_tag = 'D';
/// Length that the prefix Bloom filter looks at: tag and user, or tag and channel.
inline constexpr std::size_t queue_prefix_bytes = 9;

/// A run of records of one channel in a queue.
struct QueueRun {
  ChannelId channel;
  MessageId first;
  std::uint32_t count = 0;
  bool operator==(const QueueRun&) const = default;
};

inline constexpr std::size_t user_queue_key_bytes = 17;
inline constexpr std::size_t member_queue_key_bytes = 25;
/// User queue: (user, sequence of the row's last entry) -> runs, packed; or copies.
[[nodiscard]] Key<user_queue_key_bytes> user_queue_key(UserId user, QueueSequence last);
/// Member queue: (channel, user, last id of the run) -> count; or copies.
[[nodiscard]] Key<member_queue_key_bytes> member_queue_key(ChannelId channel, UserId user,
                                                           MessageId last);
/// Cursor of a partition: the journal sequence up to which queue entries are applied.
[[nodiscard]] Key<5> cursor_key(PartitionId partition);
/// A channel that a user is or was in.
struct UserChannel {
  UserId user;
  ChannelId channel;
  bool operator==(const UserChannel&) const = default;
};
/// Channel list of a user: (user, channel) -> nothing.
inline constexpr std::size_t user_channel_key_bytes = 17;
[[nodiscard]] Key<user_channel_key_bytes> user_channel_key(UserId user, ChannelId channel);

/// Devices of users: (user, device) -> when it was last seen, Unix seconds.
inline constexpr std::size_t device_key_bytes = 13;
[[nodiscard]] Key<device_key_bytes> device_key(UserId user, DeviceId device);
/// @pre key.size() is device_key_bytes; its user is big_endian_at(key, 1).
[[nodiscard]] DeviceId device_of_key(std::string_view key);

/// Places in users' queues begin anew with every term of the store, above all earlier ones: a
/// queue needs no row to remember its end, and what was forgotten with a kill is never met again.
inline constexpr unsigned queue_place_bits = 40;
/// The place before the first one of a term: the queues' incarnation.
[[nodiscard]] constexpr QueueSequence queue_begin(Term term) {
  return {std::uint64_t{term.value} << queue_place_bits};
}

void append_run(const QueueRun& run, std::string& out);
/// Takes one run off the front of `value`; nothing where it is damaged.
[[nodiscard]] std::optional<QueueRun> take_run(std::string_view& value);

/// Appends a record as `payload: copy` queues hold it; `value` is its log value.
void append_copy(ChannelId channel, MessageId id, std::string_view value, std::string& out);
/// Takes one copied record off the front of `rest` and adds it to `out`; false where it is damaged.
[[nodiscard]] bool take_copy(std::string_view& rest, RecordBatch& out);

void append_varint(std::uint64_t value, std::string& out);
/// Takes one varint off the front of `from`; nothing where it is cut short or too long.
[[nodiscard]] std::optional<std::uint64_t> take_varint(std::string_view& from);

/// Big-endian number at `at` of a key. @pre at + 8 <= key.size().
[[nodiscard]] std::uint64_t big_endian_at(std::string_view key, std::size_t at);

}  // namespace clamor::store
