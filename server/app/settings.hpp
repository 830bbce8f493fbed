#pragma once

#include "server/app/places.hpp"
#include "server/base/id.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"
#include "server/core/admission.hpp"
#include "server/core/drain.hpp"
#include "server/core/limits.hpp"
#include "server/core/retention.hpp"
#include "server/core/sync.hpp"
#include "server/core/token_bucket.hpp"
#include "server/log/log.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"
#include "server/tls/context.hpp"
#include "server/token/password.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clamor::server {

using namespace std::chrono_literals;

/// Shorter ones are guessed too easily: who knows the secret may log in as anybody.
inline constexpr std::size_t secret_bytes_min = 16;

/// Where the I/O threads of a process's nodes run.
enum class Threads : std::uint8_t {
  free,    ///< Where the system puts them.
  pinned,  ///< Each on a core of its own, and its sessions with it.
};

/// Everything that `clamor serve` can be told; frozen once read. Keys of the settings file are
/// named in settings.cpp, `--print-config` prints them all.
struct Settings {
  /// Of the first node's gateway, others follow; port 0: any, ready lines name them.
  Address listen{.port = 7100};
  std::string data = "clamor-data";
  std::uint32_t nodes = 1;        ///< Of the deployment; fixed once a data directory is filled.
  std::vector<NodePlace> places;  ///< One a node, in place of `listen`; empty: all in this process.
  std::vector<NodeId> hosts;      ///< Those of this process, ascending, where there are places.
  Threads threads = Threads::free;
  std::string secret;  ///< Of the login tokens; secret_bytes_min or more. No default.
  DesignSpec design{QueueDesign::per_user};
  store::Durability durability = store::Durability::fsync;
  AckAfter ack_after = AckAfter::log;
  QueuePayload payload = QueuePayload::reference;

  std::optional<tls::CertificateFiles> tls;  ///< Connections are plain without.
  log::LogSettings log;

  Duration resume_for = 24h;  ///< So long after a login by token its resume token holds.
  Duration token_for = 12h;   ///< So long a login token that a password got holds.
  token::PasswordCost password_cost;
  std::uint32_t password_threads = 1;        ///< A node's.
  std::uint32_t passwords_waiting_max = 64;  ///< Of a node; beyond, clients are told to come again.
  Duration heartbeat_interval = 5s;
  Duration offline_after = 30s;
  Duration offline_delay =
      core::presence_offline_delay;  ///< From a session's end to its being told.

  // Limits: what lies beyond is refused by name, or closes the session.
  /// Of the process, whose nodes take equal shares: a process holds 20,000 descriptors.
  std::uint32_t sessions_max = 0;  ///< 0: core::sessions_of_a_process.
  std::uint32_t message_bytes_max = 128 * 1024;
  std::uint32_t body_bytes_max = 16 * 1024;
  std::uint32_t group_members_max = 10'000;
  /// Beyond it a user's own joins and creations are refused; being added by others is not.
  std::uint32_t channels_per_user_max = 10'000;
  std::uint32_t session_buffer_bytes = 256 * 1024;
  Duration session_buffer_age = 10s;
  /// Beyond these senders are slowed.
  std::uint64_t commit_queue_bytes = core::AppendLimits{}.commit_bytes;
  std::uint64_t fan_out_lag_records = core::AppendLimits{}.lag_records;
  std::uint64_t fan_out_lag_entries = core::AppendLimits{}.lag_entries;
  /// Live records that wait for a catch-up's end.
  std::uint32_t catch_up_held_records = core::catch_up_held_records;
  std::uint64_t queue_entries_max = core::queue_entries_max;
  Duration device_expires_after = core::device_expires_after;

  core::AdmissionLimits admission;

  // Rates: how often somebody may do something; no limit unless set.
  core::Rate send_rate{.burst = 100};        ///< Sends of a user, resends included.
  core::Rate request_rate{.burst = 100};     ///< Creations, joins, leaves and reads of a user.
  core::Rate connection_rate{.burst = 100};  ///< Connections of a source address, at each node.

  core::DrainPlan drain;      ///< What a first SIGTERM does with the sessions.
  core::Retention retention;  ///< Of the channels' logs.

  core::PageLimits page;
  std::uint32_t tail_records = 64;  ///< Per channel.
  Duration tail_age = 5s;

  /// Queue entries wait so long for others to be packed with.
  Duration queue_linger = core::queue_linger;
  /// Journal rows after which the queues are flushed: what a kill leaves to redo.
  std::uint64_t queue_flush_records = core::QueueFlushLimits{}.records;
  /// Where logs are trimmed, the queues are flushed so long after their first entry in any case.
  Duration queue_flush_after = core::queue_flush_after;
  std::uint64_t block_cache_bytes = std::uint64_t{64} << 20U;
  std::uint64_t write_buffer_bytes = std::uint64_t{32} << 20U;
};

/// Reads a settings file over the defaults. Throws scenario::ConfigError with every fault as
/// `file:line:column: ...`.
[[nodiscard]] Settings read_settings(const std::string& path);

/// The nodes that this process hosts.
[[nodiscard]] std::vector<NodeId> hosted(const Settings& settings);
/// Where a hosted node's gateway listens.
[[nodiscard]] Address listen_of(const Settings& settings, NodeId node);

/// Sets `listen` from `ADDRESS:PORT`. Throws scenario::ConfigError naming `origin`.
void set_listen(Settings& settings, const std::string& text, const std::string& origin);

/// What is wrong between the settings, whoever set them; empty where nothing is.
[[nodiscard]] std::vector<std::string> faults_of(const Settings& settings);

/// The effective settings as a settings file; the secret is left out.
[[nodiscard]] std::string print_settings(const Settings& settings);

/// Keeps those who choose keys from meeting others in one place of a core::TokenBuckets.
[[nodiscard]] std::uint64_t rate_seed(const std::string& secret);

/// `per_user`, or `hybrid up to 500 members`: names how the data directory's queues are laid out.
[[nodiscard]] std::string layout_of(const DesignSpec& design);

}  // namespace clamor::server
