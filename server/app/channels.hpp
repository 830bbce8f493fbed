#pragma once

#include "server/app/read_marks.hpp"
#include "server/base/compact_vector.hpp"
#include "server/base/id.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"
#include "server/core/accept.hpp"
#include "server/core/channel.hpp"
#include "server/core/fan_out.hpp"
#include "server/core/member_mode.hpp"
#include "server/core/membership.hpp"
#include "server/core/record.hpp"
#include "server/core/unread.hpp"
#include "server/protocol/message.hpp"
#include "server/store/commit.hpp"
#include "server/store/queue_writer.hpp"

#include <boost/system/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace clamor::server {

/// Place of a channel or user in Channels, dense from 0. Valid until Channels is rebuilt.
using ChannelIndex = std::uint32_t;
using UserIndex = std::uint32_t;

/// One channel as its partition sees it.
struct Channel {
  ChannelId id;
  PartitionId partition;
  core::ChannelHead head;                   ///< `design` is the one that durable records have.
  MessageId announced;                      ///< Highest id given to live fan-out.
  std::uint32_t uncountable = 0;            ///< Of records up to the head, tentative ones too.
  std::uint32_t announced_uncountable = 0;  ///< Of records up to `announced`.
  MessageId covered;     ///< Highest id whose queue entries are applied, or will be by redo.
  MessageId settled;     ///< Highest id whose ack waits for no queue entry.
  MessageId owed;        ///< Highest durable id that queue entries were planned for.
  MessageId last_join;   ///< No join lies above it.
  MessageId queue_from;  ///< The latest design_changed; 0: never changed.
  core::ChannelDesign next_design = core::ChannelDesign::per_user;  ///< After tentative records.
  std::uint32_t members_now = 0;                                    ///< After tentative records.
  UserId admin;                                                     ///< Who created it.
  core::CountedId trimmed;                                          ///< Up to here the log is gone.
  Instant oldest;                        ///< When the first record above it was accepted.
  std::vector<core::MemberRow> members;  ///< One row an interval, by (partition, user, join).
  // Under adaptive, one a row of members; else empty:
  std::vector<MessageId> member_queue_from;  ///< By durable member_mode records; or no_queue.
  std::vector<core::MemberReads> reads;      ///< In the window under way.
  MessageId watched_from;                    ///< Reads behind it were seen.

  /// Up to which record unread ones are counted.
  [[nodiscard]] core::CountedId counted_head() const { return {announced, announced_uncountable}; }
  /// Whether the ack of a durable record may wait for queue entries.
  [[nodiscard]] bool lags(MessageId of) const { return settled < of && of <= owed; }
};

struct ChannelsSettings {
  DesignSpec design;
  std::uint32_t partitions = 4;  ///< A power of two.
  std::uint32_t group_members_max = 10'000;
  bool lists_redacted = false;  ///< Copies of records must be checked (`payload: copy`).
};

/// The message that a send is about, as the log has it.
struct Target {
  core::Record record;
  std::vector<UserId> mentioned;
  std::vector<core::Record> edits;  ///< Of what is edited or deleted.
};

/// A request that was accepted (its record is in the commit), or why not.
using ChangeResult = boost::system::result<MessageId, protocol::RefusalCode>;

/// The partition half of a node: heads, deduplication, membership and designs of every channel, all
/// a fold of the log. Decisions are tentative: they append records to the turn's commit; commit by
/// commit, apply() makes them durable. After a failed append the whole is thrown away and folded
/// anew by restore(). One I/O thread; no I/O of its own.
class Channels {
 public:
  explicit Channels(const ChannelsSettings& settings);

  // --- decisions; `now` becomes the records' accepted_at
  struct SendAnswer {
    core::Accepted accepted;
    std::optional<protocol::RefusalCode> refused;
  };
  /// Decides on a device's send. `target`: the durable record that it is about, where it names one
  /// and the log has it. O(log members).
  [[nodiscard]] SendAnswer send(UserId user, DeviceId device, std::uint32_t device_incarnation,
                                const protocol::Send& send, Instant now, store::Commit& commit,
                                const Target* target = nullptr);
  /// Creates a channel; record 1 is the join of all `members`, its sender the admin. @pre members
  /// are distinct, not empty.
  [[nodiscard]] ChangeResult create(ChannelId channel, UserId admin,
                                    std::span<const UserId> members, Instant now,
                                    store::Commit& commit);
  [[nodiscard]] ChangeResult join(ChannelId channel, UserId user, Instant now,
                                  store::Commit& commit);
  [[nodiscard]] ChangeResult leave(ChannelId channel, UserId user, Instant now,
                                   store::Commit& commit);
  /// A catch-up of the user begins at what a device holds. Under adaptive it is a read where there
  /// is more. O(log members).
  void note_catch_up(ChannelIndex channel, UserId user, MessageId held);

