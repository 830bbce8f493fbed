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

std::string close_reason(const ReturnWindow& when, std::string_view why) {
  if (when.to <= Duration{}) return std::string{why};
  const auto whole = [](Duration time) {
    return std::to_string(std::chrono::ceil<milliseconds>(time).count());
  };
  std::string text = std::string{prefix} + whole(when.from);
  if (when.to > when.from) text += "-" + whole(when.to);
  return text + "; " + std::string{why};
}

ReturnWindow return_window_of(std::string_view close_reason) {
  if (!close_reason.starts_with(prefix)) return {};
  close_reason.remove_prefix(prefix.size());
  const char* at = close_reason.data();
  const char* const end = at + close_reason.size();
  std::uint32_t from = 0;
  const auto first = std::from_chars(at, end, from);
  if (first.ec != std::errc{}) return {};
  at = first.ptr;
  std::uint32_t to = from;
  if (at != end && *at == '-') {
    const auto second = std::from_chars(at + 1, end, to);
    if (second.ec != std::errc{} || to < from) return {};
    at = second.ptr;
  }
  if (at != end && *at != ';') return {};
  return {milliseconds{from}, milliseconds{to}};
}

}  // namespace clamor::protocol
