#include "loadgen/net/close_codes.hpp"

#include "server/protocol/close.hpp"
#include "server/protocol/message.hpp"

namespace clamor::loadgen {

Disconnected disconnected_by(std::uint16_t close_code, std::string_view reason) {
  if (close_code == 0) return {};
  if (close_code == static_cast<std::uint16_t>(protocol::CloseCode::superseded)) {
    return {Ended::superseded};
  }
  const auto [from, to] = protocol::return_window_of(reason);
  switch (protocol::reconnect_after(close_code)) {
    case protocol::Reconnect::at_once:
      return {Ended::go_again, from, to};
    case protocol::Reconnect::with_back_off:
      return {Ended::back_off, from, to};
    case protocol::Reconnect::not_unchanged:
      break;
  }
  return {Ended::for_good};
}

}  // namespace clamor::loadgen
