// A server that is taken down lets go of its sessions slice by slice.

#include "server/app/frontend.hpp"
#include "server/protocol/close.hpp"

#include <utility>

namespace clamor::server {

std::size_t Frontend::begin_leaving(std::size_t count) {
  for (; leave_at_ < sessions_.slots() && leaving_.size() < count; ++leave_at_) {
    Session& session = sessions_.at(leave_at_);
    if (session.phase == Phase::closed || session.phase == Phase::closing) continue;
    session.leaving = true;
    leaving_.push_back(sessions_.id_at(leave_at_));
  }
  return leaving_.size();
}

void Frontend::close_leaving() {
  for (const gateway::SessionId id : std::exchange(leaving_, {})) {
    Session* const session = sessions_.find(id);
    if (session == nullptr || session->phase == Phase::closing) continue;
    close(id, *session, protocol::CloseCode::draining, drain_reason());
  }
}

std::string Frontend::drain_reason() const {
  const core::DrainPlan& drain = node_.settings.drain;
  return protocol::close_reason(protocol::ReturnWindow{drain.reconnect_from, drain.reconnect_to},
                                "the server is being taken down");
}

}  // namespace clamor::server
