#pragma once

#include "server/base/id.hpp"
#include "server/base/queue_design.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace clamor::bench {

/// Messages to channels of `members` members each.
struct QueueLoad {
  std::uint64_t messages = 0;
  std::uint64_t messages_per_commit = 1;
  std::uint64_t channels = 1;  ///< Messages go to them in turn.
  std::uint64_t members = 1000;
  std::uint64_t users = 1000;  ///< Channels' members are neighbours among them, evenly spread.
  std::size_t body_bytes = 100;
  QueuePayload payload = QueuePayload::reference;  ///< Of the packed form.
  /// Messages after which every user acknowledges everything, as online devices do; 0: nobody ever
  /// does. Of the packed form.
  std::uint64_t messages_per_ack = 0;

  [[nodiscard]] std::uint64_t channel_of(std::uint64_t message) const { return message % channels; }
  /// Bytes that do not compress, others for each message.
  [[nodiscard]] std::span<const std::byte> body(std::uint64_t message) const;
  /// The channel's members, ascending.
  [[nodiscard]] std::vector<UserId> members_of(std::uint64_t channel) const;
};

/// What all threads of the process used: CPU time, and bytes that went to the device.
struct Usage {
  double cpu_seconds = 0;
  double device_bytes = 0;
  [[nodiscard]] static Usage now();
  [[nodiscard]] Usage since(const Usage& before) const {
    return {cpu_seconds - before.cpu_seconds, device_bytes - before.device_bytes};
  }
};

/// A directory of its own, gone at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What a form of the queues cost and whether it holds what it should.
struct QueueCost {
  Usage usage;              ///< Log, queues, flushes and compactions, drained.
  double scan_seconds = 0;  ///< To read one user's 64 newest entries, mean.
  std::string fault;        ///< Empty where every user's queue holds its entries.
};

/// One row an entry, one write batch a message, with a write-ahead log: how queues are written by
/// who does not think about it.
[[nodiscard]] QueueCost run_naive(const QueueLoad& load);
/// Clamor's own: a row a user and flush, no write-ahead log.
[[nodiscard]] QueueCost run_packed(const QueueLoad& load);

}  // namespace clamor::bench
