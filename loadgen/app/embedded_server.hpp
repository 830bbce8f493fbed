#pragma once

#include "loadgen/app/child_process.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace clamor::loadgen {

/// A `clamor serve` process of our own, one or several nodes in it, with its data in a folder that
/// the caller removes.
class EmbeddedServer {
 public:
  /// Starts it and waits until it listens. Throws LoadError where it does not within 20 s.
  EmbeddedServer(const std::string& program, const std::filesystem::path& folder,
                 const scenario::Scenario& scenario, const DesignSpec& design,
                 const std::vector<int>& cores, std::uint32_t nodes = 1);

  /// ws://127.0.0.1:port of each node, commas between.
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const std::string& secret() const { return secret_; }  ///< Of its tokens.
  [[nodiscard]] std::optional<ProcessSample> sample() const { return sample_process(child_.pid()); }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }
  /// How it ended, where it has ended by itself.
  [[nodiscard]] std::optional<std::string> died();
  /// What it wrote to its standard error, as the end of a sentence.
  [[nodiscard]] std::string last_words() const;
  /// Ends it by SIGTERM and waits. Returns what was wrong with its end, or nothing.
  [[nodiscard]] std::optional<std::string> stop(Duration longest);

 private:
  static std::string write_settings(const std::filesystem::path& folder,
                                    const scenario::Scenario& scenario, const DesignSpec& design,
                                    const std::string& secret, std::uint32_t nodes);
  void await_listening(std::uint32_t nodes, Duration longest);

  std::string secret_;
  std::filesystem::path error_file_;
  ChildProcess child_;
  std::string url_;
};

}  // namespace clamor::loadgen