  // --- durability
  /// Advances durable heads over a commit that is in the log and plans its durable fan-out.
  /// Returns what the queue writer is to apply; counts go to `plan`'s totals.
  struct Planned {
    store::FanOut fan_out;
    std::uint64_t entries = 0;
    std::uint64_t user_partition_pairs = 0;
    std::vector<core::RecordRun> runs;  ///< As in fan_out, for covered() once it is applied.
  };
  [[nodiscard]] Planned apply(const store::Commit& commit);
  /// Live fan-out has the channel's records up to this one.
  void set_announced(ChannelIndex channel, const core::Record& record) {
    channels_[channel].announced = record.id;
    channels_[channel].announced_uncountable = record.uncountable;
  }
  /// Acks of these runs wait for no queue entry any more.
  void set_settled(std::span<const core::RecordRun> runs);
  /// Every queue entry of these runs is applied.
  void set_covered(std::span<const core::RecordRun> runs);

  // --- recovery
  /// Folds one record of the log, by (channel, id), into an empty or growing state.
  void restore(const core::Record& record, std::span<const std::byte> body);
  /// Folds a read cursor. Call after the fold of the log.
  void restore(const store::ReadCursor& cursor);
  /// Sets where a partition's journal goes on. Call after the fold.
  void set_journal_end(PartitionId partition, JournalSequence end);
  /// Tentative ones included.
  [[nodiscard]] JournalSequence journal_end(PartitionId partition) const {
    return journal_ends_[partition.value];
  }
  /// Plans durable fan-out of journal rows anew, as apply() did. @pre ascending rows of a
  /// partition.
  [[nodiscard]] Planned redo(std::span<const store::JournalRow> rows);
  /// Every queue entry is applied, or will be by redo: a scan that finds less reads on in the log.
  void set_all_covered();

  // --- retention (channels_checkpoint.cpp)
  /// What the folded records leave of a channel: restore() of it and of the records above is as
  /// good as of all. Read cursors and mentions are not in it: what is trimmed counts as read. O(all
  /// senders): for states of one channel.
  [[nodiscard]] store::Checkpoint checkpoint(ChannelIndex channel) const;
  /// Takes a checkpoint up, before any record of its channel. False: it is damaged.
  [[nodiscard]] bool restore(const store::Checkpoint& checkpoint);
  /// The channel's log is gone up to here; the first record above was accepted at `oldest`.
  void set_trimmed(ChannelId channel, const core::CountedId& up_to, Instant oldest);
  // --- views
  [[nodiscard]] std::optional<ChannelIndex> find(ChannelId channel) const;
  [[nodiscard]] const Channel& channel(ChannelIndex index) const { return channels_[index]; }
  [[nodiscard]] std::size_t size() const { return channels_.size(); }
  /// Appends the user's intervals in the channel to `out`. O(log members).
  void add_intervals(ChannelIndex channel, UserId user, std::vector<core::Interval>& out) const;
  /// How the user's catch-up finds the channel: by which layout, and from which record on its queue
  /// has entries. Under adaptive that is the member's own. O(log members).
  struct Served {
    core::ChannelDesign design = core::ChannelDesign::per_user;
    MessageId queue_from;
  };
  [[nodiscard]] Served served(ChannelIndex channel, UserId user) const;
  /// Whether the user is in the channel, tentative joins and leaves included. O(log members).
  [[nodiscard]] bool is_member(ChannelIndex channel, UserId user) const {
    return is_member(channels_[channel], user);
  }
  /// The other member of a channel of two, tentative joins and leaves included. @pre `user` is in
  /// it. O(intervals).
  [[nodiscard]] std::optional<UserId> partner_in(ChannelIndex channel, UserId user) const;
  /// How far the user has read the channel: as told, or the user's own latest message. O(1).
  [[nodiscard]] core::CountedId read_mark(ChannelIndex channel, UserId user) const {
    return marks_.of(channel, user);
  }
  /// Messages of (read, head] that mention the user.
  [[nodiscard]] std::uint32_t mentions(ChannelIndex channel, UserId user, MessageId read,
                                       MessageId head) const {
    return marks_.mentions(channel, user, read, head);
  }
  /// Records above `after` whose bodies are gone, ascending; none unless they are listed.
  [[nodiscard]] std::span<const MessageId> redacted(ChannelIndex channel, MessageId after) const;
  [[nodiscard]] std::uint32_t partitions() const { return settings_.partitions; }

