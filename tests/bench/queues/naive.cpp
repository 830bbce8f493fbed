#include "server/store/rows.hpp"
#include "tests/bench/queues/load.hpp"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

namespace clamor::bench {
namespace {

using namespace std::chrono_literals;

void check(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}
rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

/// RocksDB as everybody sets it up for short scans by prefix; buffers and threads are Clamor's.
rocksdb::Options options() {
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.compression = rocksdb::kLZ4Compression;
  options.write_buffer_size = std::size_t{32} << 20U;
  options.level_compaction_dynamic_level_bytes = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(8));
  return options;
}

/// A log, a journal and queues in families of their own.
class Database {
 public:
  explicit Database(const std::string& path) {
    const std::vector<rocksdb::ColumnFamilyDescriptor> families{
        {rocksdb::kDefaultColumnFamilyName, options()},
        {"log", options()},
        {"journal", options()},
        {"queues", options()}};
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(options(), path, families, &handles_, &db));
    db_.reset(db);
  }
  ~Database() {
    for (auto* const handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] rocksdb::DB& db() { return *db_; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* log() { return handles_[1]; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* journal() { return handles_[2]; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* queues() { return handles_[3]; }

  void settle() {
    check(db_->Flush({}, handles_));
    for (const char* const pending :
         {"rocksdb.mem-table-flush-pending", "rocksdb.compaction-pending",
          "rocksdb.num-running-flushes", "rocksdb.num-running-compactions"}) {
      std::uint64_t value = 1;
      while (db_->GetAggregatedIntProperty(pending, &value) && value != 0) {
        std::this_thread::sleep_for(1ms);
      }
    }
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

/// Entries of the user's queue after a place, as a scan finds them.
std::uint64_t scan(Database& database, std::uint64_t user, std::uint64_t after) {
  rocksdb::ReadOptions options;
  options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> row{
      database.db().NewIterator(options, database.queues())};
  std::uint64_t rows = 0;
  row->Seek(slice(store::log_key({user}, {after + 1}).view()));
  for (; row->Valid(); row->Next()) {
    // A scan looks at its values.
    if (row->value().size() == 16) ++rows;
  }
  check(row->status());
  return rows;
}

}  // namespace

QueueCost run_naive(const QueueLoad& load) {
  const TemporaryDirectory directory;
  Database database{directory.path()};
  std::vector<std::vector<UserId>> members;
  for (std::uint64_t i = 0; i < load.channels; ++i) members.push_back(load.members_of(i));
  std::vector<MessageId> heads(load.channels);
  std::vector<std::uint64_t> ends(load.users + 1);
  std::string value;
  const Usage before = Usage::now();
  for (std::uint64_t message = 0; message < load.messages; ++message) {
    const std::uint64_t channel = load.channel_of(message);
    const core::Record record{.channel = {channel + 1}, .id = ++heads[channel], .sender = {1}};
    const auto place = store::log_key(record.channel, record.id);
    rocksdb::WriteBatch batch;
    store::write_log_value(record, load.body(message), value);
    batch.Put(database.log(), slice(place.view()), value);
    batch.Put(database.journal(), slice(store::journal_key({{0}, {message + 1}}).view()),
              slice(place.view()));
    for (const UserId user : members[channel]) {
      const auto key = store::log_key({user.value}, {++ends[user.value]});
      batch.Put(database.queues(), slice(key.view()), slice(place.view()));
    }
    check(database.db().Write({}, &batch));
  }
  database.settle();
  QueueCost cost{.usage = Usage::now().since(before)};
  for (std::uint64_t user = 1; user <= load.users; user += 97) {
    if (scan(database, user, 0) != ends[user]) cost.fault = "a queue lacks entries";
  }
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t user = 1; user <= load.users; ++user) {
    (void)scan(database, user, ends[user] < 64 ? 0 : ends[user] - 64);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  cost.scan_seconds = took.count() / static_cast<double>(load.users);
  return cost;
}

}  // namespace clamor::bench
