#include "loadgen/net/handshake.hpp"

#include <algorithm>
#include <cctype>

namespace clamor::loadgen {
namespace {

constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view expected_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Value of a header field in a response head, or empty.
std::string_view field(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
    at += 2;
    const std::size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_word(line.substr(0, colon), name)) {
      return trimmed(line.substr(colon + 1));
    }
    at = end;
  }
  return {};
}

}  // namespace

std::string handshake_request(const Target& target) {
  return "GET " + target.path + " HTTP/1.1\r\nHost: " + target.host + ":" +
         std::to_string(target.port) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + std::string{key} +
         "\r\nSec-WebSocket-Version: 13\r\n\r\n";
}

HandshakeResult check_handshake(std::string_view answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (answer.size() <= handshake_bytes_max) return {};
    return {HandshakeState::refused, 0, "the response head is longer than 8 KiB"};
  }
  const std::string_view head = answer.substr(0, end + 2);
  const std::string_view status = head.substr(0, head.find("\r\n"));
  if (!status.starts_with("HTTP/1.1 101")) {
    return {HandshakeState::refused, 0, std::string{status.substr(0, 200)}};
  }
  if (field(head, "Sec-WebSocket-Accept") != expected_accept) {
    return {HandshakeState::refused, 0, "Sec-WebSocket-Accept does not answer the key sent"};
  }
  return {HandshakeState::accepted, end + 4, {}};
}

}  // namespace clamor::loadgen
