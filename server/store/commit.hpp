#pragma once

#include "server/base/assert.hpp"
#include "server/base/id.hpp"
#include "server/core/record.hpp"
#include "server/core/unread.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace clamor::store {

/// Records one after the other, their bodies in one buffer: what a turn appends to the log and what
/// a scan reads from it. No allocation per record. Not thread-safe; hand it over, or share it
/// const.
class RecordBatch {
 public:
  void add(const core::Record& record, std::span<const std::byte> body) {
    CLAMOR_ASSERT(bodies_.size() + body.size() <= std::numeric_limits<std::uint32_t>::max());
    records_.push_back(record);
    records_.back().body_bytes = static_cast<std::uint32_t>(body.size());
    offsets_.push_back(static_cast<std::uint32_t>(bodies_.size()));
    bodies_.insert(bodies_.end(), body.begin(), body.end());
  }
  void clear() {
    records_.clear();
    offsets_.clear();
    bodies_.clear();
  }

  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] std::span<const core::Record> records() const { return records_; }
  [[nodiscard]] const core::Record& record(std::size_t i) const { return records_[i]; }
  /// Valid until the next add() or clear().
  [[nodiscard]] std::span<const std::byte> body(std::size_t i) const {
    return std::span{bodies_}.subspan(offsets_[i], records_[i].body_bytes);
  }
  /// Memory that the content takes.
  [[nodiscard]] std::size_t bytes() const {
    return records_.size() * (sizeof(core::Record) + sizeof(std::uint32_t)) + bodies_.size();
  }

 private:
  std::vector<core::Record> records_;
  std::vector<std::uint32_t> offsets_;
  std::vector<std::byte> bodies_;
};

/// Where a record stands in its partition's journal.
struct JournalPlace {
  PartitionId partition;
  JournalSequence sequence;
  bool operator==(const JournalPlace&) const = default;
};

/// How far a user has read a channel, by a device's word. What own sends say is not kept: the log
/// says it again.
struct ReadCursor {
  ChannelId channel;
  UserId user;
  core::CountedId read;
  bool operator==(const ReadCursor&) const = default;
};

/// How a user's password is stored; empty: the account goes.
struct AccountRow {
  UserId user;
  std::string stored;
  bool operator==(const AccountRow&) const = default;
};

/// An edit is added to what a deletion of its target takes with it.
struct Edit {
  ChannelId channel;
  MessageId target;
  MessageId id;
};

/// A record whose body leaves the log.
struct Redaction {
  core::Record stub;
  std::vector<UserId> mentioned;  ///< By the body that goes.
};

/// What a channel's owner needs of a log whose beginning is gone: its state after record `up_to`,
/// to be folded on with the records above.
struct Checkpoint {
  ChannelId channel;
  MessageId up_to;
  std::string state;  ///< The owner's; the store looks at none of it.
};

/// What one turn accepted: becomes durable as a whole or not at all.
struct Commit {
  RecordBatch batch;
  std::vector<JournalPlace> places;  ///< One a record.
  std::vector<ReadCursor> reads;
  std::vector<Edit> edits;
  std::vector<Redaction> redactions;
  std::vector<AccountRow> accounts;

  void add(const core::Record& record, std::span<const std::byte> body, JournalPlace place) {
    batch.add(record, body);
    places.push_back(place);
  }
  [[nodiscard]] bool empty() const { return batch.empty() && reads.empty() && accounts.empty(); }
  /// Memory that the content takes.
  [[nodiscard]] std::size_t bytes() const {
    return batch.bytes() + reads.size() * sizeof(ReadCursor) +
           redactions.size() * sizeof(Redaction) + accounts.size() * sizeof(AccountRow);
  }
};

/// One record of a commit that is shared.
struct SharedRecord {
  std::shared_ptr<const Commit> commit;
  std::size_t index = 0;

  [[nodiscard]] const core::Record& record() const { return commit->batch.record(index); }
  [[nodiscard]] std::span<const std::byte> body() const { return commit->batch.body(index); }
};

}  // namespace clamor::store
