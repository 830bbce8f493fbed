#pragma once

#include "loadgen/net/descriptor.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clamor::loadgen {

/// A process that this one started, in a process group of its own (Ctrl-C in a terminal does not
/// reach it) and bound to die with its parent. It gets our environment but for CLAMOR_ variables:
/// its settings are ours to make. Destroying it kills and reaps it.
class ChildProcess {
 public:
  struct Options {
    std::string program;
    std::vector<std::string> arguments;
    std::vector<int> cores;       ///< Pinned to them; empty: not pinned.
    int inherited_fd = -1;        ///< Becomes descriptor 3 of the child; all others are closed.
    bool preferred = false;       ///< Runs before others on its cores, where we may ask for that.
    std::string error_file;       ///< Takes its stderr; empty: stderr stays ours.
    bool capture_output = false;  ///< stdout comes through output().
  };
  /// Starts it. Throws std::system_error where fork or pipe fails; a program that cannot be
  /// executed ends with code 127.
  explicit ChildProcess(const Options& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Read end of its stdout where captured.
  [[nodiscard]] int output() const { return output_.get(); }
  /// How it ended ("exit code 1", "signal 9 (Killed)"), if it has.
  [[nodiscard]] std::optional<std::string> ended();
  /// Whether it has ended with exit code 0. @pre ended().
  [[nodiscard]] bool ended_well() const { return status_ == 0; }
  void signal(int number) const;
  /// Waits until it ends, at most `longest`.
  std::optional<std::string> wait(Duration longest);

 private:
  pid_t pid_ = -1;
  bool reaped_ = false;
  int status_ = 0;
  Descriptor output_;
};

/// CPU time, memory and device writes of a process, from /proc; nothing where it is gone.
struct ProcessSample {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t written_bytes = 0;
};
[[nodiscard]] std::optional<ProcessSample> sample_process(pid_t pid);

}  // namespace clamor::loadgen
