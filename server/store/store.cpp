#include "server/store/store.hpp"

#include "server/base/assert.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <utility>

namespace clamor::store {
namespace {

using rocksdb::ColumnFamilyHandle;
using rocksdb::Slice;
using rocksdb::Status;

/// A process holds 20,000 descriptors and most of them are clients'.
constexpr int open_files_max = 256;

Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const Slice& slice) { return {slice.data(), slice.size()}; }
Failure failure(const Status& status) { return {status.ToString()}; }
Failure damaged(std::string_view what) {
  return {fmt::format("damaged row in the {}: restore the data directory from a copy", what)};
}

Failure closed() { return {"the store is closed: opening it again failed"}; }

rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = open_files_max;
  options.max_background_jobs = 2;
  options.max_total_wal_size = std::size_t{256} << 20U;
  options.bytes_per_sync = std::size_t{1} << 20U;
  options.keep_log_file_num = 2;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  return options;
}

rocksdb::ColumnFamilyOptions family_options(const StoreSettings& settings,
                                            const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::size_t prefix_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kLZ4Compression;
  options.write_buffer_size = settings.write_buffer_bytes;
  options.level_compaction_dynamic_level_bytes = true;
  if (prefix_bytes != 0) {
    options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(prefix_bytes));
    options.memtable_prefix_bloom_size_ratio = 0.05;
  }
  return options;
}

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

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error(failure.what);
}

class Store::Impl {
 public:
  explicit Impl(const StoreSettings& settings)
      : settings_{settings}, cache_{rocksdb::NewLRUCache(settings.block_cache_bytes)} {
    open();
    try {
      check_facts();
    } catch (...) {
      close();
      throw;
    }
  }
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open() {
    const std::vector<rocksdb::ColumnFamilyDescriptor> families{
        {rocksdb::kDefaultColumnFamilyName, family_options(settings_, cache_, 0)},
        {"log", family_options(settings_, cache_, 8)},
        {"journal", family_options(settings_, cache_, 4)},
        {"queues", family_options(settings_, cache_, queue_prefix_bytes)},
    };
    const Status status =
        rocksdb::DB::Open(db_options(), settings_.path, families, &handles_, &db_);
    if (!status.ok()) {
      throw OpenError(fmt::format(
          "{}: cannot open the data directory: {}. Is another server running on it, and may this "
          "user write there? --data names another one",
          settings_.path, status.ToString()));
    }
    meta = handles_[0];
    log = handles_[1];
    journal = handles_[2];
    queues = handles_[3];
  }

