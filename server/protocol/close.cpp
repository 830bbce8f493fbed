#include "server/protocol/close.hpp"

#include "server/protocol/message.hpp"

#include <charconv>
#include <chrono>

namespace clamor::protocol {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view prefix = "retry_after=";

}  // namespace

Reconnect reconnect_after(std::uint16_t close_code) {
  switch (static_cast<CloseCode>(close_code)) {
    case CloseCode::protocol_error:
    case CloseCode::unsupported_data:
    case CloseCode::invalid_payload:
    case CloseCode::policy:
    case CloseCode::too_big:
      return Reconnect::not_unchanged;
    default:
      break;
  }
  if (close_code >= 4000 && close_code <= 4099) return Reconnect::at_once;
  if (close_code >= 4400 && close_code <= 4499) return Reconnect::not_unchanged;
  return Reconnect::with_back_off;
}

std::string close_reason(Duration retry_after, std::string_view why) {
  if (retry_after <= Duration{}) return std::string{why};
  const auto whole = std::chrono::ceil<milliseconds>(retry_after).count();
  return std::string{prefix} + std::to_string(whole) + "; " + std::string{why};
}

Duration retry_after_of(std::string_view close_reason) {
  if (!close_reason.starts_with(prefix)) return {};
  close_reason.remove_prefix(prefix.size());
  std::uint32_t whole = 0;
  const char* const end = close_reason.data() + close_reason.size();
  const auto [stop, error] = std::from_chars(close_reason.data(), end, whole);
  const bool alone = stop == end || *stop == ';';
  return error == std::errc{} && alone ? milliseconds{whole} : Duration{};
}

}  // namespace clamor::protocol
