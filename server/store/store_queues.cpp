// The queues: applied in memory, flushed as rows, scanned from both. store_trim.cpp has what takes
// entries out, store.cpp log and journal.

#include "server/base/assert.hpp"
#include "server/store/store_impl.hpp"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace clamor::store {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

/// Entries that are added under one hold of the lock: scans wait for that long.
constexpr std::size_t entries_per_lock = 4096;

/// Joins the ids of copied records to runs.
void append_runs(const RecordBatch& copies, std::vector<QueueRun>& out) {
  for (const core::Record& record : copies.records()) {
    if (!out.empty() && out.back().channel == record.channel &&
        out.back().first + out.back().count == record.id) {
      ++out.back().count;
    } else {
      out.push_back({record.channel, record.id, 1});
    }
  }
}

bool take_copies(std::string_view rest, RecordBatch& out) {
  while (!rest.empty()) {
    if (!take_copy(rest, out)) return false;
  }
  return true;
}

std::optional<UserQueueRow> user_row(std::string_view key, std::string_view value,
                                     QueuePayload payload) {
  UserQueueRow row{{big_endian_at(key, queue_prefix_bytes)}, {}, {}};
  if (payload == QueuePayload::copy) {
    if (!take_copies(value, row.copies)) return std::nullopt;
    append_runs(row.copies, row.runs);
    return row;
  }
  while (!value.empty()) {
    const auto run = take_run(value);
    if (!run) return std::nullopt;
    row.runs.push_back(*run);
  }
  return row;
}

std::optional<MemberQueueRow> member_row(ChannelId channel, std::string_view key,
                                         std::string_view value, QueuePayload payload) {
  MemberQueueRow row;
  const std::uint64_t last = big_endian_at(key, 17);
  if (payload == QueuePayload::copy) {
    if (value.empty() || !take_copies(value, row.copies)) return std::nullopt;
    row.run = {channel, row.copies.record(0).id, static_cast<std::uint32_t>(row.copies.size())};
    return row.run.first + (row.run.count - 1) == MessageId{last} ? std::optional{std::move(row)}
                                                                  : std::nullopt;
  }
  const auto count = take_varint(value);
  if (!count || *count == 0 || *count > last) return std::nullopt;
  row.run = {channel, {last - *count + 1}, static_cast<std::uint32_t>(*count)};
  return row;
}

void add_copy(const HeldRecords& records, ChannelId channel, MessageId id, RecordBatch& out) {
  const auto held = records.find(channel, id);
  CLAMOR_ASSERT(held);
  out.add(held->commit->batch.record(held->index), held->commit->batch.body(held->index));
}

/// Adds what the buffer has of the user's queue as one row. Under `reference` all of it, because
/// entries join earlier ones; under `copy` as much as fits, because places keep their meaning.
void append_buffered(const BufferedRuns& user, const HeldRecords& records, QueueSequence after,
                     std::size_t bytes_max, QueuePayload payload, std::vector<UserQueueRow>& out) {
  if (user.end <= after) return;
  UserQueueRow row{user.end, {}, {}};
  std::uint64_t count = 0;
  for (const BufferedRuns::Run& run : user.runs) {
    if (run.per_member) continue;
    count += run.count;
    if (payload == QueuePayload::reference) row.runs.push_back(run.run());
  }
  if (payload == QueuePayload::copy) {
    row.last = {user.end.value - count};
    for (const BufferedRuns::Run& run : user.runs) {
      if (run.per_member) continue;
      for (std::uint32_t i = 0; i < run.count && row.copies.bytes() < bytes_max; ++i) {
        if (++row.last <= after) continue;
        add_copy(records, run.channel, run.first + i, row.copies);
      }
    }
    append_runs(row.copies, row.runs);
  }
  if (!row.runs.empty()) out.push_back(std::move(row));
}

void append_buffered(const BufferedRuns& user, const HeldRecords& records, ChannelId channel,
                     MessageId after, std::size_t bytes_max, QueuePayload payload,
                     std::vector<MemberQueueRow>& out) {
  for (const BufferedRuns::Run& run : user.runs) {
    const MessageId last = run.last();
    if (!run.per_member || run.channel != channel || last <= after) continue;
    MemberQueueRow row{run.run(), {}};
    if (payload == QueuePayload::copy) {
      row.run.first = std::max(run.first, after + 1);
      row.run.count = 0;
      for (MessageId id = row.run.first; id <= last && row.copies.bytes() < bytes_max; ++id) {
        add_copy(records, channel, id, row.copies);
        ++row.run.count;
      }
      const bool cut = row.run.first + (row.run.count - 1) != last;
      out.push_back(std::move(row));
      if (cut) return;
      continue;
    }
    out.push_back(std::move(row));
  }
}

}  // namespace

