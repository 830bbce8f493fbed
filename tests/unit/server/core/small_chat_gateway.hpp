#pragma once

#include "server/core/session_buffer.hpp"
#include "server/core/sync.hpp"
#include "tests/unit/server/core/small_chat_partition.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace clamor::core::small_chat {

/// What a server says to a device; a page carries items, the rest name one thing.
struct Down {
  enum class Kind : std::uint8_t { ack, expected_next, not_member, record, page };
  struct Item {
    ChannelId channel;
    MessageId id;
    bool starts_interval = false;  ///< An IntervalStart stands before this record.
  };
  Kind kind = Kind::record;
  ChannelId channel;
  ClientMessageId client_message_id;  ///< ack, not_member; the expected one for expected_next.
  MessageId id;                       ///< ack, record.
  bool last = false;                  ///< page.
  std::uint64_t queue_position = 0;   ///< page.
  std::vector<Item> items;            ///< page.
};

/// What a device says to a server after its login.
struct Up {
  enum class Kind : std::uint8_t { send, acknowledge, next_page };
  Kind kind = Kind::send;
  ChannelId channel;
  ClientMessageId client_message_id;
  std::map<ChannelId, MessageId> held;
};

struct Session {
  std::uint64_t serial = 0;  ///< Never reused.
  std::uint32_t incarnation = 0;
  std::map<ChannelId, MessageId> sent;  ///< What the device held at login or was sent since.
  std::set<std::pair<ChannelId, MessageId>> receipts;  ///< Own records acked on this session.
  SessionBuffer buffer;
  std::deque<Down> down;
  Instant last_seen;

  // Catch-up
  bool syncing = false;
  std::map<ChannelId, MessageId> heads;  ///< Where this catch-up ends.
  std::uint64_t queue_position = 0;
  std::uint64_t queue_position_planned = 0;  ///< Where the plan's scan of the queue began.
  SyncPlan plan;
  std::size_t scan = 0;  ///< Index of the scan that is being read.
  std::uint64_t records = 0;
  int pages = 0;
  bool fell_short = false;
  std::vector<std::pair<ChannelId, MessageId>> waiting;  ///< Live records during catch-up.
  bool overflowed = false;
};

/// The half that owns sessions: nodes with interest, links that lag and lose, catch-up in pages,
/// bounded buffers. It sees partitions through registration, links and reads only.
class Gateways {
 public:
  static constexpr std::uint32_t count = 3;
  static constexpr SessionLimits limits{.buffer_bytes = 1500, .buffer_age = Duration{1000}};
  static constexpr Duration offline_after{200};
  static constexpr std::size_t waiting_max = 3;
  static constexpr std::size_t record_bytes = 100;

  Gateways(Partitions& partitions, Cases& cases);

  /// Logs a device in on its user's node and starts its catch-up; returns the session's serial.
  std::uint64_t login(DeviceName device, std::uint32_t incarnation, bool starts_empty,
                      const std::map<ChannelId, MessageId>& positions, std::uint64_t queue_position,
                      Instant now);
  void disconnect(DeviceName device, std::uint64_t serial);
  /// Handles a message of a session, unless the session has ended.
  void handle(DeviceName device, std::uint64_t serial, const Up& up, Instant now);
  /// Takes the next frame out of a session's buffer; nullopt when there is none.
  std::optional<Down> take(DeviceName device, std::uint64_t serial, Instant now);
  [[nodiscard]] bool is_open(DeviceName device, std::uint64_t serial);
  [[nodiscard]] bool is_caught_up(DeviceName device, std::uint64_t serial);

  /// A record became durable: ack to its sender, one link frame to every interested node.
  void committed(const Partitions::Committed& record, Instant now);
  void deliver_link(std::uint32_t node, std::size_t frames, Instant now);
  void lose_link_frame(std::uint32_t node);
  /// Links repeat their last number, so that a loss at the tail is noticed.
  void repeat_heads(std::uint32_t node);
  void withdraw_idle_interest(std::uint32_t node);
  void close_silent(std::uint32_t node, Instant now);
  [[nodiscard]] bool links_are_empty() const;

 private:
  struct Node {
    std::map<DeviceName, Session> sessions;
    std::map<ChannelId, MessageId> relayed;  ///< Channels of interest.
    std::deque<Partitions::Committed> link;
  };
  [[nodiscard]] Node& node_of(UserId user);
  Session* find(DeviceName device, std::uint64_t serial);
  MessageId register_interest(Node& node, ChannelId channel, MessageId relayed);
  void fan_out(Node& node, ChannelId channel, MessageId id, Instant now);
  bool send(Node& node, DeviceName device, Down frame, Instant now);
  void answer_send(Node& node, DeviceName device, const Up& up, Instant now);

  void plan_catch_up(Node& node, DeviceName device, Session& session);
  void send_page(Node& node, DeviceName device, Instant now);
  bool fill_page(DeviceName device, Session& session, Down& page);
  bool read_scan(DeviceName device, Session& session, Down& page);
  bool read_user_queue(DeviceName device, Session& session, Down& page);
  bool take_record(DeviceName device, Session& session, Down& page, ChannelId channel,
                   MessageId id);
  bool read_rest_from_log(DeviceName device, Session& session);
  void end_catch_up(Node& node, DeviceName device, Instant now);

  Partitions& partitions_;
  Cases& cases_;
  std::vector<Node> nodes_;
  std::uint64_t last_serial_ = 0;
};

}  // namespace clamor::core::small_chat
