#include "server/store/store.hpp"

#include "server/base/assert.hpp"
#include "server/store/store_impl.hpp"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fmt/format.h>
#include <thread>
#include <utility>

namespace clamor::store {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

/// A record as the log keeps it.
core::Record with_unix_time(core::Record record, Duration clock_ahead) {
  record.accepted_at += clock_ahead;
  return record;
}

std::optional<LogRow> read_row(const Slice& key, const Slice& value, Duration clock_ahead) {
  auto row = read_log_row(view(key), view(value));
  if (row) row->record.accepted_at -= clock_ahead;
  return row;
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error(failure.what);
}

Store::Store(const StoreSettings& settings) : impl_{std::make_unique<Impl>(settings)} {
  for (const auto& loaded : {impl_->load_marks(), impl_->load_queues(), impl_->load_devices()}) {
    if (!loaded) throw OpenError(settings.path + ": " + loaded.error().what);
  }
}
Store::~Store() = default;

const StoreSettings& Store::settings() const { return impl_->directory.settings(); }
Term Store::term() const { return impl_->directory.term(); }
std::uint64_t Store::syncs() const { return impl_->syncs.load(std::memory_order_relaxed); }

bool Store::writes_stopped() const {
  std::uint64_t stopped = 0;
  return impl_->is_open() &&
         impl_->db().GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped) &&
         stopped != 0;
}

Result<void> Store::reopen() {
  impl_->directory.close();
  impl_->forget_queues();
  try {
    impl_->directory.open();
  } catch (const OpenError& error) {
    return Failure{error.what()};
  }
  if (const auto loaded = impl_->load_marks(); !loaded) return loaded;
  return impl_->load_queues();
}

void Store::abandon() {
  impl_->abandoned.store(true, std::memory_order_relaxed);
  impl_->directory.forgo_flush();
}

Result<void> Store::settle() {
  if (!impl_->is_open()) return closed();
  const Status flushed = impl_->db().Flush({}, impl_->directory.families());
  if (!flushed.ok()) return failure(flushed);
  using namespace std::chrono_literals;
  const auto count = [&](const char* property) {
    std::uint64_t value = 0;
    impl_->db().GetAggregatedIntProperty(property, &value);
    return value;
  };
  // This version of RocksDB has no call that waits for compactions.
  while (count("rocksdb.compaction-pending") + count("rocksdb.num-running-compactions") +
             count("rocksdb.mem-table-flush-pending") + count("rocksdb.num-running-flushes") !=
         0) {
    std::this_thread::sleep_for(1ms);
  }
  return {};
}

Result<std::size_t> Store::append(std::span<const std::shared_ptr<const Commit>> commits) {
  if (!impl_->is_open()) return closed();
  rocksdb::WriteBatch batch;
  std::string& value = impl_->scratch;
  const Duration ahead = impl_->directory.settings().clock_ahead;
  for (const auto& commit : commits) {
    CLAMOR_ASSERT(commit->places.size() == commit->batch.size());
    for (std::size_t i = 0; i < commit->batch.size(); ++i) {
      const core::Record& record = commit->batch.record(i);
      const auto key = log_key(record.channel, record.id);
      write_log_value(with_unix_time(record, ahead), commit->batch.body(i), value);
      batch.Put(impl_->directory.log(), slice(key.view()), value);
      batch.Put(impl_->directory.journal(), slice(journal_key(commit->places[i]).view()),
                slice(key.view()));
    }
    for (const Edit& edit : commit->edits) {
      batch.Put(impl_->directory.facts(),
                slice(edit_key(edit.channel, edit.target, edit.id).view()), Slice{});
    }
    for (const Redaction& redaction : commit->redactions) {
      write_log_value(with_unix_time(redaction.stub, ahead), {}, value);
      batch.Put(impl_->directory.log(),
                slice(log_key(redaction.stub.channel, redaction.stub.id).view()), value);
    }
    for (const ReadCursor& cursor : commit->reads) {
      write_read_cursor(cursor.read, value);
      batch.Put(impl_->directory.facts(),
                slice(read_cursor_key(cursor.channel, cursor.user).view()), value);
    }
    for (const AccountRow& account : commit->accounts) {
      const auto key = account_key(account.user);
      if (account.stored.empty()) {
        batch.Delete(impl_->directory.facts(), slice(key.view()));
      } else {
        batch.Put(impl_->directory.facts(), slice(key.view()), account.stored);
      }
    }
  }
  rocksdb::WriteOptions options;
  options.sync = impl_->directory.settings().durability == Durability::fsync;
  const std::size_t bytes = batch.GetDataSize();
  const Status status = impl_->db().Write(options, &batch);
  if (!status.ok()) return failure(status);
  if (options.sync) impl_->syncs.fetch_add(1, std::memory_order_relaxed);
  return bytes;
}