  void close() {
    if (db_ == nullptr) return;
    for (ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    handles_.clear();
    // The destructor flushes memtables that hold rows without a write-ahead log.
    delete std::exchange(db_, nullptr);
  }

  [[nodiscard]] rocksdb::DB& db() const { return *db_; }
  [[nodiscard]] bool is_open() const { return db_ != nullptr; }

  ColumnFamilyHandle* meta = nullptr;
  ColumnFamilyHandle* log = nullptr;
  ColumnFamilyHandle* journal = nullptr;
  ColumnFamilyHandle* queues = nullptr;
  StoreSettings settings_;
  Term term_;
  std::atomic<std::uint64_t> syncs_{0};
  std::string scratch_;  ///< Of append(): one log value after the other.

 private:
  /// Facts that hold for the directory's life; a new directory takes them from the settings.
  void check_facts() {
    check_fact("data_format", std::to_string(data_format), "made by another version of clamor");
    check_fact("partitions", std::to_string(settings_.partitions), "made for another deployment");
    check_fact("layout", settings_.layout, "filled under another design");
    const std::string last = read_fact("term").value_or("0");
    const auto number = parse_number(last);
    if (!number) throw OpenError(fmt::format("{}: damaged term '{}'", settings_.path, last));
    term_ = {static_cast<std::uint32_t>(*number + 1)};
    write_fact("term", std::to_string(term_.value));
  }

  void check_fact(const char* name, const std::string& expected, const char* meaning) {
    const auto found = read_fact(name);
    if (!found) return write_fact(name, expected);
    if (*found == expected) return;
    throw OpenError(
        fmt::format("{}: the data directory was {}: it has {} {}, the settings say {}. Use those "
                    "settings, or another directory (--data)",
                    settings_.path, meaning, name, *found, expected));
  }

  std::optional<std::string> read_fact(const char* name) {
    std::string value;
    const Status status = db_->Get({}, meta, name, &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) throw OpenError(fmt::format("{}: {}", settings_.path, status.ToString()));
    return value;
  }

  void write_fact(const char* name, const std::string& value) {
    rocksdb::WriteOptions options;
    options.sync = true;
    const Status status = db_->Put(options, meta, name, value);
    if (!status.ok()) throw OpenError(fmt::format("{}: {}", settings_.path, status.ToString()));
  }

  std::shared_ptr<rocksdb::Cache> cache_;
  rocksdb::DB* db_ = nullptr;
  std::vector<ColumnFamilyHandle*> handles_;
};

Store::Store(const StoreSettings& settings) : impl_{std::make_unique<Impl>(settings)} {}
Store::~Store() = default;

const StoreSettings& Store::settings() const { return impl_->settings_; }
Term Store::term() const { return impl_->term_; }
std::uint64_t Store::syncs() const { return impl_->syncs_.load(std::memory_order_relaxed); }

Result<void> Store::reopen() {
  impl_->close();
  try {
    impl_->open();
  } catch (const OpenError& error) {
    return Failure{error.what()};
  }
  return {};
}

Result<std::size_t> Store::append(std::span<const std::shared_ptr<const Commit>> commits) {
  if (!impl_->is_open()) return closed();
  rocksdb::WriteBatch batch;
  std::string& value = impl_->scratch_;
  for (const auto& commit : commits) {
    CLAMOR_ASSERT(commit->places.size() == commit->batch.size());
    for (std::size_t i = 0; i < commit->batch.size(); ++i) {
      const core::Record& record = commit->batch.record(i);
      const auto key = log_key(record.channel, record.id);
      write_log_value(record, commit->batch.body(i), value);
      batch.Put(impl_->log, slice(key.view()), value);
      batch.Put(impl_->journal, slice(journal_key(commit->places[i]).view()), slice(key.view()));
    }
  }
  rocksdb::WriteOptions options;
  options.sync = impl_->settings_.durability == Durability::fsync;
  const std::size_t bytes = batch.GetDataSize();
  const Status status = impl_->db().Write(options, &batch);
  if (!status.ok()) return failure(status);
  if (options.sync) impl_->syncs_.fetch_add(1, std::memory_order_relaxed);
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
  const std::unique_ptr<rocksdb::Iterator> row{impl_->db().NewIterator(options, impl_->log)};
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
  impl_->db().MultiGet({}, impl_->log, n, slices.data(), values.data(), statuses.data());
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
  const std::unique_ptr<rocksdb::Iterator> row{impl_->db().NewIterator(across(), impl_->log)};
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
      impl_->db().NewIterator(within_prefix(), impl_->journal)};
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
      impl_->db().NewIterator(within_prefix(), impl_->journal)};
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
  Status status = rocksdb::DeleteFilesInRange(&impl_->db(), impl_->journal, &begin, &end, false);
  if (status.ok()) status = impl_->db().DeleteRange({}, impl_->journal, begin, end);
  if (!status.ok()) return failure(status);
  return {};
}

Result<void> Store::write_queues(const QueueWrite& write) {
  if (!impl_->is_open()) return closed();
  rocksdb::WriteBatch batch;
  for (const QueueWrite::Row& row : write.rows) batch.Put(impl_->queues, row.key, row.value);
  for (const JournalPlace& cursor : write.cursors) {
    std::string value;
    append_varint(cursor.sequence.value, value);
    batch.Put(impl_->queues, slice(cursor_key(cursor.partition).view()), value);
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const Status status = impl_->db().Write(options, &batch);
  if (!status.ok()) return failure(status);
  return {};
}

Result<void> Store::flush_queues() {
  if (!impl_->is_open()) return closed();
  const Status status = impl_->db().Flush({}, impl_->queues);
  if (!status.ok()) return failure(status);
  return {};
}

Result<JournalSequence> Store::cursor(PartitionId partition) const {
  if (!impl_->is_open()) return closed();
  std::string value;
  const Status status =
      impl_->db().Get({}, impl_->queues, slice(cursor_key(partition).view()), &value);
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
      impl_->db().NewIterator(within_prefix(), impl_->queues)};
  row->SeekForPrev(slice(user_queue_key(user, QueueSequence{} - 1).view()));
  if (!row->status().ok()) return failure(row->status());
  if (!row->Valid()) return QueueSequence{};
  return QueueSequence{big_endian_at(view(row->key()), queue_prefix_bytes)};
}

Result<void> Store::scan_user_queue(UserId user, QueueSequence after, std::size_t rows_max,
                                    std::vector<UserQueueRow>& out) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(within_prefix(), impl_->queues)};
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
  const std::unique_ptr<rocksdb::Iterator> row{impl_->db().NewIterator(options, impl_->queues)};
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
