#pragma once

#include "loadgen/app/child_process.hpp"
#include "loadgen/app/control.hpp"
#include "loadgen/app/embedded_server.hpp"
#include "loadgen/app/load.hpp"
#include "loadgen/app/load_result.hpp"
#include "loadgen/app/scratch_folder.hpp"
#include "loadgen/net/target.hpp"
#include "scenarios/model/plan.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::loadgen {

/// One live run, coordinated: the server, the workers, the barriers between their stages, the
/// samples once a second, the result. See run_load.
class LiveRun {
 public:
  explicit LiveRun(const LoadOptions& options);
  [[nodiscard]] report::RunResult run();

 private:
  struct Worker {
    ChildProcess process;
    ControlChannel control;
    std::string stage_done;  ///< The stage it said it has done last.
    std::uint64_t online = 0;
    std::uint64_t filled = 0;  ///< Messages of the pre-fill that were accepted.
    bool ready = false;
    bool heads_written = false;
    bool finished = false;
    std::filesystem::path heads;
    std::filesystem::path part;
  };
  enum class Waited : std::uint8_t { done, timed_out, interrupted, server_died };

  void check_size();
  /// Fills `nodes_of_`: processes take as many nodes in a row as they have room for.
  void place_nodes();
  void start_server();
  /// Whether the target is what the run is said to be of; takes its durability.
  void check_target();
  void start_workers();
  void order_all(const char* order);
  /// Runs the loop until every worker satisfies `done`, or something else ends the stage.
  template <class Done>
  Waited await(std::string_view stage, Duration longest, Done done);
  /// The same for what needs the workers alone, however the server is; throws where one hangs.
  template <class Done>
  void await_all(std::string_view stage, Done done);
  Waited await_stage(std::string_view stage, const char* worker_stage, Duration longest);
  /// Takes messages until then, or until something ends the stage.
  Waited pause(std::string_view stage, Duration longest);
  void take_messages();
  void take(Worker& worker, const nlohmann::json& message);
  /// A worker says that it cannot go on as asked.
  void break_off(const std::string& why, bool token_refused);
  void watch_processes();
  void tell_progress(std::string_view stage, Instant began);
  [[nodiscard]] std::optional<ServerReading> read_server();
  void create_channels();
  void fill();
  [[nodiscard]] std::optional<ServerSample> settled_sample(const std::string& after);
  /// Highest noted id of each channel, over all workers.
  [[nodiscard]] std::vector<MessageId> collect_heads();
  void await_presence();
  void run_window();
  /// What scrape() says of all of them; their operations with those of servers that were killed.
  [[nodiscard]] std::optional<ServerSample> sample_servers(Duration longest) const;
  // --- kills of the scenario (live_kills.cpp)
  /// Refuses what cannot be killed. Each node that can be has a process of its own.
  void check_kills() const;
  void plan_kills();
  /// Kills and starts what is due.
  void run_kills();
  [[nodiscard]] Duration until_next_kill() const;
  // --- in steps (live_steps.cpp)
  [[nodiscard]] Waited run_steps();
  /// Waits until devices hold all there is and servers have nothing left to do.
  [[nodiscard]] Waited come_to_rest(const std::string& after);
  /// The same of the servers alone; takes their sample.
  [[nodiscard]] Waited rest_servers(const std::string& after);
  [[noreturn]] void fail_to_rest(const std::string& after, const std::string& why) const;
  [[nodiscard]] Duration roll_call_timeout() const;
  void call_roll();
  void collect_parts();
  void describe();
  void leave_open(const std::string& why);

  const LoadOptions& options_;
  scenario::Scenario scenario_;
  scenario::Plan plan_;
  ScratchFolder folder_{"clamor-load"};
  std::vector<int> server_cores_;
  std::vector<int> generator_cores_;
  std::optional<EmbeddedServer> server_;
  Instant server_up_at_;
  std::vector<Target> targets_;
  std::string url_;  ///< Of all of them, commas between.
  std::string secret_;
  std::string authority_file_;
  std::uint64_t connecting_clients_ = 0;  ///< Not dormant.
  std::vector<std::uint32_t> nodes_of_;   ///< Of each process of the embedded server.
  std::vector<Worker> workers_;
  std::optional<SeriesBuilder> series_;
  IntervalRecord latest_;                ///< The last full second, for progress.
  std::vector<MessageId> starts_;        ///< Heads after the pre-fill; empty: 1 everywhere.
  std::optional<ServerSample> created_;  ///< When all channels were there.
  std::optional<ServerSample> before_;
  std::optional<ServerSample> last_sample_;
  /// A kill of servers, or their start after it; by time, while the plan runs and after it.
  struct ServerChange {
    Duration at;  ///< From the window's beginning.
    bool start = false;
    std::vector<std::size_t> servers;
  };
  std::vector<ServerChange> server_changes_;
  std::size_t next_server_change_ = 0;
  Operations of_killed_;   ///< Counted by servers before they were killed.
  bool running_ = false;   ///< In the measured window.
  bool measured_ = false;  ///< The window has begun: from here on there is a result.
  bool server_died_ = false;
  Instant zero_{};
  Duration plan_done_{};  ///< In steps.
  Instant next_progress_{};
  report::RunResult result_;
};

}  // namespace clamor::loadgen
