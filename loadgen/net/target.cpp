#include "loadgen/net/target.hpp"

#include "server/core/placement.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <memory>
#include <netdb.h>

namespace clamor::loadgen {

bool Target::loopback() const { return (ntohl(address.sin_addr.s_addr) >> 24U) == 127; }

std::optional<Target> parse_target(std::string_view url, std::string& error) {
  const std::string written{url};
  constexpr std::string_view scheme = "ws://";
  if (!url.starts_with(scheme)) {
    error = "target \"" + written + "\": expected ws://host:port, e.g. ws://127.0.0.1:8080";
    return std::nullopt;
  }
  url.remove_prefix(scheme.size());
  Target target;
  const std::size_t slash = url.find('/');
  if (slash != std::string_view::npos) {
    if (slash + 1 < url.size()) target.path = url.substr(slash);
    url = url.substr(0, slash);
  }
  const std::size_t colon = url.rfind(':');
  const std::string_view digits = colon == std::string_view::npos ? "80" : url.substr(colon + 1);
  target.host = url.substr(0, colon);
  const auto [end, bad] =
      std::from_chars(digits.data(), digits.data() + digits.size(), target.port);
  if (bad != std::errc{} || end != digits.data() + digits.size() || target.port == 0 ||
      target.host.empty()) {
    error = "target \"" + written + "\": expected a host and a port from 1 to 65535 after ws://";
    return std::nullopt;
  }
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(target.host.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    error = "target \"" + written + "\": cannot resolve \"" + target.host +
            "\" to an IPv4 address: " + gai_strerror(failed);
    return std::nullopt;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, &freeaddrinfo};
  target.address = *reinterpret_cast<const sockaddr_in*>(found->ai_addr);
  target.address.sin_port = htons(target.port);
  return target;
}

std::vector<Target> parse_targets(std::string_view urls, std::string& error) {
  std::vector<Target> targets;
  for (;;) {
    const std::size_t comma = urls.find(',');
    auto target = parse_target(urls.substr(0, comma), error);
    if (!target) return {};
    targets.push_back(std::move(*target));
    if (comma == std::string_view::npos) break;
    urls.remove_prefix(comma + 1);
  }
  if (targets.size() > targets_max) {
    error = "target: " + std::to_string(targets.size()) + " are named, expected at most " +
            std::to_string(targets_max);
    return {};
  }
  return targets;
}

std::uint16_t target_of(UserId user, std::size_t targets) {
  if (targets < 2) return 0;
  std::vector<NodeId> nodes(targets);
  for (std::uint32_t i = 0; i < targets; ++i) nodes[i] = {i};
  return static_cast<std::uint16_t>(core::gateway_of(user, nodes).value);
}

}  // namespace clamor::loadgen