Result<void> Store::scan_log(ChannelId channel, MessageId after, MessageId up_to,
                             std::size_t records_max, std::size_t bytes_max,
                             RecordBatch& out) const {
  if (!impl_->is_open()) return closed();
  const Duration ahead = impl_->directory.settings().clock_ahead;
  after = std::max(after, trimmed(channel));
  auto options = within_prefix();
  const auto end_key = log_key(channel, up_to + 1);
  const Slice end = slice(end_key.view());
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(options, impl_->directory.log())};
  for (row->Seek(slice(log_key(channel, after + 1).view())); row->Valid(); row->Next()) {
    if (!out.empty() && (out.size() >= records_max || out.bytes() >= bytes_max)) return {};
    const auto found = read_row(row->key(), row->value(), ahead);
    if (!found) return damaged("log");
    out.add(found->record, found->body);
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<void> Store::get_log(ChannelId channel, std::span<const MessageId> ids,
                            RecordBatch& out) const {
  if (!impl_->is_open()) return closed();
  const Duration ahead = impl_->directory.settings().clock_ahead;
  const MessageId gone = trimmed(channel);
  const std::size_t n = ids.size();
  std::vector<Key<16>> keys(n);
  std::vector<Slice> slices(n);
  std::vector<rocksdb::PinnableSlice> values(n);
  std::vector<Status> statuses(n);
  for (std::size_t i = 0; i < n; ++i) {
    keys[i] = log_key(channel, ids[i]);
    slices[i] = slice(keys[i].view());
  }
  impl_->db().MultiGet({}, impl_->directory.log(), n, slices.data(), values.data(),
                       statuses.data());
  for (std::size_t i = 0; i < n; ++i) {
    if (statuses[i].IsNotFound() || ids[i] <= gone) continue;
    if (!statuses[i].ok()) return failure(statuses[i]);
    const auto found = read_row(slices[i], values[i], ahead);
    if (!found) return damaged("log");
    out.add(found->record, found->body);
  }
  return {};
}

Result<void> Store::visit_log(
    const std::function<void(const core::Record&, std::span<const std::byte>)>& visit) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(across(), impl_->directory.log())};
  const Duration ahead = impl_->directory.settings().clock_ahead;
  for (row->SeekToFirst(); row->Valid();) {
    const auto found = read_row(row->key(), row->value(), ahead);
    if (!found) return damaged("log");
    const MessageId gone = trimmed(found->record.channel);
    if (found->record.id <= gone) {
      row->Seek(slice(log_key(found->record.channel, gone + 1).view()));
      continue;
    }
    visit(found->record, found->body);
    row->Next();
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<std::vector<MessageId>> Store::edits_of(ChannelId channel, MessageId target,
                                               std::size_t max) const {
  if (!impl_->is_open()) return closed();
  rocksdb::ReadOptions options;
  const auto end_key = edit_key(channel, target, MessageId{} - 1);
  const Slice end = slice(end_key.view());
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(options, impl_->directory.facts())};
  std::vector<MessageId> found;
  row->Seek(slice(edit_key(channel, target, {}).view()));
  for (; row->Valid() && found.size() < max; row->Next()) {
    if (row->key().size() != end.size()) return damaged("edits");
    found.push_back({big_endian_at(view(row->key()), 17)});
  }
  if (!row->status().ok()) return failure(row->status());
  return found;
}

Result<std::string> Store::account(UserId user) const {
  if (!impl_->is_open()) return closed();
  std::string stored;
  const Status status =
      impl_->db().Get({}, impl_->directory.facts(), slice(account_key(user).view()), &stored);
  if (!status.ok() && !status.IsNotFound()) return failure(status);
  // A text could be a failure, too: said outright.
  return {boost::system::in_place_value, std::move(stored)};
}

Result<void> Store::visit_read_cursors(const std::function<void(const ReadCursor&)>& visit) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(across(), impl_->directory.facts())};
  const std::string_view tag{&read_cursor_tag, 1};
  for (row->Seek(slice(tag)); row->Valid() && view(row->key()).starts_with(tag); row->Next()) {
    const auto found = read_cursor_row(view(row->key()), view(row->value()));
    if (!found) return damaged("read cursors");
    visit(*found);
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<void> Store::visit_journal(PartitionId partition, JournalSequence after,
                                  std::size_t rows_max,
                                  const std::function<void(const JournalRow&)>& visit) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(within_prefix(), impl_->directory.journal())};
  row->Seek(slice(journal_key({partition, after + 1}).view()));
  for (std::size_t rows = 0; row->Valid() && rows < rows_max; row->Next(), ++rows) {
    const auto found = read_journal_row(view(row->key()), view(row->value()));
    if (!found) return damaged("journal");
    visit(*found);
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<JournalSequence> Store::journal_end(PartitionId partition) const {
  if (!impl_->is_open()) return closed();
  const auto applied = cursor(partition);
  if (!applied) return applied.error();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(within_prefix(), impl_->directory.journal())};
  row->SeekForPrev(slice(journal_key({partition, JournalSequence{} - 1}).view()));
  if (!row->status().ok()) return failure(row->status());
  if (!row->Valid()) return *applied;
  const auto found = read_journal_row(view(row->key()), view(row->value()));
  if (!found) return damaged("journal");
  return std::max(found->place.sequence, *applied);
}

Result<void> Store::trim_journal(JournalPlace place) {
  if (!impl_->is_open()) return closed();
  const auto begin_key = journal_key({place.partition, {0}});
  const auto end_key = journal_key({place.partition, place.sequence + 1});
  const Slice begin = slice(begin_key.view());
  const Slice end = slice(end_key.view());
  // Whole files go at once; the rest gets one tombstone, which no reader meets again: every scan
  // begins above it.
  Status status =
      rocksdb::DeleteFilesInRange(&impl_->db(), impl_->directory.journal(), &begin, &end, false);
  if (status.ok()) status = impl_->db().DeleteRange({}, impl_->directory.journal(), begin, end);
  if (!status.ok()) return failure(status);
  return {};
}

}  // namespace clamor::store