Result<void> Store::Impl::load_queues() {
  FlushedRows found;
  const auto users = visit_queue_rows(user_queue_tag, [&](auto key, auto value) {
    if (key.size() != user_queue_key_bytes) return false;
    const auto row = user_row(key, value, payload());
    if (row) found.add_user_row({big_endian_at(key, 1)}, row->last, row->runs);
    return row.has_value();
  });
  if (!users) return users;
  const auto members = visit_queue_rows(member_queue_tag, [&](auto key, auto value) {
    if (key.size() != member_queue_key_bytes) return false;
    const auto row = member_row({big_endian_at(key, 1)}, key, value, payload());
    if (row) found.add_member_row({big_endian_at(key, 9)}, row->run);
    return row.has_value();
  });
  if (!members) return members;
  const std::lock_guard lock{queues_mutex};
  flushed = std::move(found);
  return {};
}

Result<void> Store::Impl::load_devices() {
  return visit_queue_rows(device_tag, [&](auto key, auto value) {
    const auto seen_s = take_varint(value);
    if (key.size() != device_key_bytes || !seen_s) return false;
    devices.remember({big_endian_at(key, 1)}, device_of_key(key),
                     static_cast<std::int64_t>(*seen_s));
    return true;
  });
}

Result<AppliedEntries> Store::apply(std::span<const FanOut> fan_outs) {
  if (!impl_->is_open()) return closed();
  // What may fail comes first: then either all is applied or nothing.
  if (const auto listed = impl_->add_to_lists(fan_outs); !listed) return listed.error();
  AppliedEntries applied;
  std::unique_lock lock{impl_->queues_mutex};
  std::size_t since_locked = 0;
  for (const FanOut& fan_out : fan_outs) {
    if (impl_->payload() == QueuePayload::copy && !fan_out.entries.empty()) {
      CLAMOR_ASSERT(fan_out.records != nullptr);
      impl_->buffer.hold(fan_out.records);
    }
    std::size_t at = 0;
    for (const FanOut::Run& run : fan_out.runs) {
      const bool per_member = run.design == core::ChannelDesign::per_member;
      for (; at < run.entries_end; ++at) {
        const core::DurableEntry& entry = fan_out.entries[at];
        if (!impl_->buffer.knows(entry.user)) {
          impl_->buffer.set_end(entry.user, impl_->end_of(entry.user));
        }
        applied.entries += entry.count;
        applied.bytes +=
            impl_->buffer.add(entry.user, {run.channel, entry.first, entry.count}, per_member);
        if (++since_locked < entries_per_lock) continue;
        since_locked = 0;
        lock.unlock();
        lock.lock();
      }
    }
    for (const JournalPlace& place : fan_out.cursors) {
      impl_->applied[place.partition] = place.sequence;
    }
  }
  return applied;
}

// Rows of lists go to the memtable at once: it reaches the disk with or before the cursors that
// cover them, and a redo that adds them again does no harm.
Result<void> Store::Impl::add_to_lists(std::span<const FanOut> fan_outs) {
  rocksdb::WriteBatch batch;
  for (const FanOut& fan_out : fan_outs) {
    for (const UserChannel& join : fan_out.joins) {
      batch.Put(directory.queues(), slice(user_channel_key(join.user, join.channel).view()), {});
    }
  }
  if (batch.Count() == 0) return {};
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const Status status = db().Write(options, &batch);
  if (!status.ok()) return failure(status);
  return {};
}

