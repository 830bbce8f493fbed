#pragma once

#include "loadgen/net/recorder.hpp"
#include "loadgen/net/swarm.hpp"
#include "loadgen/user/verifier.hpp"
#include "server/base/ledger_totals.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace clamor::loadgen {

/// What one worker hands to the coordinator at the end of a run, besides its ledger.
struct WorkerPart {
  LedgerTotals totals;
  Recording recording;
  std::vector<std::string> findings;
  std::uint64_t asked = 0;
  std::uint64_t opened = 0;
  std::uint64_t unsettled = 0;  ///< Sends without an ack after the roll call's first pass.
  std::uint64_t unsynced = 0;   ///< Devices that did not sync in its second pass.
  double cpu_seconds = 0;       ///< In the measured window.
  std::uint64_t memory_bytes = 0;
};

/// Writes a worker's part: its notes, its rows, the rest. Files are read by the same program on the
/// same host, so numbers are in its own byte order. Throws std::runtime_error.
void write_part(const std::filesystem::path& file, const WorkerPart& part, const Ledger& ledger);

/// Reads the notes of a part into a verifier that is not sealed yet.
void read_notes(const std::filesystem::path& file, Verifier& verifier);
/// Reads a part, its rows judged by the sealed verifier on the way, one client at a time.
[[nodiscard]] WorkerPart read_part(const std::filesystem::path& file, Verifier& verifier);

/// Highest noted id of each channel, as a file: workers write theirs, the coordinator merges them.
void write_heads(const std::filesystem::path& file, const std::vector<MessageId>& heads);
[[nodiscard]] std::vector<MessageId> read_heads(const std::filesystem::path& file);

}  // namespace clamor::loadgen
