#pragma once

#include "server/app/channels.hpp"
#include "server/app/tail.hpp"
#include "server/base/id.hpp"
#include "server/base/operations.hpp"
#include "server/core/sync.hpp"
#include "server/gateway/gateway.hpp"
#include "server/protocol/codec.hpp"
#include "server/protocol/message.hpp"
#include "server/store/store.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clamor::server {

/// One device's way from its positions to the durable heads at its login. Exists while the session
/// catches up; memory is bounded by the user's channels, one batch of references and the buffer.
struct CatchUp {
  struct Progress {
    ChannelId channel;
    ChannelIndex index = 0;
    MessageId at;      ///< Held by the device, or written to a page.
    MessageId queued;  ///< Up to here its queue serves it; 0: not at all.
    MessageId up_to;   ///< Durable head when this round was planned.
  };
  /// Records that a queue names and that are still to be fetched from the log.
  struct Reference {
    std::size_t progress = 0;  ///< Index into `channels`.
    MessageId first;
    std::uint32_t count = 0;
  };
  /// A frame that came while pages were on their way; it follows the last page.
  struct Waiting {
    gateway::SharedFrame frame;
    bool is_record = true;  ///< Records may be dropped and scanned again, acks may not.
  };

  /// The user's progress in a channel, or nullptr. O(log channels).
  [[nodiscard]] Progress* find(ChannelId channel);

  UserId user;
  std::vector<Progress> channels;  ///< By channel id.
  std::vector<core::Scan> scans;
  std::size_t scan = 0;          ///< The one under way.
  bool store_read = false;       ///< It has read the store: it is no tail hit.
  bool rows_exhausted = false;   ///< Its queue rows are all read; references may remain.
  MessageId rows_after;          ///< member_queue: rows are read up to here.
  QueueSequence queue_at;        ///< user_queue: rows are read up to here.
  QueueSequence queue_position;  ///< Rows up to here are written to pages.
  std::vector<Reference> references;
  std::size_t reference = 0;  ///< The next one.

  std::vector<Waiting> waiting;
  bool overflowed = false;  ///< Records were dropped from `waiting`: another round is due.
  bool page_due = false;    ///< The device asked for a page, or is owed its first.
};

/// Adds a frame to what waits for the end of the catch-up. Once more than `records_max` wait,
/// waiting records are dropped, to be scanned again; acks stay.
void hold(CatchUp& catch_up, CatchUp::Waiting frame, std::size_t records_max);

/// Plans catch-ups by core's plan_sync and executes them page by page: from the tail where it has
/// everything a scan needs, else from the store. One I/O thread; reads block it for one page.
class CatchUpReader {
 public:
  CatchUpReader(const store::Store& store, const Tail& tail, const core::PageLimits& limits,
                Operations& operations)
      : store_{store}, tail_{tail}, limits_{limits}, operations_{operations} {}

  /// Plans the way of a device that logs in with these positions.
  void begin(const Channels& channels, UserId user,
             std::span<const protocol::HeldPosition> positions, QueueSequence queue_position,
             CatchUp& out);
  /// Plans the next round, from what is written to pages to the heads now. Also for channels that
  /// were rebuilt from the log meanwhile.
  void begin_again(const Channels& channels, CatchUp& catch_up);

  /// Writes as many records as the page takes. True: the round's end is reached. A failure: the
  /// store cannot be read, or has a hole.
  [[nodiscard]] store::Result<bool> fill(const Channels& channels, CatchUp& catch_up,
                                         protocol::PageWriter& page);

 private:
  enum class Step : std::uint8_t { page_full, again, scan_done };
  struct Context;

  void plan(const Channels& channels, CatchUp& catch_up);
  void next_scan(CatchUp& catch_up);
  [[nodiscard]] bool add_missing(const Context& context);
  [[nodiscard]] store::Result<Step> step(const Context& context);
  [[nodiscard]] store::Result<Step> step_log(const Context& context, CatchUp::Progress& progress);
  [[nodiscard]] store::Result<Step> step_rows(const Context& context);
  [[nodiscard]] store::Result<void> collect_user_queue(const Context& context);
  [[nodiscard]] store::Result<void> collect_member_queue(const Context& context);
  [[nodiscard]] store::Result<Step> emit_references(const Context& context);
  [[nodiscard]] bool tail_serves_user_queue(const Context& context);
  [[nodiscard]] Step emit_tail(const Context& context, CatchUp::Progress& progress,
                               MessageId up_to);
  /// False: the page is full. A record that is not the channel's next one is passed over.
  [[nodiscard]] bool emit(const Context& context, CatchUp::Progress& progress,
                          const core::Record& record, std::span<const std::byte> body);
  [[nodiscard]] std::optional<MessageId> next_of(const Context& context,
                                                 const CatchUp::Progress& progress);

  const store::Store& store_;
  const Tail& tail_;
  const core::PageLimits limits_;
  Operations& operations_;

  // Scratch, kept for its memory.
  core::SyncPlan plan_;
  std::vector<core::ChannelSync> syncs_;
  std::vector<core::Interval> intervals_;
  std::vector<std::size_t> interval_ends_;
  std::vector<core::Interval> own_;
  ChannelIndex own_of_ = 0;
  bool own_valid_ = false;
  store::RecordBatch batch_;
  std::vector<store::UserQueueRow> rows_;
  std::vector<store::QueueRun> runs_;
  std::vector<MessageId> ids_;
  std::vector<Tail::Reference> tail_records_;
};

}  // namespace clamor::server
