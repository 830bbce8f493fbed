#include "server/bus/codec.hpp"

#include <boost/pfr.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace clamor::bus {
namespace {

using protocol::DecodeError;

// --- what an enum may hold: a new enumerator does not compile without its case -------------------

bool is_known(Reading value) {
  switch (value) {
    case Reading::catch_up:
    case Reading::joining:
    case Reading::repair:
      return true;
  }
  return false;
}

bool is_known(Answer::Kind value) {
  switch (value) {
    case Answer::Kind::none:
    case Answer::Kind::send:
    case Answer::Kind::change:
      return true;
  }
  return false;
}

bool is_known(core::ChannelDesign value) {
  switch (value) {
    case core::ChannelDesign::per_user:
    case core::ChannelDesign::per_member:
    case core::ChannelDesign::per_group:
      return true;
    case core::ChannelDesign::adaptive:
      return false;  // A member's mode is one of the others.
  }
  return false;
}

bool is_known(core::RecordKind value) {
  switch (value) {
    case core::RecordKind::message:
    case core::RecordKind::join:
    case core::RecordKind::leave:
    case core::RecordKind::kick:
    case core::RecordKind::design_changed:
    case core::RecordKind::edit:
    case core::RecordKind::deletion:
    case core::RecordKind::reaction:
    case core::RecordKind::reaction_removed:
    case core::RecordKind::member_mode:
      return true;
  }
  return false;
}

bool is_known(protocol::RefusalCode value) {
  using enum protocol::RefusalCode;
  switch (value) {
    case malformed:
    case not_logged_in:
    case bad_token:
    case unsupported_version:
    case already_logged_in:
    case no_such_channel:
    case not_member:
    case already_member:
    case channel_exists:
    case body_too_large:
    case group_too_large:
    case client_message_id_gap:
    case client_message_id_too_old:
    case too_many_pending:
    case overloaded:
    case shutting_down:
    case store_failed:
    case unavailable:
    case no_such_message:
    case not_allowed:
    case too_many_edits:
    case too_many_mentions:
    case too_many_channels:
    case too_many_subscriptions:
    case too_many_requests:
    case wrong_password:
      return true;
  }
  return false;
}

// --- numbers and bytes ---------------------------------------------------------------------------

constexpr unsigned varint_bits = 7;

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_{out} {}

  void put(std::uint64_t value) {
    std::array<std::byte, 10> bytes;
    std::size_t size = 0;
    for (; value > 0x7F; value >>= varint_bits)
      bytes[size++] = static_cast<std::byte>(value | 0x80U);
    bytes[size++] = static_cast<std::byte>(value);
    put(std::span{bytes}.first(size));
  }
  void put(std::span<const std::byte> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }

 private:
  std::vector<std::byte>& out_;
};

/// Reads fields in order. The first failure sticks and empties the rest, so that readers may go on
/// and are asked once, at the end; what is read after a failure is 0 or empty.
class Reader {
 public:
  Reader(protocol::Bytes bytes, std::uint32_t partitions) : rest_{bytes}, partitions_{partitions} {}

  [[nodiscard]] std::uint64_t get() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += varint_bits) {
      if (rest_.empty()) {
        fail(DecodeError::truncated);
        return 0;
      }
      const auto byte = std::to_integer<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      const std::uint64_t bits = byte & 0x7FU;
      // Each number is written in one way: no bit beyond the 64th, no empty last byte.
      if ((bits << shift) >> shift != bits || (byte == 0 && shift != 0)) break;
      value |= bits << shift;
      if (byte <= 0x7F) return value;
    }
    fail(DecodeError::bad_value);
    return 0;
  }

  [[nodiscard]] protocol::Bytes get_bytes(std::uint64_t size) {
    if (size > rest_.size()) {
      fail(DecodeError::truncated);
      return {};
    }
    const protocol::Bytes taken = rest_.first(static_cast<std::size_t>(size));
    rest_ = rest_.subspan(static_cast<std::size_t>(size));
    return taken;
  }

  /// The length of a list: no item takes less than a byte.
  [[nodiscard]] std::size_t get_count() {
    const std::uint64_t count = get();
    if (count <= rest_.size()) return static_cast<std::size_t>(count);
    fail(DecodeError::truncated);
    return 0;
  }

  void fail(DecodeError error) {
    if (!error_) error_ = error;
    rest_ = {};
  }
  void require(bool holds) {
    if (!holds) fail(DecodeError::bad_value);
  }
  [[nodiscard]] const std::optional<DecodeError>& error() const { return error_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::uint32_t partitions() const { return partitions_; }

 private:
  protocol::Bytes rest_;
  std::uint32_t partitions_;
  std::optional<DecodeError> error_;
};

// --- fields --------------------------------------------------------------------------------------

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_text =
    std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::byte>>;

