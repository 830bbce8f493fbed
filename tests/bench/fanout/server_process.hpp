#pragma once

#include "tests/bench/fanout/yardstick.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace clamor::bench {

/// A server in a process of its own on core 0. Ends with its parent at the latest.
class ServerProcess {
 public:
  /// The yardstick, forked from this process.
  static ServerProcess yardstick(Writes writes);
  /// `clamor serve`, per_group, durability os, with a data directory that goes with it; `settings`
  /// are further lines of its settings file.
  static ServerProcess clamor(const std::string& binary, const std::string& settings = {});

  ~ServerProcess();
  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// CPU time of all its threads so far.
  [[nodiscard]] double cpu_seconds() const;
  [[nodiscard]] std::uint64_t resident_bytes() const;

 private:
  ServerProcess() = default;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  std::string directory_;
};

/// Secret of the login tokens that the started server accepts.
inline constexpr const char* server_secret = "the fan-out bench";

/// Puts the calling thread on one core. Throws where the machine does not have it.
void pin_to_core(int core);

}  // namespace clamor::bench
