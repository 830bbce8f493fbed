#pragma once

#include "server/app/deployment.hpp"
#include "server/app/settings.hpp"
#include "server/core/placement.hpp"
#include "server/directory/directory.hpp"
#include "tests/integration/server_process.hpp"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace clamor::test {

/// A server of several nodes in the test's own process, so that one of them can be lost alone.
class LocalNodes {
 public:
  static constexpr std::uint32_t count = 3;

  /// `settings` are further lines of the settings file; port 0 takes any free ones.
  explicit LocalNodes(const std::string& settings, std::uint16_t port = 0) {
    const std::string config = directory_ / "serve.yaml";
    std::ofstream{config} << "listen: 127.0.0.1:" << port << "\ndata: " << data()
                          << "\nsecret: " << test_secret << "\nnodes: " << count << "\n"
                          << settings;
    settings_ = server::read_settings(config);
    start_all();
  }
  void start_all() { deployment_.emplace(settings_); }

  void drop(std::uint32_t node) { deployment_->drop({node}); }
  void start(std::uint32_t node) { deployment_->start({node}); }
  /// Ends them all as an operator would: from here on their data can be read. 0, as of a process.
  int stop() {
    deployment_->stop();
    deployment_.reset();
    return 0;
  }

  [[nodiscard]] std::vector<std::uint16_t> ports() const { return deployment_->ports(); }
  [[nodiscard]] std::uint16_t port(std::uint32_t node) const { return ports().at(node); }
  [[nodiscard]] std::string data() const { return directory_ / "data"; }

  /// The first user, or channel, from `from` on that a node of so many owns.
  [[nodiscard]] static std::uint64_t user_of(std::uint32_t node, std::uint64_t from = 1,
                                             std::uint32_t nodes = count) {
    return first_of<UserId>(node, from, nodes);
  }
  [[nodiscard]] static std::uint64_t channel_of(std::uint32_t node, std::uint64_t from = 1,
                                                std::uint32_t nodes = count) {
    return first_of<ChannelId>(node, from, nodes);
  }

 private:
  template <class Which>
  [[nodiscard]] static std::uint64_t first_of(std::uint32_t node, std::uint64_t from,
                                              std::uint32_t nodes) {
    std::vector<NodeId> ids;
    for (std::uint32_t id = 0; id < nodes; ++id) ids.push_back({id});
    const directory::Directory directory{ids, core::partition_count(nodes)};
    while (directory.owner(Which{from}) != NodeId{node}) ++from;
    return from;
  }

  TemporaryDirectory directory_;
  server::Settings settings_;
  std::optional<server::Deployment> deployment_;
};

}  // namespace clamor::test
