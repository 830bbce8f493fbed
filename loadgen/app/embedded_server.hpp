#pragma once

#include "loadgen/app/child_process.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace clamor::loadgen {

/// A deployment of our own: `clamor serve` processes, each with one or several nodes, their data in
/// a folder that the caller removes.
class EmbeddedServer {
 public:
  /// Starts a process for each item of `nodes_of`, with so many of the nodes in it, and waits until
  /// all listen and reach one another. Throws LoadError where they do not within 20 s. Where the
  /// scenario kills servers, each keeps its port.
  EmbeddedServer(const std::string& program, const std::filesystem::path& folder,
                 const scenario::Scenario& scenario, const DesignSpec& design,
                 const std::vector<int>& cores, const std::vector<std::uint32_t>& nodes_of = {1},
                 bool tls = false);

  /// What signs its certificate; empty without TLS.
  [[nodiscard]] const std::string& authority_file() const { return authority_file_; }
  /// ws://127.0.0.1:port of each node, or wss://, commas between.
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const std::string& secret() const { return secret_; }  ///< Of its tokens.
  /// Of all processes together, those included that were killed; nothing where one is gone by
  /// itself.
  [[nodiscard]] std::optional<ProcessSample> sample() const;
  /// Of the first process.
  [[nodiscard]] pid_t pid() const { return processes_.front().child->pid(); }
  [[nodiscard]] std::size_t processes() const { return processes_.size(); }
  /// Ends a process as by kill -9, until start_again(). @pre it runs
  void kill(std::size_t process);
  /// @pre it was killed
  void start_again(std::size_t process);
  /// Processes that were started again, listened since the last call and had not before.
  [[nodiscard]] std::vector<std::size_t> listen_again();
  /// How it ended, where a process has ended by itself.
  [[nodiscard]] std::optional<std::string> died();
  /// What was written to standard error, as the end of a sentence.
  [[nodiscard]] std::string last_words() const;
  /// Ends it by SIGTERM and waits. Returns what was wrong with its end, or nothing.
  [[nodiscard]] std::optional<std::string> stop(Duration longest);

 private:
  struct Process {
    ChildProcess::Options options;
    std::optional<ChildProcess> child;  ///< Nothing while it is killed.
    bool awaited = false;               ///< It was started again, and does not listen yet.
  };
  void start(const std::string& program, const std::filesystem::path& folder,
             const std::string& settings, const std::vector<int>& cores,
             const std::vector<std::uint32_t>& nodes_of);
  /// Writes a certificate; returns the settings that name it.
  [[nodiscard]] std::string make_certificate(const std::filesystem::path& folder);
  void await_listening(Process& process, std::uint32_t nodes, Instant deadline);
  void await_links(std::size_t nodes, Instant deadline);
  [[noreturn]] void fail_to_start(const std::string& why);

  std::string secret_;
  std::string authority_file_;
  std::vector<Process> processes_;
  ProcessSample ended_;  ///< Of processes that were killed: what they had used.
  std::string url_;
};

}  // namespace clamor::loadgen
