#pragma once

#include "server/core/accept.hpp"
#include "server/core/fan_out.hpp"
#include "server/core/member_mode.hpp"
#include "server/core/membership.hpp"
#include "server/core/record.hpp"
#include "tests/unit/server/core/small_chat_cases.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace clamor::core::small_chat {

struct DeviceName {
  UserId user;
  DeviceId device;
  auto operator<=>(const DeviceName&) const = default;
};

/// A record with what its body says: who joined or left, which design holds from it on, who has a
/// queue from it on or has none any more.
struct LogRecord {
  Record record;
  UserId member;
  ChannelDesign design = ChannelDesign::per_user;
  std::map<UserId, bool> modes;
};

struct Channel {
  struct Dedup {
    DedupRow row;
    std::array<MessageId, dedup_ring_size> ring{};
  };
  ChannelHead head;
  MessageId design_from;
  std::vector<LogRecord> log;  ///< Record id stands at [id - 1]; tentative ones included.
  std::map<UserId, std::vector<Interval>> members;
  std::map<DeviceName, Dedup> dedup;
  // adaptive
  std::map<UserId, MemberReads> reads;     ///< Of members.
  std::map<UserId, MessageId> queue_from;  ///< By durable records; who is missing has no queue.
  MessageId watched_from;                  ///< Reads above it were counted.

  [[nodiscard]] Intervals intervals(UserId user) const;
};

/// The half that owns channels and users: logs, journals, members, queues; no session. What the
/// live server does with RocksDB and hash maps, done with maps, by the same core functions.
class Partitions {
 public:
  static constexpr std::uint32_t count = 4;

  Partitions(const DesignSpec& spec, Cases& cases) : spec_{spec}, cases_{cases} {}

  void create(ChannelId channel, const std::vector<UserId>& members);
  Accepted send(ChannelId channel, DeviceName sender, std::uint32_t incarnation,
                ClientMessageId client_message_id);
  void join(ChannelId channel, UserId user);
  void leave(ChannelId channel, UserId user);

  struct Committed {
    ChannelId channel;
    MessageId id;
  };
  /// Makes up to `entries` further journal entries of a partition durable and returns them.
  std::vector<Committed> commit(std::uint32_t partition, std::size_t entries);
  /// An append failed: whatever is not durable is gone, and the state is rebuilt from the log.
  void fail_append(std::uint32_t partition);

  /// Durable fan-out: lets a user partition redo up to `entries` further durable records of a
  /// channel partition's journal into its users' queues.
  void apply(std::uint32_t user_partition, std::uint32_t partition, std::size_t entries);
  /// Drops queue entries that all known devices of a user have acknowledged.
  void trim(UserId user);
  void acknowledge(DeviceName device, ChannelId channel, MessageId held);
  [[nodiscard]] MessageId acknowledged(DeviceName device, ChannelId channel) const;
  void device_logged_in(DeviceName device, bool starts_empty);

  [[nodiscard]] const std::map<ChannelId, Channel>& channels() const { return channels_; }
  [[nodiscard]] bool is_member(ChannelId channel, UserId user) const;
  [[nodiscard]] MessageId covered(ChannelId channel, UserId user) const;
  [[nodiscard]] MessageId queue_from(ChannelId channel, UserId user) const;
  /// The channel's, and under adaptive the member's.
  [[nodiscard]] ChannelDesign design(ChannelId channel, UserId user) const;
  /// A catch-up of the user found news.
  void read(ChannelId channel, UserId user);
  /// Entry of the user's queue above `after`, if there is one: its sequence and what it refers to.
  struct QueueEntry {
    std::uint64_t sequence = 0;
    ChannelId channel;
    MessageId id;
  };
  [[nodiscard]] const QueueEntry* next_entry(UserId user, std::uint64_t after) const;
  /// Sequence under which a record ever stood in the user's queue; 0: never.
  [[nodiscard]] std::uint64_t sequence_of(UserId user, ChannelId channel, MessageId id) const;
  [[nodiscard]] const std::deque<MessageId>& member_queue(ChannelId channel, UserId user);

 private:
  struct Journal {
    std::vector<Committed> entries;
    std::size_t durable = 0;
  };
  void append(ChannelId channel, RecordKind kind, UserId member);
  void log_record(Channel& channel, const LogRecord& record);
  void change_design_if_due(ChannelId channel);
  void change_modes_if_due(Channel& channel);
  void take_modes(Channel& channel, const LogRecord& record);
  void fold(Channel& channel, const LogRecord& record);
  void enqueue(ChannelId channel, const DurableEntry& entry);
  [[nodiscard]] bool all_devices_hold(UserId user, ChannelId channel, MessageId id) const;

  DesignSpec spec_;
  Cases& cases_;
  std::map<ChannelId, Channel> channels_;
  std::array<Journal, count> journals_;
  std::array<std::array<std::size_t, count>, count> cursors_{};  // [user partition][partition]
  std::map<std::pair<std::uint32_t, ChannelId>, MessageId> covered_;
  std::map<UserId, std::deque<QueueEntry>> user_queues_;
  std::map<UserId, std::uint64_t> last_sequence_;
  std::map<std::tuple<UserId, ChannelId, MessageId>, std::uint64_t> sequences_;
  std::map<std::pair<ChannelId, UserId>, std::deque<MessageId>> member_queues_;
  std::map<std::pair<ChannelId, UserId>, MessageId> trimmed_to_;
  std::map<DeviceName, std::map<ChannelId, MessageId>> acknowledged_;
};

}  // namespace clamor::core::small_chat
