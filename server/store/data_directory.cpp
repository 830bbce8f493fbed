#include "server/store/data_directory.hpp"

#include "server/base/assert.hpp"
#include "server/store/info_log.hpp"
#include "server/store/rows.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <string_view>
#include <system_error>
#include <utility>

namespace clamor::store {
namespace {

using rocksdb::ColumnFamilyHandle;
using rocksdb::Status;

/// A process holds 20,000 descriptors and most of them are clients'.
constexpr int open_files_max = 256;

rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = open_files_max;
  options.max_background_jobs = 2;
  options.max_total_wal_size = std::size_t{256} << 20U;
  options.bytes_per_sync = std::size_t{1} << 20U;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  return options;
}

/// What is read in a family, beside scans within a prefix.
enum class Reads : std::uint8_t { by_key, by_prefix_only };

rocksdb::ColumnFamilyOptions family_options(const StoreSettings& settings,
                                            const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::size_t prefix_bytes, Reads reads) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  // A filter over whole keys of short rows is larger than what it guards, and where nobody gets by
  // key it answers nothing.
  table.whole_key_filtering = reads == Reads::by_key;
  // Filters and indices are read in parts: one block of a megabyte would evict its cache shard.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
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
    options.memtable_whole_key_filtering = reads == Reads::by_key;
  }
  return options;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Whether RocksDB failed because somebody else holds the directory's lock: another process, or a
/// store of this one.
bool is_lock_of_another(std::string_view why) {
  return why.find("While lock file") != std::string_view::npos ||
         why.find("lock hold by current process") != std::string_view::npos;
}

}  // namespace

DataDirectory::DataDirectory(const StoreSettings& settings)
    : settings_{settings}, cache_{rocksdb::NewLRUCache(settings.block_cache_bytes)} {
  open();
  try {
    check_facts();
  } catch (...) {
    close();
    throw;
  }
}

void DataDirectory::open() {
  std::error_code ignored;
  const auto found = std::filesystem::status(settings_.path, ignored);
  if (std::filesystem::exists(found) && !std::filesystem::is_directory(found)) {
    throw OpenError(fmt::format(
        "{}: this is a file; expected a directory, or a path where one can be made (--data)",
        settings_.path));
  }
  rocksdb::ColumnFamilyOptions log = family_options(settings_, cache_, 8, Reads::by_key);
  log.compaction_filter_factory = drop_trimmed(marks_);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, family_options(settings_, cache_, 0, Reads::by_key)},
      {"log", log},
      {"journal", family_options(settings_, cache_, 4, Reads::by_prefix_only)},
      {"queues", family_options(settings_, cache_, queue_prefix_bytes, Reads::by_prefix_only)},
  };
  CLAMOR_ASSERT(families.size() == column_families);
  std::filesystem::create_directories(settings_.path, ignored);  // RocksDB says what is wrong.
  rocksdb::DBOptions options = db_options();
  options.info_log = info_log(settings_.path + "/rocksdb.log");
  const Status status = rocksdb::DB::Open(options, settings_.path, families, &handles_, &db_);
  if (status.ok()) return;
  const std::string why = status.ToString();
  if (is_lock_of_another(why)) {
    throw OpenError(
        fmt::format("{}: another server uses this data directory. Stop it first, or name another "
                    "directory (--data)",
                    settings_.path));
  }
  throw OpenError(fmt::format(
      "{}: cannot open the data directory: {}. It must be writable for this user, on a disk with "
      "room; --data names another one",
      settings_.path, why));
}

void DataDirectory::close() {
  if (db_ == nullptr) return;
  for (ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  handles_.clear();
  // The destructor flushes memtables that hold rows without a write-ahead log.
  delete std::exchange(db_, nullptr);
}

void DataDirectory::forgo_flush() {
  if (db_ == nullptr) return;
  const Status status = db_->SetDBOptions({{"avoid_flush_during_shutdown", "true"}});
  CLAMOR_ASSERT(status.ok());
}

// A new directory takes its facts from the settings.
void DataDirectory::check_facts() {
  check_fact("data_format", std::to_string(data_format), "made by another version of clamor");
  check_fact("partitions", std::to_string(settings_.partitions), "made for another deployment");
  const bool copies = settings_.payload == QueuePayload::copy;
  check_fact("layout", settings_.layout + (copies ? ", payload copy" : ""),
             "filled under another design or payload");
  const std::string last = read_fact("term").value_or("0");
  const auto number = parse_number(last);
  if (!number) throw OpenError(fmt::format("{}: damaged term '{}'", settings_.path, last));
  term_ = {static_cast<std::uint32_t>(*number + 1)};
  write_fact("term", std::to_string(term_.value));
}

void DataDirectory::check_fact(const char* name, const std::string& expected, const char* meaning) {
  const auto found = read_fact(name);
  if (!found) return write_fact(name, expected);
  if (*found == expected) return;
  throw OpenError(
      fmt::format("{}: the data directory was {}: it has {} {}, the settings say {}. Use those "
                  "settings, or another directory (--data)",
                  settings_.path, meaning, name, *found, expected));
}

std::optional<std::string> DataDirectory::read_fact(const char* name) {
  std::string value;
  const Status status = db_->Get({}, handles_[0], name, &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) throw OpenError(fmt::format("{}: {}", settings_.path, status.ToString()));
  return value;
}

void DataDirectory::write_fact(const char* name, const std::string& value) {
  rocksdb::WriteOptions options;
  options.sync = true;
  const Status status = db_->Put(options, handles_[0], name, value);
  if (!status.ok()) throw OpenError(fmt::format("{}: {}", settings_.path, status.ToString()));
}

}  // namespace clamor::store
