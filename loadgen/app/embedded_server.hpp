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
  /// all listen and reach one another. Throws LoadError where they do not within 20 s.
  EmbeddedServer(const std::string& program, const std::filesystem::path& folder,
                 const scenario::Scenario& scenario, const DesignSpec& design,
                 const std::vector<int>& cores, const std::vector<std::uint32_t>& nodes_of = {1},
                 bool tls = false);

  /// What signs its certificate; empty without TLS.
  [[nodiscard]] const std::string& authority_file() const { return authority_file_; }
  /// ws://127.0.0.1:port of each node, or wss://, commas between.
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const std::string& secret() const { return secret_; }  ///< Of its tokens.
  /// Of all processes together; nothing where one is gone.
  [[nodiscard]] std::optional<ProcessSample> sample() const;
  /// Of the first process.
  [[nodiscard]] pid_t pid() const { return processes_.front().child.pid(); }
  /// How it ended, where a process has ended by itself.
  [[nodiscard]] std::optional<std::string> died();
  /// What was written to standard error, as the end of a sentence.
  [[nodiscard]] std::string last_words() const;
  /// Ends it by SIGTERM and waits. Returns what was wrong with its end, or nothing.
  [[nodiscard]] std::optional<std::string> stop(Duration longest);

 private:
  struct Process {
    ChildProcess child;
    std::filesystem::path error_file;
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
  std::string url_;
};

}  // namespace clamor::loadgen
