#pragma once

#include "loadgen/user/ledger.hpp"
#include "server/base/id.hpp"
#include "server/base/ledger_totals.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace clamor::loadgen {

/// Judges the rows of all workers by the notes of all workers, after the roll call: what was lost,
/// replaced under its id, or accepted twice. Use: add_notes, seal, check every row, totals.
///
/// Memory: the notes, plus 8 bytes a record. O(notes log notes) to seal; a row costs O(1), and
/// O(log notes) for each id it misses.
class Verifier {
 public:
  /// @param held  by channel, what every row held from the start (Ledger's); 1 beyond its end.
  /// @param findings_max  so many offenders are named; all are counted.
  explicit Verifier(std::vector<MessageId> held = {}, std::size_t findings_max = 20);

  void add_notes(std::span<const Note> notes);
  /// Sorts the notes, finds contradictions among them, and sums them per channel.
  void seal();
  /// Highest acknowledged or observed id of a channel; the starting one where there is none.
  /// @pre sealed.
  [[nodiscard]] MessageId head(std::uint32_t channel) const;
  /// Judges one row. @pre sealed; each (client, channel) at most once.
  void check(std::uint32_t client, std::uint32_t channel, const Row& row,
             const RowTrouble* trouble);
  /// Judges every row of a ledger and adds its totals.
  void check(const Ledger& ledger);

  /// expected (right once every row was checked), lost, replaced, double_accepted, and what
  /// ledgers and drivers counted.
  [[nodiscard]] LedgerTotals& totals() { return totals_; }
  /// One line an offender: device, channel, message_id, what is wrong with it.
  [[nodiscard]] const std::vector<std::string>& findings() const { return findings_; }

 private:
  struct ChannelNotes {
    std::size_t begin = 0;  ///< In notes_ and prefix_.
    std::size_t end = 0;
    bool contradicted = false;  ///< Two contents under one id: rows cannot be judged by sums.
  };
  [[nodiscard]] MessageId held_at_start(std::uint32_t channel) const;
  void find(std::string finding);
  void find_double_accepted();
  [[nodiscard]] const Note* note_of(const ChannelNotes& notes, MessageId id) const;
  [[nodiscard]] std::uint64_t sum_up_to(const ChannelNotes& notes, MessageId id) const;
  void miss(std::uint32_t client, std::uint32_t channel, const ChannelNotes& notes, MessageId first,
            MessageId last, std::uint64_t& missing_sum);

  std::vector<MessageId> held_at_start_;
  std::size_t findings_max_;
  bool sealed_ = false;
  std::vector<Note> notes_;            ///< By channel, id; one an id once sealed.
  std::vector<std::uint64_t> prefix_;  ///< Wrapping sums of the hashes, along notes_.
  std::vector<ChannelNotes> channels_;
  LedgerTotals totals_;
  std::vector<std::string> findings_;
};

}  // namespace clamor::loadgen