 private:
  struct SenderKey {
    ChannelIndex channel;
    UserIndex user;
    DeviceId device;
    bool operator==(const SenderKey&) const = default;
  };
  struct SenderHash {
    std::size_t operator()(const SenderKey& key) const noexcept;
  };
  /// Deduplication of one (device, channel). The ring grows to dedup_ring_size as sends come, so
  /// that a device that sent once costs two slots, not 64.
  struct Sender {
    core::DedupRow row;
    CompactVector<MessageId> ring;
    void make_room();
  };
  /// The channel of a record that is in the log. @pre it exists.
  [[nodiscard]] Channel& known(ChannelId id);
  [[nodiscard]] UserIndex user_index(UserId user);
  [[nodiscard]] ChannelIndex add_channel(ChannelId channel);
  [[nodiscard]] Sender& sender(ChannelIndex channel, UserId user, DeviceId device);
  /// [first, last) of the user's rows in the channel.
  [[nodiscard]] std::pair<std::size_t, std::size_t> rows_of(const Channel& channel,
                                                            UserId user) const;
  [[nodiscard]] bool is_member(const Channel& channel, UserId user) const;
  void open_interval(ChannelIndex index, UserId user, MessageId at);
  void close_interval(Channel& channel, UserId user, MessageId at);
  /// Why a new send cannot be accepted, if it cannot.
  [[nodiscard]] std::optional<protocol::RefusalCode> fault_of(const Channel& channel, UserId user,
                                                              const protocol::Send& send,
                                                              const Target* target) const;
  /// Adds an accepted send.
  void add(Channel& channel, core::Record record, const protocol::Send& send, const Target* target,
           store::Commit& commit);
  /// Adds a record to the commit, its countable index and its place in the journal.
  void add(Channel& channel, core::Record record, std::span<const std::byte> body,
           store::Commit& commit);
  /// What a record that is in the log says of who has read what.
  void mark_read(ChannelIndex channel, const core::Record& record, std::span<const std::byte> body);
  void add_mentions(ChannelIndex channel, MessageId id, std::span<const std::byte> body);
  void list_redacted(ChannelIndex channel, MessageId id);
  /// Appends a server-made record as the channel's next.
  MessageId append(Channel& channel, core::RecordKind kind, std::span<const std::byte> body,
                   Instant now, store::Commit& commit);
  /// Appends a design_changed record where the number of members asks for it.
  void follow_design(Channel& channel, Instant now, store::Commit& commit);
  /// Under adaptive: where a window ends, appends a member_mode record for those whose mode
  /// changes.
  void follow_modes(Channel& channel, Instant now, store::Commit& commit);
  /// Applies a durable member_mode record.
  void set_modes(Channel& channel, MessageId at, std::span<const std::byte> body);
  [[nodiscard]] bool is_adaptive() const {
    return settings_.design.design == QueueDesign::adaptive;
  }
  /// Adds the users whom the record lets join, if it is a join.
  static void add_joins(const Channel& channel, MessageId id, std::vector<store::UserChannel>& out);
  void plan_run(Channel& channel, const core::RecordRun& run, Planned& out);

  const ChannelsSettings settings_;
  std::vector<Channel> channels_;
  std::unordered_map<ChannelId, ChannelIndex> channel_index_;
  std::unordered_map<UserId, UserIndex> user_index_;
  std::unordered_map<SenderKey, Sender, SenderHash> senders_;
  ReadMarks marks_;
  /// Messages with an edit or deletion that is not durable: the next one must know of it.
  std::set<std::pair<ChannelId, MessageId>> busy_targets_;
  std::unordered_map<ChannelIndex, std::vector<MessageId>> redacted_;  ///< Where listed; sorted.
  std::vector<JournalSequence> journal_ends_;                          ///< By partition; tentative.
  core::DurablePlan plan_;
  std::vector<std::uint32_t> changed_;
  std::vector<core::Interval> scratch_;
};

// Bodies of server-made records: join and leave list their users, design_changed names the design,
// member_mode lists users, each with a byte: 1 from here on it has a queue, 0 it has none.
void append_user(UserId user, std::vector<std::byte>& body);
/// Calls each(user) for the users that the body of a join, leave or kick names.
template <class Each>
void for_each_user(std::span<const std::byte> body, Each&& each);
[[nodiscard]] UserId user_at(std::span<const std::byte> body, std::size_t index);
void append_mode(UserId user, bool queued, std::vector<std::byte>& body);
/// Calls each(user, queued) for the users that the body of a member_mode names.
template <class Each>
void for_each_mode(std::span<const std::byte> body, Each&& each);

template <class Each>
void for_each_user(std::span<const std::byte> body, Each&& each) {
  for (std::size_t i = 0; i < body.size() / 8; ++i) each(user_at(body, i));
}

template <class Each>
void for_each_mode(std::span<const std::byte> body, Each&& each) {
  for (; body.size() >= 9; body = body.subspan(9)) each(user_at(body, 0), body[8] != std::byte{0});
}

}  // namespace clamor::server