std::uint64_t zig_zag(std::int64_t value) {
  return (std::bit_cast<std::uint64_t>(value) << 1U) ^ std::bit_cast<std::uint64_t>(value >> 63U);
}
std::int64_t un_zig_zag(std::uint64_t value) {
  return std::bit_cast<std::int64_t>((value >> 1U) ^ (~(value & 1U) + 1));
}

/// Half the range at most, so that a difference of two always has a value.
Duration read_time(Reader& in) {
  constexpr std::int64_t longest = std::numeric_limits<std::int64_t>::max() / 2;
  const std::int64_t value = un_zig_zag(in.get());
  in.require(-longest <= value && value <= longest);
  return Duration{value};
}

// These are more than the list of their fields.
void write(Writer& out, const store::RecordBatch& batch);
void read(Reader& in, store::RecordBatch& batch);
void write(Writer& out, const std::vector<store::SharedRecord>& records);
void read(Reader& in, std::vector<store::SharedRecord>& records);
void write(Writer& out, const store::FanOut& fan_out);
void read(Reader& in, store::FanOut& fan_out);
void write(Writer& out, const Published& published);
void read(Reader& in, Published& published);
void read(Reader& in, Registered& registered);
void read(Reader& in, PartitionId& partition);

template <class T>
void write(Writer& out, const T& field) {
  if constexpr (std::is_same_v<T, bool> || std::is_enum_v<T>) {
    out.put(static_cast<std::uint64_t>(field));
  } else if constexpr (std::unsigned_integral<T>) {
    out.put(std::uint64_t{field});
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    out.put(zig_zag(field));
  } else if constexpr (std::is_same_v<T, Duration> || std::is_same_v<T, Instant>) {
    out.put(zig_zag(to_ns(field)));
  } else if constexpr (is_text<T>) {
    out.put(std::uint64_t{field.size()});
    out.put(std::as_bytes(std::span{field}));
  } else if constexpr (is_vector<T>) {
    out.put(std::uint64_t{field.size()});
    for (const auto& item : field) write(out, item);
  } else {
    boost::pfr::for_each_field(field, [&out](const auto& one) { write(out, one); });
  }
}

template <class T>
void read(Reader& in, T& field) {
  if constexpr (std::is_same_v<T, bool>) {
    const std::uint64_t value = in.get();
    in.require(value <= 1);
    field = value == 1;
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> value{};
    read(in, value);
    field = static_cast<T>(value);
    in.require(is_known(field));
  } else if constexpr (std::unsigned_integral<T>) {
    const std::uint64_t value = in.get();
    in.require(value <= std::numeric_limits<T>::max());
    field = static_cast<T>(value);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    field = un_zig_zag(in.get());
  } else if constexpr (std::is_same_v<T, Duration>) {
    field = read_time(in);
  } else if constexpr (std::is_same_v<T, Instant>) {
    field = instant_from_ns(to_ns(read_time(in)));
  } else if constexpr (std::is_same_v<T, std::string>) {
    const protocol::Bytes bytes = in.get_bytes(in.get());
    field.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else if constexpr (is_text<T>) {
    const protocol::Bytes bytes = in.get_bytes(in.get());
    field.assign(bytes.begin(), bytes.end());
  } else if constexpr (is_vector<T>) {
    // Grows with what is there: a length alone allocates nothing.
    for (std::size_t count = in.get_count(); count != 0 && !in.error(); --count) {
      read(in, field.emplace_back());
    }
  } else {
    boost::pfr::for_each_field(field, [&in](auto& one) { read(in, one); });
  }
}

void read(Reader& in, PartitionId& partition) {
  read(in, partition.value);
  in.require(partition.value < in.partitions());
}

// --- records -------------------------------------------------------------------------------------

void write_record(Writer& out, const core::Record& record, std::span<const std::byte> body) {
  write(out, record);  // Its last field is the body's length.
  out.put(body);
}

void read_record(Reader& in, store::RecordBatch& batch) {
  core::Record record;
  read(in, record);
  const protocol::Bytes body = in.get_bytes(record.body_bytes);
  if (!in.error()) batch.add(record, body);
}

void write(Writer& out, const store::RecordBatch& batch) {
  out.put(std::uint64_t{batch.size()});
  for (std::size_t i = 0; i < batch.size(); ++i) write_record(out, batch.record(i), batch.body(i));
}

void read(Reader& in, store::RecordBatch& batch) {
  for (std::size_t count = in.get_count(); count != 0 && !in.error(); --count) {
    read_record(in, batch);
  }
}

void write(Writer& out, const std::vector<store::SharedRecord>& records) {
  out.put(std::uint64_t{records.size()});
  for (const store::SharedRecord& one : records) write_record(out, one.record(), one.body());
}

void read(Reader& in, std::vector<store::SharedRecord>& records) {
  const auto commit = std::make_shared<store::Commit>();
  read(in, commit->batch);
  for (std::size_t i = 0; i < commit->batch.size(); ++i) records.push_back({commit, i});
}

// --- messages with shared commits, or with lists that index one another --------------------------

void write(Writer& out, const store::FanOut& fan_out) {
  static_assert(boost::pfr::tuple_size_v<store::FanOut> == 5, "a field is not written");
  write(out, fan_out.runs);
  write(out, fan_out.entries);
  write(out, fan_out.joins);
  write(out, fan_out.cursors);
  write(out, fan_out.records != nullptr);
  if (fan_out.records == nullptr) return;
  // Ids that entries name, by channel, from the least to the greatest.
  std::unordered_map<ChannelId, std::pair<MessageId, MessageId>> named;
  std::size_t entry = 0;
  for (const store::FanOut::Run& run : fan_out.runs) {
    for (; entry < run.entries_end; ++entry) {
      const core::DurableEntry& one = fan_out.entries[entry];
      const MessageId end = one.first + one.count;
      const auto [found, added] = named.try_emplace(run.channel, one.first, end);
      if (added) continue;
      found->second = {std::min(found->second.first, one.first),
                       std::max(found->second.second, end)};
    }
  }
  const store::RecordBatch& batch = fan_out.records->batch;
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const core::Record& record = batch.record(i);
    const auto found = named.find(record.channel);
    if (found == named.end()) continue;
    if (found->second.first <= record.id && record.id < found->second.second) wanted.push_back(i);
  }
  out.put(std::uint64_t{wanted.size()});
  for (const std::size_t i : wanted) write_record(out, batch.record(i), batch.body(i));
}

