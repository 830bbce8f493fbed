#pragma once

#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"
#include "server/core/limits.hpp"
#include "server/core/sync.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace clamor::server {

using namespace std::chrono_literals;

/// Shorter ones are guessed too easily: who knows the secret may log in as anybody.
inline constexpr std::size_t secret_bytes_min = 16;

/// Everything that `clamor serve` can be told; frozen once read. Keys of the settings file are
/// named in settings.cpp, `--print-config` prints them all.
struct Settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 7100;  ///< Of the first node, others follow; 0: any, ready lines name them.
  std::string data = "clamor-data";
  std::uint32_t nodes = 1;  ///< In this process; fixed once the data directory is filled.
  std::string secret;       ///< Of the login tokens; secret_bytes_min or more. No default.
  DesignSpec design{QueueDesign::per_user};
  store::Durability durability = store::Durability::fsync;
  AckAfter ack_after = AckAfter::log;
  QueuePayload payload = QueuePayload::reference;

  Duration resume_for = 24h;  ///< So long after a login by token its resume token holds.
  Duration heartbeat_interval = 5s;
  Duration offline_after = 30s;

  // Limits: what lies beyond is refused by name, or closes the session.
  /// Of all nodes, each of which takes an equal share: a process holds 20,000 descriptors.
  std::uint32_t sessions_max = 18'000;
  std::uint32_t message_bytes_max = 128 * 1024;
  std::uint32_t body_bytes_max = 16 * 1024;
  std::uint32_t group_members_max = 10'000;
  std::uint32_t session_buffer_bytes = 256 * 1024;
  Duration session_buffer_age = 10s;
  std::uint64_t commit_queue_bytes = std::uint64_t{64} << 20U;
  std::uint64_t fan_out_lag_records = 200'000;  ///< Senders are slowed beyond it.
  /// As above, by planned queue entries, which take 32 bytes each: in a large group one record has
  /// thousands.
  std::uint64_t fan_out_lag_entries = 4'000'000;
  /// Live records that wait for a catch-up's end.
  std::uint32_t catch_up_held_records = core::catch_up_held_records;
  std::uint64_t queue_entries_max = core::queue_entries_max;
  Duration device_expires_after = core::device_expires_after;

  core::PageLimits page;
  std::uint32_t tail_records = 64;  ///< Per channel.
  Duration tail_age = 5s;

  /// Queue entries wait so long for others to be packed with.
  Duration queue_linger = core::queue_linger;
  /// Journal rows after which the queues are flushed: what a kill leaves to redo.
  std::uint64_t queue_flush_records = core::QueueFlushLimits{}.records;
  std::uint64_t block_cache_bytes = std::uint64_t{64} << 20U;
  std::uint64_t write_buffer_bytes = std::uint64_t{32} << 20U;
};

/// Reads a settings file over the defaults. Throws scenario::ConfigError with every fault as
/// `file:line:column: ...`.
[[nodiscard]] Settings read_settings(const std::string& path);

/// `nodes` of one process are at most so many.
inline constexpr std::uint32_t nodes_max = 16;

/// Sets address and port from `ADDRESS:PORT`. Throws scenario::ConfigError naming `origin`.
void set_listen(Settings& settings, const std::string& text, const std::string& origin);

/// The effective settings as a settings file; the secret is left out.
[[nodiscard]] std::string print_settings(const Settings& settings);

/// `per_user`, or `hybrid up to 500 members`: names how the data directory's queues are laid out.
[[nodiscard]] std::string layout_of(const DesignSpec& design);

}  // namespace clamor::server
