#pragma once

#include <rocksdb/env.h>

#include <memory>
#include <string>

namespace clamor::store {

/// RocksDB's warnings, a line each, at the end of `file`, which is begun anew beyond a megabyte. A
/// line that cannot be written is lost: RocksDB's own log file, in the data directory by default,
/// ends the process by an assertion when the disk is full (7.8, as Debian builds it).
/// Threads may share it.
[[nodiscard]] std::shared_ptr<rocksdb::Logger> info_log(const std::string& file);

}  // namespace clamor::store
