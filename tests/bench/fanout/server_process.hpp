#pragma once

#include "tests/bench/fanout/yardstick.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clamor::bench {

/// A server in a process of its own. Ends with its parent at the latest.
class ServerProcess {
 public:
  /// The yardstick, forked from this process, on core 0.
  static ServerProcess yardstick(Writes writes);
  /// `clamor serve`, per_group, durability os, with a data directory that goes with it; `settings`
  /// are further lines of its settings file. On core 0.
  static ServerProcess clamor(const std::string& binary, const std::string& settings = {});
  /// The same with so many nodes, each on a core of its own (`threads: pinned`).
  static ServerProcess clamor_nodes(const std::string& binary, std::uint32_t nodes);

  ~ServerProcess();
  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&&) = delete;

  [[nodiscard]] std::uint16_t port() const { return ports_.front(); }
  /// A node's each.
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }
  /// CPU time of all its threads so far.
  [[nodiscard]] double cpu_seconds() const;
  [[nodiscard]] std::uint64_t resident_bytes() const;

 private:
  ServerProcess() = default;
  static ServerProcess started(const std::string& binary, const std::string& settings,
                               std::uint32_t nodes, bool on_one_core);
  pid_t pid_ = -1;
  std::vector<std::uint16_t> ports_;
  std::string directory_;
};

/// Secret of the login tokens that the started server accepts.
inline constexpr const char* server_secret = "the fan-out bench";

/// Puts the calling thread on one core. Throws where the machine does not have it.
void pin_to_core(int core);

}  // namespace clamor::bench
