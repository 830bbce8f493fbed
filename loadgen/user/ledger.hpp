#pragma once

#include "loadgen/user/id_set.hpp"
#include "server/base/id.hpp"
#include "server/base/ledger_totals.hpp"
#include "server/core/record.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <unordered_map>
#include <vector>

namespace clamor::loadgen {

/// Stands for "no client" as the sender of a server-made record.
inline constexpr std::uint32_t no_client = std::numeric_limits<std::uint32_t>::max();

/// A record as a device sees it: all that decides whether two receipts are the same record.
struct Observed {
  std::uint32_t channel = 0;  ///< Plan index.
  MessageId id;
  core::RecordKind kind = core::RecordKind::message;
  std::uint32_t sender = no_client;   ///< Client (plan index) that sent it.
  ClientMessageId client_message_id;  ///< {0} where there is no sender.
};

/// Fingerprint of a record; equal records have equal ones.
[[nodiscard]] std::uint64_t record_hash(const Observed& record);

/// Says that a record exists. Written by the sender at its ack, and by the first observer of each
/// record in each worker; notes of all workers together are the truth that rows are judged by.
struct Note {
  std::uint32_t channel = 0;
  std::uint32_t id = 0;
  std::uint64_t hash = 0;
  std::uint32_t sender = no_client;
  std::uint32_t client_message_id = 0;
  bool operator==(const Note&) const = default;
};
static_assert(sizeof(Note) == 24, "one a record and worker");

/// The counter of a send whose ack never came: what was transmitted may exist, the rest does not.
[[nodiscard]] inline std::uint64_t& unacknowledged(LedgerTotals& totals, bool transmitted) {
  return transmitted ? totals.indeterminate : totals.not_sent;
}

/// What a device knows of one channel: every id below `next` was received once, but the holes.
struct Row {
  MessageId next{1};
  std::uint64_t sum = 0;  ///< Wrapping sum of record_hash over first receipts.
};
static_assert(sizeof(Row) == 16, "one a (client, channel)");

/// What a row does not say; exists only while a channel has a hole or ids that are not owed.
struct RowTrouble {
  IdSet holes;                   ///< Ids below next that did not come.
  IdSet excused;                 ///< Ids that are not owed: outside intervals, or expired.
  MessageId sent_at_login;       ///< Position that the present session's login declared.
  MessageId known_at_login;      ///< Ids above it that were received came in this session.
  MessageId highest_in_session;  ///< 0: nothing yet.
  IdSet again_in_session;        ///< Ids up to known_at_login that came in this session.
  std::uint64_t unjudged = 0;    ///< Of `holes`: skipped in this session, not yet called a gap.

  /// Takes an id out of the holes; false: it was none.
  bool fill(MessageId id);
};

enum class Receipt : std::uint8_t {
  first,        ///< In order, or a hole of an earlier session filled.
  reordered,    ///< First receipt after a higher id of the same session.
  duplicated,   ///< Again in this session, or at or below the position its login declared.
  redelivered,  ///< Again in a later session, above the position its login declared: allowed.
  echoed,       ///< First receipt of the device's own record, whose ack never came.
  misdelivered  ///< The device is no member.
};

struct Receiving {
  Receipt receipt = Receipt::first;
  std::uint64_t unjudged = 0;  ///< Ids skipped in this session that are open; see judged().
};

/// The ledger of a block of clients: what each device received, by 16 bytes a (device, channel).
/// Counts at once what a receipt can tell; what only all workers together can tell (lost, replaced,
/// double_accepted) is the Verifier's. One owner thread.
class Ledger {
 public:
  /// Clients [first_client, first_client + offsets.size() - 1); client i has the channels
  /// channels[offsets[i] .. offsets[i + 1]), ascending. Every row starts as holding ids up to
  /// `held` (1: the record that created the channel).
  Ledger(std::uint32_t first_client, std::vector<std::uint32_t> offsets,
         std::vector<std::uint32_t> channels, MessageId held = {1});

  /// Begins anew: every row holds its channel up to `heads`, nothing is counted or noted.
  void start_from(std::span<const MessageId> heads);

  [[nodiscard]] std::uint32_t first_client() const { return first_client_; }
  [[nodiscard]] std::uint32_t clients() const {
    return static_cast<std::uint32_t>(offsets_.size() - 1);
  }
  [[nodiscard]] std::span<const std::uint32_t> channels_of(std::uint32_t client) const;
  [[nodiscard]] std::span<const Row> rows_of(std::uint32_t client) const;
  /// The exceptions of the client's row `index`, or nullptr: most rows have none.
  [[nodiscard]] const RowTrouble* trouble_of(std::uint32_t client, std::size_t index) const;

  /// Highest id up to which the row holds all: what a login declares.
  [[nodiscard]] MessageId held(std::uint32_t client, std::size_t index) const;
  /// A new session of the client declares held() of each row now. O(channels of the client).
  void begin_session(std::uint32_t client);

  /// Takes one record, live or from a page. O(log channels of the client).
  Receiving receive(std::uint32_t client, const Observed& record);
  /// Takes the first ack of one of the client's sends: the receipt of its record. An ack may fill
  /// a hole and is never reordered. Returns what Receiving::unjudged says.
  std::uint64_t acknowledge(std::uint32_t client, std::uint32_t channel, ClientMessageId own,
                            MessageId id, core::RecordKind kind = core::RecordKind::message);
  /// What the channel's open holes are is decided: they are not unjudged any more.
  void judged(std::uint32_t client, std::uint32_t channel);
  /// Ids before `join` are not the device's (a page's IntervalStart).
  void interval_start(std::uint32_t client, std::uint32_t channel, MessageId join);
  /// Ids from..to can no longer be had; those not yet received count as expired.
  void truncated(std::uint32_t client, std::uint32_t channel, MessageId from, MessageId to);

  /// Counted so far: delivered, duplicated, redelivered, reordered, echoed, misdelivered, expired.
  /// The driver adds what it alone knows (sent, resends, acknowledged, gaps, ...).
  [[nodiscard]] LedgerTotals& totals() { return totals_; }
  [[nodiscard]] const LedgerTotals& totals() const { return totals_; }
  /// The notes so far; a driver that runs long moves them to a file and clears them.
  [[nodiscard]] std::vector<Note>& notes() { return notes_; }
  [[nodiscard]] const std::vector<Note>& notes() const { return notes_; }
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  [[nodiscard]] std::size_t find_row(std::uint32_t client, std::uint32_t channel) const;
  Receiving take(std::size_t row_index, MessageId id, std::uint64_t hash, bool own, bool by_ack);
  RowTrouble& trouble_at(std::size_t row_index);
  void note_observed(const Observed& record, std::uint64_t hash);

  static constexpr std::size_t no_row = std::numeric_limits<std::size_t>::max();
  std::uint32_t first_client_;
  std::vector<std::uint32_t> offsets_;
  std::vector<std::uint32_t> channels_;
  std::vector<Row> rows_;
  std::unordered_map<std::size_t, RowTrouble> trouble_;  ///< By row index.
  std::vector<std::uint32_t> observed_up_to_;            ///< By channel: noted by an observer.
  std::unordered_map<std::uint32_t, IdSet> observed_holes_;
  LedgerTotals totals_;
  std::vector<Note> notes_;
};

}  // namespace clamor::loadgen
