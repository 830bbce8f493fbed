#pragma once

#include "loadgen/app/embedded_server.hpp"
#include "loadgen/app/scrape.hpp"
#include "loadgen/app/scratch_folder.hpp"
#include "reports/app/micro_client.hpp"
#include "reports/app/micro_loads.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace clamor::report {

/// One server on one core, one client, and the windows in which the first is measured under the
/// second. Throws MicroLoadError or loadgen::LoadError.
class MicroBench {
 public:
  MicroBench(const MicroLoadOptions& options, const scenario::Scenario& scenario,
             QueueDesign design, int server_core, std::uint32_t client_slots);

  [[nodiscard]] MicroClient& client() { return client_; }
  [[nodiscard]] ChannelId next_channel() { return {++channels_}; }
  [[nodiscard]] loadgen::ServerSample scrape() const;
  [[nodiscard]] loadgen::ProcessSample process() const;

  /// CPU times of the server.
  struct ThreadTimes {
    std::uint64_t io_thread_ns = 0;  ///< The thread that does the turns and nothing else.
    std::uint64_t others_ns = 0;     ///< Committer, queue writer, RocksDB's.
  };
  /// Where a window begins.
  struct Mark {
    loadgen::ServerSample sample;
    ThreadTimes times;
  };
  /// Throws where the user has interrupted.
  [[nodiscard]] Mark mark() const;
  /// What was counted since `before`.
  [[nodiscard]] LoadPoint point(const std::string& load, const Mark& before,
                                std::uint64_t rounds) const;

  /// Runs `round` over and over, for several windows: one point each.
  std::vector<LoadPoint> measure(const std::string& load, std::uint64_t body_bytes_a_round,
                                 const std::function<void()>& round);
  /// Waits until all queue entries are applied.
  void drain_queues() const;
  /// Waits until no more than `sessions` are left.
  void await_sessions(std::uint64_t sessions) const;

 private:
  /// Once the threads are asleep.
  [[nodiscard]] ThreadTimes thread_times() const;

  const MicroLoadOptions& options_;
  loadgen::ScratchFolder folder_{"clamor-calibrate"};
  loadgen::EmbeddedServer server_;
  loadgen::Target target_;
  MicroClient client_;
  std::uint64_t channels_ = 0;
};

}  // namespace clamor::report
