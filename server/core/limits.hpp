#pragma once

#include "server/base/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

// What the live server does by default and the simulator does with it: one place, so that the two
// cannot drift apart. Bounds of a catch-up's page are core::PageLimits.
namespace clamor::core {

/// A sender that is refused for too much at once comes again after this.
inline constexpr Duration retry_when_overloaded = std::chrono::milliseconds{250};

/// A client whose session was closed because it read nothing comes again after this.
inline constexpr Duration retry_when_too_slow = std::chrono::seconds{1};
/// Whoever needs a node of the deployment that is down comes again after this.
inline constexpr Duration retry_when_unavailable = std::chrono::seconds{1};

/// Queue entries wait so long for others to be packed with.
inline constexpr Duration queue_linger = std::chrono::milliseconds{20};

/// Queue entries are gathered in memory, where one that continues its channel's latest run costs
/// nothing, and flushed as rows: after so many journal rows or entries, which a start after a kill
/// applies again, or once they take so much memory.
struct QueueFlushLimits {
  std::uint64_t records = 200'000;
  std::uint64_t entries = 20'000'000;
  std::uint64_t bytes = std::uint64_t{64} << 20U;  ///< queue_write_buffers of the store.
};
/// One fills while another is flushed, as in the store's column families.
inline constexpr std::uint64_t queue_write_buffers = 2;
[[nodiscard]] constexpr bool queue_flush_is_due(const QueueFlushLimits& limits,
                                                std::uint64_t records, std::uint64_t entries,
                                                std::uint64_t bytes) {
  return records >= limits.records || entries >= limits.entries || bytes >= limits.bytes;
}
/// A run in the queues' memory; the row that it becomes is smaller.
inline constexpr std::uint64_t queue_run_memory_bytes = 24;

/// Queues wait for a device until it was silent for so long. Its messages stay in the log.
inline constexpr Duration device_expires_after = std::chrono::hours{30 * 24};
/// Entries that a user's queues hold for devices that are away; beyond, reading logs costs less.
inline constexpr std::uint64_t queue_entries_max = 100'000;

/// Members whom one member_mode record names. More are looked at again a window later.
inline constexpr std::uint32_t member_modes_max = 1000;

/// Users whom one message mentions.
inline constexpr std::uint32_t mentions_max = 50;
/// Edits of one message: a deletion takes them all with it.
inline constexpr std::uint32_t edits_max = 64;
/// Bytes of a reaction's text.
inline constexpr std::uint32_t reaction_bytes_max = 64;
/// Unread mentions of a user in a channel that are counted; there may be more.
inline constexpr std::uint32_t mentions_counted_max = 100;

/// A session's typing notices that come sooner after the last one are dropped.
inline constexpr Duration typing_interval = std::chrono::seconds{1};
/// In a channel with more members nobody is told who writes: it would cost what messages do.
inline constexpr std::uint32_t typing_members_max = 100;

/// After the end of a user's last session it is looked again whether the user is there, before
/// anybody is told "offline": reconnects after a lost connection are mostly back by then.
inline constexpr Duration presence_offline_delay = std::chrono::seconds{5};
/// Users whose presence a session is told about.
inline constexpr std::uint32_t presence_subscriptions_max = 256;
/// Sessions of one gateway that are told about one user; further ones are not.
inline constexpr std::uint32_t presence_watchers_max = 1000;
/// Absences are checked, and what sessions are to be told goes out, in steps of this.
inline constexpr Duration presence_step = std::chrono::milliseconds{100};
/// Sessions that are told in one step: a few percent of a core. The others wait, and get the latest
/// status only.
inline constexpr std::uint32_t presence_sessions_per_step = 500;

/// So many live records wait for a session's last catch-up page; one more, and all of them are
/// dropped and read again in another round.
inline constexpr std::uint32_t catch_up_held_records = 256;

/// Nodes of a deployment: an owner notes in 64 bits who gets a channel's records.
inline constexpr std::uint32_t nodes_max = 64;
/// And those of one process.
inline constexpr std::uint32_t nodes_of_a_process_max = 16;
/// Descriptors of a node beside its sessions': RocksDB's files, the listeners, handshakes and
/// scrapes, links to nodes of other processes.
inline constexpr std::uint64_t descriptors_of_a_node = 656;
/// What is left to the sessions of a process that hosts so many nodes, where nothing else is said.
[[nodiscard]] constexpr std::uint32_t sessions_of_a_process(std::uint64_t descriptors,
                                                            std::uint64_t nodes) {
  constexpr std::uint64_t most = 18'000;
  const std::uint64_t own = nodes * descriptors_of_a_node;
  return static_cast<std::uint32_t>(descriptors > own ? std::min(most, descriptors - own) : 0);
}

}  // namespace clamor::core
