#pragma once

#include "server/app/node_context.hpp"
#include "server/base/id.hpp"
#include "server/bus/messages.hpp"
#include "server/core/sync.hpp"
#include "server/gateway/gateway.hpp"
#include "server/protocol/codec.hpp"
#include "server/protocol/message.hpp"
#include "server/store/store.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace clamor::server {

/// One device's way from its positions to the durable heads: at its login, or once its client reads
/// on that fell behind. Exists while the session catches up; memory is bounded by the user's
/// channels, one batch of references or copies, one page and the buffer.
struct CatchUp {
  struct Progress {
    ChannelId channel;
    MessageId at;           ///< Held by the device, or written to a page.
    MessageId queued;       ///< Up to here its queue serves it; 0: not at all.
    MessageId up_to;        ///< Here the round ends: what comes later comes live.
    bool attached = false;  ///< Live records come to the session.
    // As the channel's owner said:
    core::ChannelDesign design = core::ChannelDesign::per_user;
    MessageId covered;
    MessageId queue_from;
    MessageId kept_from{1};
    std::uint32_t intervals_begin = 0;
    std::uint32_t intervals_end = 0;
    protocol::UnreadState unread;
  };
  /// Records that a queue names and that are still to be fetched from the log.
  struct Reference {
    std::size_t progress = 0;  ///< Index into `channels`.
    MessageId first;
    std::uint32_t count = 0;
  };
  /// A frame that came while pages were on their way; it follows the last page. Records may be
  /// dropped and scanned again, answers may not.
  struct Waiting {
    gateway::SharedFrame frame;
    ChannelId channel;  ///< Of a record.
    MessageId id;       ///< Of a record; 0: an answer.
    [[nodiscard]] bool is_record() const { return id != MessageId{}; }
  };
  /// The page being filled; survives a read that another node has to answer.
  struct OpenPage {
    std::vector<std::byte> bytes;
    protocol::PageWriter writer{bytes};
  };

  /// The user's progress in a channel, or nullptr. O(log channels).
  [[nodiscard]] Progress* find(ChannelId channel);
  /// What the device said that it holds of the channel.
  [[nodiscard]] MessageId holds(ChannelId channel) const;
  /// As find(), added where it was missing.
  [[nodiscard]] Progress& add(ChannelId channel);
  /// The user's intervals in the channel.
  [[nodiscard]] core::Intervals intervals_of(const Progress& progress) const {
    return std::span{intervals}.subspan(progress.intervals_begin,
                                        progress.intervals_end - progress.intervals_begin);
  }

  UserId user;
  /// Of a live session that fell behind. What it held is known exactly, and only of the channels
  /// that it got records of: rounds ask for no others.
  bool of_live = false;
  std::vector<protocol::HeldPosition> held;  ///< By channel, as the device sent them, or was sent.
  std::vector<Progress> channels;            ///< By channel id.
  std::vector<core::Interval> intervals;
  /// Records whose copies in queues are out of date (`payload: copy`); by channel, id.
  std::vector<core::HeldUpTo> redacted;
  std::uint32_t round = 0;      ///< Rounds so far, this one included.
  std::size_t answers_due = 0;  ///< The round's registrations under way; the plan needs them all.
  bool round_due = false;       ///< The user's owner was asked for the channels of a round.
  bool accepted = false;        ///< The device was told that the login holds.
  bool planned = false;
  bool resumed = false;  ///< The login was by resume token: the device keeps it.

  std::size_t told = 0;  ///< So many channels' gone records the device was told of.
  std::vector<core::Scan> scans;
  std::size_t scan = 0;          ///< The one under way.
  bool store_read = false;       ///< It has read the store: it is no tail hit.
  bool rows_exhausted = false;   ///< Its queue rows are all read; references may remain.
  MessageId rows_after;          ///< member_queue: rows are read up to here.
  QueueSequence queue_at;        ///< user_queue: rows are read up to here.
  QueueSequence queue_position;  ///< Rows up to here are written to pages.
  std::vector<Reference> references;
  std::size_t reference = 0;  ///< The next one.
  /// Rows that carry their records (`payload: copy`); written to pages in this order.
  std::vector<store::RecordBatch> copies;
  std::size_t copy_row = 0;         ///< The next one: a row of `copies`,
  std::size_t copy = 0;             ///< and a record in it.
  std::vector<bus::LogRead> tails;  ///< user_queue: what tails hold of its channels.
  std::size_t probed = 0;           ///< So many channels' tails were asked.

