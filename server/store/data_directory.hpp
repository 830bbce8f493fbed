#pragma once

#include "server/store/log_marks.hpp"
#include "server/store/store.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rocksdb {
class Cache;
class ColumnFamilyHandle;
class DB;
}  // namespace rocksdb

namespace clamor::store {

/// An open RocksDB directory with our column families, and the facts that hold for its life: data
/// format, number of partitions, layout of the queues. Opening it counts up the term.
class DataDirectory {
 public:
  /// Opens or creates it. Throws OpenError.
  explicit DataDirectory(const StoreSettings& settings);
  ~DataDirectory() { close(); }
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  /// Opens it again after close(), in the same term. Throws OpenError.
  void open();
  /// Flushes rows that have no write-ahead log, then closes. No call may be under way.
  void close();
  /// Has close() flush nothing: what is not on disk by now is lost, as by a kill.
  void forgo_flush();
  [[nodiscard]] bool is_open() const { return db_ != nullptr; }

  // @pre is_open()
  [[nodiscard]] rocksdb::DB& db() const { return *db_; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* facts() const { return handles_[0]; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* log() const { return handles_[1]; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* journal() const { return handles_[2]; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* queues() const { return handles_[3]; }

  [[nodiscard]] const std::vector<rocksdb::ColumnFamilyHandle*>& families() const {
    return handles_;
  }

  /// What compactions of the log drop.
  [[nodiscard]] LogMarks& marks() const { return *marks_; }

  [[nodiscard]] const StoreSettings& settings() const { return settings_; }
  [[nodiscard]] Term term() const { return term_; }

 private:
  void check_facts();
  void check_fact(const char* name, const std::string& expected, const char* meaning);
  [[nodiscard]] std::optional<std::string> read_fact(const char* name);
  void write_fact(const char* name, const std::string& value);

  const StoreSettings settings_;
  const std::shared_ptr<LogMarks> marks_ = std::make_shared<LogMarks>();
  std::shared_ptr<rocksdb::Cache> cache_;
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  ///< Facts, log, journal, queues.
  Term term_;
};

}  // namespace clamor::store
