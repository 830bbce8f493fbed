#include "server/store/rows.hpp"

#include <concepts>
#include <limits>

namespace clamor::store {
namespace {

template <std::unsigned_integral T>
void put_big(char* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<char>(static_cast<unsigned char>(value >> (8U * (sizeof(T) - 1 - i))));
  }
}

template <std::unsigned_integral T>
T get_big(const char* from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>((std::uint64_t{value} << 8U) | static_cast<unsigned char>(from[i]));
  }
  return value;
}

template <std::unsigned_integral T>
char* put_little(char* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    *to++ = static_cast<char>(static_cast<unsigned char>(value >> (8U * i)));
  }
  return to;
}

template <std::unsigned_integral T>
T take_little(const char*& from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | std::uint64_t{static_cast<unsigned char>(*from++)} << (8U * i));
  }
  return value;
}

/// Numbers whose bytes are ordered as they are, one behind the other.
template <std::unsigned_integral... Numbers>
Key<(sizeof(Numbers) + ...)> key_of(Numbers... numbers) {
  Key<(sizeof(Numbers) + ...)> key;
  char* to = key.bytes.data();
  ((put_big(to, numbers), to += sizeof(Numbers)), ...);
  return key;
}
constexpr std::uint8_t as_byte(char tag) { return static_cast<std::uint8_t>(tag); }

}  // namespace

Key<16> log_key(ChannelId channel, MessageId id) { return key_of(channel.value, id.value); }

void write_log_value(const core::Record& record, std::span<const std::byte> body,
                     std::string& out) {
  out.resize(log_header_bytes);
  char* to = out.data();
  to = put_little(to, core::kind_byte(record));
  to = put_little(to, record.sender.value);
  to = put_little(to, record.device.value);
  to = put_little(to, record.device_incarnation);
  to = put_little(to, record.client_message_id.value);
  to = put_little(to, record.uncountable);
  put_little(to, static_cast<std::uint64_t>(to_ns(record.accepted_at)));
  out.append(reinterpret_cast<const char*>(body.data()), body.size());
}

std::optional<LogRow> read_log_row(std::string_view key, std::string_view value) {
  if (key.size() != 16 || value.size() < log_header_bytes) return std::nullopt;
  LogRow row;
  if (!core::set_kind(row.record, static_cast<std::uint8_t>(value[0]))) return std::nullopt;
  row.record.channel = {get_big<std::uint64_t>(key.data())};
  row.record.id = {get_big<std::uint64_t>(key.data() + 8)};
  const char* from = value.data() + 1;
  row.record.sender = {take_little<std::uint64_t>(from)};
  row.record.device = {take_little<std::uint32_t>(from)};
  row.record.device_incarnation = take_little<std::uint32_t>(from);
  row.record.client_message_id = {take_little<std::uint64_t>(from)};
  row.record.uncountable = take_little<std::uint32_t>(from);
  row.record.accepted_at =
      instant_from_ns(static_cast<std::int64_t>(take_little<std::uint64_t>(from)));
  row.body = std::as_bytes(std::span{value}.subspan(log_header_bytes));
  row.record.body_bytes = static_cast<std::uint32_t>(row.body.size());
  return row;
}

Key<12> journal_key(JournalPlace place) {
  return key_of(place.partition.value, place.sequence.value);
}

Key<16> journal_value(ChannelId channel, MessageId id) { return log_key(channel, id); }

std::optional<JournalRow> read_journal_row(std::string_view key, std::string_view value) {
  if (key.size() != 12 || value.size() != 16) return std::nullopt;
  return JournalRow{
      {{get_big<std::uint32_t>(key.data())}, {get_big<std::uint64_t>(key.data() + 4)}},
      {get_big<std::uint64_t>(value.data())},
      {get_big<std::uint64_t>(value.data() + 8)}};
}

Key<17> read_cursor_key(ChannelId channel, UserId user) {
  return key_of(as_byte(read_cursor_tag), channel.value, user.value);
}

void write_read_cursor(const core::CountedId& read, std::string& out) {
  out.resize(12);
  put_little(put_little(out.data(), read.id.value), read.uncountable);
}

