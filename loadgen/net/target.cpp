#include "loadgen/net/target.hpp"

#include "server/core/placement.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <memory>
#include <netdb.h>
#include <utility>

namespace clamor::loadgen {

bool Target::loopback() const { return (ntohl(address.sin_addr.s_addr) >> 24U) == 127; }

namespace {

std::shared_ptr<tls::Context> make_trust(const std::string& authority_file, std::string& error) {
  try {
    return std::make_shared<tls::Context>(tls::Context::client(authority_file));
  } catch (const tls::CertificateError& fault) {
    error = std::string{"ca: "} + fault.what();
    return nullptr;
  }
}

/// As parse_target, but for the trust.
std::optional<Target> parse_address(std::string_view url, bool& secure, std::string& error) {
  const std::string written{url};
  constexpr std::string_view scheme = "ws://";
  constexpr std::string_view secure_scheme = "wss://";
  secure = url.starts_with(secure_scheme);
  if (!secure && !url.starts_with(scheme)) {
    error = "target \"" + written +
            "\": expected ws://host:port or wss://host:port, e.g. ws://127.0.0.1:8080";
    return std::nullopt;
  }
  url.remove_prefix(secure ? secure_scheme.size() : scheme.size());
  Target target;
  const std::size_t slash = url.find('/');
  if (slash != std::string_view::npos) {
    if (slash + 1 < url.size()) target.path = url.substr(slash);
    url = url.substr(0, slash);
  }
  const std::size_t colon = url.rfind(':');
  const std::string_view digits =
      colon == std::string_view::npos ? secure ? "443" : "80" : url.substr(colon + 1);
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

}  // namespace

std::optional<Target> parse_target(std::string_view url, std::string& error,
                                   const std::string& authority_file) {
  std::vector<Target> targets;
  if (url.find(',') == std::string_view::npos) targets = parse_targets(url, error, authority_file);
  if (targets.empty()) return std::nullopt;
  return std::move(targets.front());
}

std::vector<Target> parse_targets(std::string_view urls, std::string& error,
                                  const std::string& authority_file) {
  std::vector<Target> targets;
  std::shared_ptr<tls::Context> trust;
  for (;;) {
    const std::size_t comma = urls.find(',');
    bool secure = false;
    auto target = parse_address(urls.substr(0, comma), secure, error);
    if (!target) return {};
    if (secure && trust == nullptr) {
      trust = make_trust(authority_file, error);
      if (trust == nullptr) return {};
    }
    if (secure) target->trust = trust;
    const auto same = [&](const Target& other) {
      return other.address.sin_addr.s_addr == target->address.sin_addr.s_addr &&
             other.address.sin_port == target->address.sin_port;
    };
    if (std::any_of(targets.begin(), targets.end(), same)) {
      error = "target: " + std::string{urls.substr(0, comma)} +
              " is named twice; expected each node once";
      return {};
    }
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
