#include "server/store/store.hpp"

#include "server/base/assert.hpp"
#include "server/store/data_directory.hpp"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <utility>

namespace clamor::store {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const Slice& slice) { return {slice.data(), slice.size()}; }
Failure failure(const Status& status) { return {status.ToString()}; }
Failure damaged(std::string_view what) {
  return {fmt::format("damaged row in the {}: restore the data directory from a copy", what)};
}

Failure closed() { return {"the store is closed: opening it again failed"}; }

/// Reads within one prefix: the Bloom filters may rule files out.
rocksdb::ReadOptions within_prefix() {
  rocksdb::ReadOptions options;
  options.prefix_same_as_start = true;
  return options;
}

/// Reads across prefixes, once: must not push hot blocks out of the cache.
rocksdb::ReadOptions across() {
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;
  options.readahead_size = std::size_t{1} << 20U;
  return options;
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error(failure.what);
}

struct Store::Impl {
  explicit Impl(const StoreSettings& settings) : directory{settings} {}

  [[nodiscard]] rocksdb::DB& db() const { return directory.db(); }
  [[nodiscard]] bool is_open() const { return directory.is_open(); }

  DataDirectory directory;
  std::atomic<std::uint64_t> syncs{0};
  std::string scratch;  ///< Of append(): one log value after the other.
};

Store::Store(const StoreSettings& settings) : impl_{std::make_unique<Impl>(settings)} {}
Store::~Store() = default;

const StoreSettings& Store::settings() const { return impl_->directory.settings(); }
Term Store::term() const { return impl_->directory.term(); }
std::uint64_t Store::syncs() const { return impl_->syncs.load(std::memory_order_relaxed); }

Result<void> Store::reopen() {
  impl_->directory.close();
  try {
    impl_->directory.open();
  } catch (const OpenError& error) {
    return Failure{error.what()};
  }
  return {};
}

Result<std::size_t> Store::append(std::span<const std::shared_ptr<const Commit>> commits) {
  if (!impl_->is_open()) return closed();
  rocksdb::WriteBatch batch;
  std::string& value = impl_->scratch;
  for (const auto& commit : commits) {
    CLAMOR_ASSERT(commit->places.size() == commit->batch.size());
    for (std::size_t i = 0; i < commit->batch.size(); ++i) {
      const core::Record& record = commit->batch.record(i);
      const auto key = log_key(record.channel, record.id);
      write_log_value(record, commit->batch.body(i), value);
      batch.Put(impl_->directory.log(), slice(key.view()), value);
      batch.Put(impl_->directory.journal(), slice(journal_key(commit->places[i]).view()),
                slice(key.view()));
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
  auto options = within_prefix();
  const auto end_key = log_key(channel, up_to + 1);
  const Slice end = slice(end_key.view());
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(options, impl_->directory.log())};
  for (row->Seek(slice(log_key(channel, after + 1).view())); row->Valid(); row->Next()) {
    if (!out.empty() && (out.size() >= records_max || out.bytes() >= bytes_max)) return {};
    const auto found = read_log_row(view(row->key()), view(row->value()));
    if (!found) return damaged("log");
    out.add(found->record, found->body);
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<void> Store::get_log(ChannelId channel, std::span<const MessageId> ids,
                            RecordBatch& out) const {
  if (!impl_->is_open()) return closed();
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
    if (statuses[i].IsNotFound()) continue;
    if (!statuses[i].ok()) return failure(statuses[i]);
    const auto found = read_log_row(keys[i].view(), view(values[i]));
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
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    const auto found = read_log_row(view(row->key()), view(row->value()));
    if (!found) return damaged("log");
    visit(found->record, found->body);
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

Result<void> Store::write_queues(const QueueWrite& write) {
  if (!impl_->is_open()) return closed();
  rocksdb::WriteBatch batch;
  for (const QueueWrite::Row& row : write.rows)
    batch.Put(impl_->directory.queues(), row.key, row.value);
  for (const JournalPlace& cursor : write.cursors) {
    std::string value;
    append_varint(cursor.sequence.value, value);
    batch.Put(impl_->directory.queues(), slice(cursor_key(cursor.partition).view()), value);
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const Status status = impl_->db().Write(options, &batch);
  if (!status.ok()) return failure(status);
  return {};
}

Result<void> Store::flush_queues() {
  if (!impl_->is_open()) return closed();
  const Status status = impl_->db().Flush({}, impl_->directory.queues());
  if (!status.ok()) return failure(status);
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

Result<QueueSequence> Store::user_queue_end(UserId user) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(within_prefix(), impl_->directory.queues())};
  row->SeekForPrev(slice(user_queue_key(user, QueueSequence{} - 1).view()));
  if (!row->status().ok()) return failure(row->status());
  if (!row->Valid()) return QueueSequence{};
  return QueueSequence{big_endian_at(view(row->key()), queue_prefix_bytes)};
}

Result<void> Store::scan_user_queue(UserId user, QueueSequence after, std::size_t rows_max,
                                    std::vector<UserQueueRow>& out) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(within_prefix(), impl_->directory.queues())};
  row->Seek(slice(user_queue_key(user, after + 1).view()));
  for (std::size_t rows = 0; row->Valid() && rows < rows_max; row->Next(), ++rows) {
    UserQueueRow found{{big_endian_at(view(row->key()), queue_prefix_bytes)}, {}};
    std::string_view rest = view(row->value());
    while (!rest.empty()) {
      const auto run = take_run(rest);
      if (!run) return damaged("queues");
      found.runs.push_back(*run);
    }
    out.push_back(std::move(found));
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<void> Store::scan_member_queue(ChannelId channel, UserId user, MessageId after,
                                      std::size_t rows_max, std::vector<QueueRun>& out) const {
  if (!impl_->is_open()) return closed();
  auto options = within_prefix();
  // The filter's prefix is the channel's; the member's rows are a part of them.
  const auto end_key = member_queue_key(channel, {user.value + 1}, {0});
  const Slice end = slice(end_key.view());
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(options, impl_->directory.queues())};
  row->Seek(slice(member_queue_key(channel, user, after + 1).view()));
  for (std::size_t rows = 0; row->Valid() && rows < rows_max; row->Next(), ++rows) {
    std::string_view rest = view(row->value());
    const auto count = take_varint(rest);
    const std::uint64_t last = big_endian_at(view(row->key()), 17);
    if (!count || *count == 0 || *count > last) return damaged("queues");
    out.push_back({channel, {last - *count + 1}, static_cast<std::uint32_t>(*count)});
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

}  // namespace clamor::store