  std::unique_ptr<OpenPage> page;
  bool asking = false;  ///< A read is under way, or was answered.
  std::variant<std::monostate, bus::LogRead, bus::UserQueueRead, bus::MemberQueueRead> answer;

  std::vector<Waiting> waiting;
  /// Records are not held but dropped until the next round is planned: it reads them.
  bool overflowed = true;
  bool page_due = false;  ///< The device asked for a page, or is owed its first.
};

/// What is not read, of the channels where there is any, as registrations found it.
[[nodiscard]] protocol::Unread unread_of(const CatchUp& catch_up);

/// Adds a frame to what waits for the end of the catch-up. Once more than `records_max` wait,
/// waiting records are dropped, to be scanned again; acks stay.
void hold(CatchUp& catch_up, CatchUp::Waiting frame, std::size_t records_max);
/// Drops waiting records: another round reads them.
void overflow(CatchUp& catch_up);

/// Plans catch-ups by core's plan_sync and executes them page by page, by reads that it asks of the
/// owners of channels and users: from a tail where it has everything a scan needs, else from the
/// store. The own node answers at once, its reads block the I/O thread for one page. One I/O
/// thread.
class CatchUpReader {
 public:
  CatchUpReader(NodeContext& node, const core::PageLimits& limits) : node_{node}, limits_{limits} {}

  /// Takes what a channels' owner said of redacted records.
  static void learn_redacted(CatchUp& catch_up, std::span<const core::HeldUpTo> redacted);
  /// Takes what a channel's owner said of it, to be planned with.
  void learn(CatchUp& catch_up, const bus::ChannelState& state, core::Intervals intervals);
  /// Plans a round, from what is held or written to pages to every channel's `up_to`.
  void plan(CatchUp& catch_up);

  enum class Filled : std::uint8_t {
    page_full,
    complete,  ///< The round's end is reached.
    waits,     ///< For another node's answer: call again once it is in `catch_up.answer`.
  };
  /// Writes as many records to the open page as it takes. `session` names the catch-up to owners. A
  /// failure: a store cannot be read, or has a hole.
  [[nodiscard]] store::Result<Filled> fill(CatchUp& catch_up, bus::Ticket session);

 private:
  enum class Step : std::uint8_t { page_full, again, scan_done, waits };
  struct Context;

  void next_scan(CatchUp& catch_up);
  [[nodiscard]] bool add_missing(const Context& context);
  [[nodiscard]] store::Result<Step> step(const Context& context);
  [[nodiscard]] store::Result<Step> step_channel(const Context& context,
                                                 CatchUp::Progress& progress);
  [[nodiscard]] store::Result<Step> step_rows(const Context& context);
  [[nodiscard]] store::Result<Step> collect_user_queue(const Context& context);
  [[nodiscard]] store::Result<Step> collect_member_queue(const Context& context);
  [[nodiscard]] store::Result<Step> emit_references(const Context& context);
  [[nodiscard]] Step emit_copies(const Context& context);
  /// scan_done: the tails served the whole scan. again: they do not.
  [[nodiscard]] store::Result<Step> step_tails(const Context& context);
  /// Tells the device which records it lacks and can have no more. False: the page is full.
  [[nodiscard]] bool emit_gone(const Context& context);
  /// The same for one channel, of which records up to `up_to` are gone.
  [[nodiscard]] bool emit_gone(const Context& context, CatchUp::Progress& progress,
                               MessageId up_to);
  [[nodiscard]] bool emit_all(const Context& context, CatchUp::Progress& progress,
                              const bus::LogRead& read);
  /// False: the page is full. A record that is not the channel's next one is passed over.
  [[nodiscard]] bool emit(const Context& context, CatchUp::Progress& progress,
                          const core::Record& record, std::span<const std::byte> body);
  [[nodiscard]] static std::optional<MessageId> next_of(const Context& context,
                                                        const CatchUp::Progress& progress);
  /// The answer to a read, or nothing: it is on its way.
  template <class Answer, class Read>
  [[nodiscard]] std::optional<Answer> ask(const Context& context, NodeId owner, Read&& read);

  NodeContext& node_;
  const core::PageLimits limits_;

  // Scratch, kept for its memory.
  core::SyncPlan plan_;
  std::vector<core::ChannelSync> syncs_;
};

}  // namespace clamor::server