std::optional<ReadCursor> read_cursor_row(std::string_view key, std::string_view value) {
  if (key.size() != 17 || value.size() != 12) return std::nullopt;
  const char* from = value.data();
  ReadCursor cursor{{big_endian_at(key, 1)}, {big_endian_at(key, 9)}, {}};
  cursor.read.id = {take_little<std::uint64_t>(from)};
  cursor.read.uncountable = take_little<std::uint32_t>(from);
  return cursor;
}

Key<9> account_key(UserId user) { return key_of(as_byte(account_tag), user.value); }

Key<25> edit_key(ChannelId channel, MessageId target, MessageId edit) {
  return key_of(as_byte(edit_tag), channel.value, target.value, edit.value);
}

Key<9> checkpoint_key(ChannelId channel) { return key_of(as_byte(checkpoint_tag), channel.value); }

void write_checkpoint(const Checkpoint& checkpoint, std::string& out) {
  out.clear();
  append_varint(checkpoint.up_to.value, out);
  out.append(checkpoint.state);
}

std::optional<Checkpoint> checkpoint_row(std::string_view key, std::string_view value) {
  if (key.size() != 9) return std::nullopt;
  const auto up_to = take_varint(value);
  if (!up_to) return std::nullopt;
  return Checkpoint{{big_endian_at(key, 1)}, {*up_to}, std::string{value}};
}

Key<17> user_queue_key(UserId user, QueueSequence last) {
  return key_of(as_byte(user_queue_tag), user.value, last.value);
}

Key<25> member_queue_key(ChannelId channel, UserId user, MessageId last) {
  return key_of(as_byte(member_queue_tag), channel.value, user.value, last.value);
}

Key<user_channel_key_bytes> user_channel_key(UserId user, ChannelId channel) {
  return key_of(as_byte(user_channel_tag), user.value, channel.value);
}

Key<device_key_bytes> device_key(UserId user, DeviceId device) {
  return key_of(as_byte(device_tag), user.value, device.value);
}

Key<5> cursor_key(PartitionId partition) { return key_of(as_byte(cursor_tag), partition.value); }

void append_run(const QueueRun& run, std::string& out) {
  append_varint(run.channel.value, out);
  append_varint(run.first.value, out);
  append_varint(run.count, out);
}

std::optional<QueueRun> take_run(std::string_view& value) {
  const auto channel = take_varint(value);
  const auto first = channel ? take_varint(value) : std::nullopt;
  const auto count = first ? take_varint(value) : std::nullopt;
  if (!count || *count == 0 || *count > std::numeric_limits<std::uint32_t>::max()) {
    return std::nullopt;
  }
  return QueueRun{{*channel}, {*first}, static_cast<std::uint32_t>(*count)};
}

void append_copy(ChannelId channel, MessageId id, std::string_view value, std::string& out) {
  append_varint(channel.value, out);
  append_varint(id.value, out);
  append_varint(value.size(), out);
  out.append(value);
}

bool take_copy(std::string_view& rest, RecordBatch& out) {
  const auto channel = take_varint(rest);
  const auto id = channel ? take_varint(rest) : std::nullopt;
  const auto size = id ? take_varint(rest) : std::nullopt;
  if (!size || *size > rest.size()) return false;
  const auto row = read_log_row(log_key({*channel}, {*id}).view(), rest.substr(0, *size));
  if (!row) return false;
  out.add(row->record, row->body);
  rest.remove_prefix(*size);
  return true;
}

void append_varint(std::uint64_t value, std::string& out) {
  while (value >= 0x80U) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value | 0x80U)));
    value >>= 7U;
  }
  out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
}

std::optional<std::uint64_t> take_varint(std::string_view& from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < from.size() && i < 10; ++i) {
    const auto byte = static_cast<unsigned char>(from[i]);
    value |= std::uint64_t{byte & 0x7FU} << (7U * i);
    if ((byte & 0x80U) == 0) {
      from.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::uint64_t big_endian_at(std::string_view key, std::size_t at) {
  return get_big<std::uint64_t>(key.data() + at);
}

DeviceId device_of_key(std::string_view key) { return {get_big<std::uint32_t>(key.data() + 9)}; }

}  // namespace clamor::store
