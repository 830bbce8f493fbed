#pragma once

#include "tests/fixed_port.hpp"
#include "tests/integration/link_relay.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/temporary_directory.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace clamor::test {

/// A deployment with a process for each node: real `clamor serve`s on fixed ports, with one data
/// directory that outlives their restarts.
class ServerProcesses {
 public:
  /// `settings` are further lines of the settings file. With a cable the other nodes' links to node
  /// 0 go through it.
  explicit ServerProcesses(const std::string& settings, std::uint32_t nodes,
                           bool with_cable = false)
      : first_port_{fixed_port(2 * nodes + 1)}, processes_(nodes) {
    write_config(config(), settings, port(nodes));
    if (with_cable) {
      cable_.emplace(port(2 * nodes), port(nodes));
      write_config(config_of_others(), settings, port(2 * nodes));
    }
    start_all();
  }
  void start_all() {
    for (std::uint32_t node = 0; node < processes_.size(); ++node) launch(node);
    for (std::uint32_t node = 0; node < processes_.size(); ++node) await_listening(node);
    await_links();
  }

  /// Kills a node's process.
  void drop(std::uint32_t node) {
    processes_[node]->signal(SIGKILL);
    const int code = processes_[node]->wait();
    if (code == -SIGKILL) return;
    throw std::runtime_error("node " + std::to_string(node) +
                             " had ended before it was killed: " + processes_[node]->log());
  }
  void start(std::uint32_t node) {
    launch(node);
    await_listening(node);
    await_links();
  }
  /// Waits until every node reaches so many, itself included; all, unless said otherwise.
  void await_links(std::size_t reached = 0) const {
    if (reached == 0) reached = processes_.size();
    const auto until = std::chrono::steady_clock::now() + TestClient::patience;
    for (const std::uint16_t port : ports()) await(port, reached, until);
  }
  /// The same for one node.
  void await_links_of(std::uint32_t node, std::size_t reached) const {
    await(port(node), reached, std::chrono::steady_clock::now() + TestClient::patience);
  }
  /// @pre there is one
  [[nodiscard]] LinkRelay& cable() { return *cable_; }
  /// Ends them all at the same time, as an operator would; the exit code that is no 0, or 0.
  [[nodiscard]] int stop() {
    for (const auto& process : processes_) process->signal(SIGTERM);
    int code = 0;
    for (const auto& process : processes_) {
      const int own = process->wait();
      if (own != 0) code = own;
    }
    return code;
  }

  [[nodiscard]] std::uint16_t port(std::uint32_t node) const {
    return static_cast<std::uint16_t>(first_port_ + node);
  }
  /// Of all nodes' gateways.
  [[nodiscard]] std::vector<std::uint16_t> ports() const {
    std::vector<std::uint16_t> ports;
    for (std::uint32_t node = 0; node < processes_.size(); ++node) ports.push_back(port(node));
    return ports;
  }
  /// What a node's process wrote to its standard error since its start.
  [[nodiscard]] std::string log(std::uint32_t node) const { return processes_[node]->log(); }
  [[nodiscard]] std::string config() const { return directory_ / "serve.yaml"; }
  [[nodiscard]] std::string data() const { return directory_ / "data"; }

 private:
  static void await(std::uint16_t port, std::size_t reached,
                    std::chrono::steady_clock::time_point until) {
    while (metric(port, "clamor_nodes_up") != static_cast<double>(reached)) {
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("a link is missing");
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
  [[nodiscard]] std::string config_of_others() const { return directory_ / "others.yaml"; }
  void write_config(const std::string& file, const std::string& settings,
                    std::uint16_t bus_of_first) const {
    const auto nodes = static_cast<std::uint32_t>(processes_.size());
    std::ofstream out{file};
    out << "data: " << data() << "\nsecret: " << test_secret << "\nnodes:\n";
    for (std::uint32_t node = 0; node < nodes; ++node) {
      out << "  - {listen: 127.0.0.1:" << port(node)
          << ", bus: 127.0.0.1:" << (node == 0 ? bus_of_first : port(nodes + node)) << "}\n";
    }
    out << settings;
  }
  void launch(std::uint32_t node) {
    const std::string file = cable_ && node != 0 ? config_of_others() : config();
    processes_[node] = std::make_unique<ChildProcess>(
        std::vector<std::string>{CLAMOR_BINARY, "serve", "--config", file, "--host",
                                 std::to_string(node)},
        directory_ / ("node-" + std::to_string(node) + ".log"));
  }
  void await_listening(std::uint32_t node) {
    const std::string line = processes_[node]->read_line();
    if (line == "listening on 127.0.0.1:" + std::to_string(port(node))) return;
    throw std::runtime_error("node " + std::to_string(node) + " did not start: " + line +
                             processes_[node]->log());
  }
  TemporaryDirectory directory_;
  std::uint16_t first_port_;
  std::optional<LinkRelay> cable_;
  std::vector<std::unique_ptr<ChildProcess>> processes_;
};

}  // namespace clamor::test