Result<void> Store::visit_user_channels(
    const std::function<void(const UserChannel&)>& visit) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(across(), impl_->directory.queues())};
  const std::string tag{user_channel_tag};
  for (row->Seek(tag); row->Valid() && row->key().starts_with(tag); row->Next()) {
    if (row->key().size() != user_channel_key_bytes) return damaged("queues");
    visit({{big_endian_at(view(row->key()), 1)}, {big_endian_at(view(row->key()), 9)}});
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Store::Unflushed Store::unflushed() const {
  return {impl_->buffer.bytes(), impl_->buffer.entries()};
}

Result<void> Store::flush_queues() {
  if (!impl_->is_open()) return closed();
  // Where an earlier flush failed, its rows are written first, once more.
  if (const auto written = impl_->write_frozen(); !written) return written;
  {
    const std::lock_guard lock{impl_->queues_mutex};
    impl_->frozen = impl_->buffer.freeze();
    impl_->frozen_doomed = impl_->flushed.take_doomed();
    // Rows of copies are cut by size.
    const bool one_row = impl_->payload() == QueuePayload::reference;
    for (const BufferedRuns& user : impl_->frozen.users) impl_->flushed.add(user, one_row);
    std::swap(impl_->frozen_applied, impl_->applied);
  }
  impl_->frozen_notes = impl_->devices.take_due_notes();
  impl_->frozen_expired = std::exchange(impl_->expired, {});
  return impl_->write_frozen();
}

Result<void> Store::Impl::write_frozen() {
  rocksdb::WriteBatch batch;
  auto* const queues = directory.queues();
  write_trims(batch);
  for (const BufferedRuns& user : frozen.users) {
    for_each_row(user, frozen.records, payload(),
                 [&](std::string_view key, std::string_view value) {
                   batch.Put(queues, slice(key), slice(value));
                 });
  }
  for (const auto& [partition, sequence] : frozen_applied) {
    std::string value;
    append_varint(sequence.value, value);
    batch.Put(queues, slice(cursor_key(partition).view()), value);
  }
  if (batch.Count() == 0) return {};
  // One batch is in one memtable, so entries and cursors reach the disk together.
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  Status status = db().Write(options, &batch);
  if (status.ok()) status = db().Flush({}, queues);
  if (!status.ok()) return failure(status);
  const std::lock_guard lock{queues_mutex};
  frozen = {};
  frozen_applied.clear();
  frozen_doomed.clear();
  frozen_notes.clear();
  frozen_expired.clear();
  return {};
}

Result<JournalSequence> Store::cursor(PartitionId partition) const {
  if (!impl_->is_open()) return closed();
  std::string value;
  const Status status =
      impl_->db().Get({}, impl_->directory.queues(), slice(cursor_key(partition).view()), &value);
  if (status.IsNotFound()) return JournalSequence{};
  if (!status.ok()) return failure(status);
  std::string_view rest = value;
  const auto sequence = take_varint(rest);
  if (!sequence) return damaged("queues");
  return JournalSequence{*sequence};
}

QueueSequence Store::Impl::end_of(UserId user) const {
  const BufferedRuns* const buffered = buffer.find(user);
  if (buffered != nullptr) return buffered->end;
  return std::max(flushed.end(user), queue_begin(directory.term()));
}

Result<QueueSequence> Store::user_queue_end(UserId user) const {
  if (!impl_->is_open()) return closed();
  const std::lock_guard lock{impl_->queues_mutex};
  return impl_->end_of(user);
}

Result<void> Store::scan_user_queue(UserId user, QueueSequence after, std::size_t rows_max,
                                    std::size_t bytes_max, std::vector<UserQueueRow>& out) const {
  if (!impl_->is_open()) return closed();
  // The buffer is looked at first: what leaves it meanwhile is found on disk as well.
  std::vector<UserQueueRow> buffered;
  {
    const std::lock_guard lock{impl_->queues_mutex};
    if (const BufferedRuns* const found = impl_->frozen.find(user)) {
      append_buffered(*found, impl_->frozen.records, after, bytes_max, impl_->payload(), buffered);
    }
    if (const BufferedRuns* const found = impl_->buffer.find(user)) {
      append_buffered(*found, impl_->buffer.records(), after, bytes_max, impl_->payload(),
                      buffered);
    }
  }
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(within_prefix(), impl_->directory.queues())};
  std::size_t rows = 0;
  std::size_t bytes = 0;
  for (row->Seek(slice(user_queue_key(user, after + 1).view())); row->Valid(); row->Next()) {
    if (rows == rows_max || (rows != 0 && bytes >= bytes_max)) return {};
    auto found = user_row(view(row->key()), view(row->value()), impl_->payload());
    if (!found) return damaged("queues");
    after = found->last;
    bytes += found->copies.bytes();
    ++rows;
    out.push_back(std::move(*found));
  }
  if (!row->status().ok()) return failure(row->status());
  for (UserQueueRow& found : buffered) {
    if (found.last <= after) continue;
    if (rows == rows_max || (rows != 0 && bytes >= bytes_max)) return {};
    bytes += found.copies.bytes();
    ++rows;
    out.push_back(std::move(found));
  }
  return {};
}

Result<void> Store::scan_member_queue(ChannelId channel, UserId user, MessageId after,
                                      std::size_t rows_max, std::size_t bytes_max,
                                      std::vector<MemberQueueRow>& out) const {
  if (!impl_->is_open()) return closed();
  std::vector<MemberQueueRow> buffered;
  {
    const std::lock_guard lock{impl_->queues_mutex};
    if (const BufferedRuns* const found = impl_->frozen.find(user)) {
      append_buffered(*found, impl_->frozen.records, channel, after, bytes_max, impl_->payload(),
                      buffered);
    }
    if (const BufferedRuns* const found = impl_->buffer.find(user)) {
      append_buffered(*found, impl_->buffer.records(), channel, after, bytes_max, impl_->payload(),
                      buffered);
    }
  }
  auto options = within_prefix();
  // The filter's prefix is the channel's; the member's rows are a part of them.
  const auto end_key = member_queue_key(channel, {user.value + 1}, {0});
  const Slice end = slice(end_key.view());
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(options, impl_->directory.queues())};
  std::size_t rows = 0;
  std::size_t bytes = 0;
  for (row->Seek(slice(member_queue_key(channel, user, after + 1).view())); row->Valid();
       row->Next()) {
    if (rows == rows_max || (rows != 0 && bytes >= bytes_max)) return {};
    auto found = member_row(channel, view(row->key()), view(row->value()), impl_->payload());
    if (!found) return damaged("queues");
    after = found->run.first + (found->run.count - 1);
    bytes += found->copies.bytes();
    ++rows;
    out.push_back(std::move(*found));
  }
  if (!row->status().ok()) return failure(row->status());
  for (MemberQueueRow& found : buffered) {
    if (found.run.first + (found.run.count - 1) <= after) continue;
    if (rows == rows_max || (rows != 0 && bytes >= bytes_max)) return {};
    bytes += found.copies.bytes();
    ++rows;
    out.push_back(std::move(found));
  }
  return {};
}

}  // namespace clamor::store