void read(Reader& in, store::FanOut& fan_out) {
  read(in, fan_out.runs);
  read(in, fan_out.entries);
  read(in, fan_out.joins);
  read(in, fan_out.cursors);
  std::size_t end = 0;
  for (const store::FanOut::Run& run : fan_out.runs) {
    in.require(end <= run.entries_end);
    end = run.entries_end;
  }
  in.require(end == fan_out.entries.size());
  bool with_records = false;
  read(in, with_records);
  if (!with_records) return;
  const auto commit = std::make_shared<store::Commit>();
  read(in, commit->batch);
  fan_out.records = commit;
}

void write(Writer& out, const Published& published) {
  static_assert(boost::pfr::tuple_size_v<Published> == 4, "a field is not written");
  write(out, published.term);
  write(out, published.number);
  write(out, published.commit != nullptr);
  if (published.commit == nullptr) return;
  // Entries come in the records' order: those that are named are numbered anew.
  std::vector<std::uint32_t> named;
  out.put(std::uint64_t{published.entries.size()});
  for (Published::Entry entry : published.entries) {
    if (named.empty() || named.back() != entry.record) named.push_back(entry.record);
    entry.record = static_cast<std::uint32_t>(named.size() - 1);
    write(out, entry);
  }
  const store::RecordBatch& batch = published.commit->batch;
  out.put(std::uint64_t{named.size()});
  for (const std::uint32_t i : named) write_record(out, batch.record(i), batch.body(i));
}

void read(Reader& in, Published& published) {
  read(in, published.term);
  read(in, published.number);
  bool with_commit = false;
  read(in, with_commit);
  if (!with_commit) return;
  read(in, published.entries);
  const auto commit = std::make_shared<store::Commit>();
  read(in, commit->batch);
  for (const Published::Entry& entry : published.entries) {
    in.require(entry.record < commit->batch.size());
  }
  published.commit = commit;
}

void read(Reader& in, Registered& registered) {
  boost::pfr::for_each_field(registered, [&in](auto& one) { read(in, one); });
  std::size_t end = 0;
  for (const ChannelState& state : registered.channels) {
    in.require(end <= state.intervals_end);
    end = state.intervals_end;
  }
  in.require(end == registered.intervals.size());
}

// --- the variant ---------------------------------------------------------------------------------

/// Reads the message whose number in `Message` is `number`.
template <std::size_t index = 0>
std::optional<Message> read_message(Reader& in, std::uint64_t number) {
  if constexpr (index == std::variant_size_v<Message>) {
    in.fail(DecodeError::unknown_type);
    return std::nullopt;
  } else {
    if (number != index) return read_message<index + 1>(in, number);
    std::variant_alternative_t<index, Message> message;
    read(in, message);
    if (in.error()) return std::nullopt;
    return Message{std::in_place_index<index>, std::move(message)};
  }
}

}  // namespace

void encode(const Message& message, std::vector<std::byte>& parcel) {
  Writer out{parcel};
  out.put(std::uint64_t{message.index()});
  std::visit([&out](const auto& one) { write(out, one); }, message);
}

boost::system::result<std::vector<Message>, DecodeError> decode(protocol::Bytes parcel,
                                                                std::uint32_t partitions) {
  Reader in{parcel, partitions};
  std::vector<Message> messages;
  while (!in.at_end()) {
    auto message = read_message(in, in.get());
    if (message) messages.push_back(std::move(*message));
  }
  if (in.error()) return *in.error();
  return messages;
}

}  // namespace clamor::bus
