#include "loadgen/net/target.hpp"

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

}  // namespace clamor::loadgen
