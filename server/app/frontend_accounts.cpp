// Passwords: what clients ask before they log in. The account is its user's owner's, the work of
// looking into it this node's: a password goes no further than the gateway that got it.

#include "server/app/frontend.hpp"
#include "server/host/clock.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <utility>

namespace clamor::server {

using protocol::CloseCode;
using protocol::RefusalCode;

static_assert(token::password_bytes_max == protocol::password_bytes_max);

bool Frontend::refuse_account(gateway::SessionId id, const Session& session, UserId user) {
  if (session.phase != Phase::connected) {
    refuse(id, {.code = RefusalCode::already_logged_in});
  } else if (logins_end_) {
    refuse_and_close(id, {.code = RefusalCode::shutting_down, .retry_after = retry_when_draining},
                     CloseCode::draining);
  } else if (const auto admission = core::admit(core::MessageClass::login, node_.admission);
             !admission.taken) {
    // A password is the longest way to a login: it is turned away with them.
    ++node_.operations.logins_refused;
    refuse_and_close(id,
                     {.code = RefusalCode::overloaded,
                      .retry_after = admission.retry_after,
                      .detail = "too much waits; logins are refused for a while"},
                     CloseCode::overloaded);
  } else if (user == UserId{}) {
    refuse_and_close(id, {.code = RefusalCode::malformed, .detail = "users are numbered from 1"},
                     CloseCode::malformed);
  } else if (!node_.bus.is_up(node_.directory.owner(user))) {
    refuse_unavailable(id);
  } else if (session.awaits_account) {
    refuse(id, {.code = RefusalCode::too_many_pending,
                .retry_after = passwords_.delay(),
                .detail = "one password at a time"});
  } else if (asking_.size() + passwords_.waiting() >= node_.settings.passwords_waiting_max) {
    refuse_for_passwords(id);
  } else {
    return false;
  }
  return true;
}

void Frontend::refuse_for_passwords(gateway::SessionId id) {
  refuse(id, {.code = RefusalCode::overloaded,
              .retry_after = passwords_.delay(),
              .detail = "too many passwords wait to be checked"});
}

template <class Result, class Then>
auto Frontend::on_own_thread(Then then) {
  return [this, then = std::move(then)](Result result) {
    boost::asio::post(io_, [this, then, result = std::move(result)]() mutable {
      node_.begin_turn();
      ++node_.operations.posts;
      then(std::move(result));
    });
  };
}

Session* Frontend::waiting_for_account(gateway::SessionId id) {
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase != Phase::connected) return nullptr;
  return std::exchange(session->awaits_account, false) ? session : nullptr;
}

// --- a token for a password ----------------------------------------------------------------------

void Frontend::handle(gateway::SessionId id, Session& session,
                      const protocol::Authenticate& asked) {
  if (refuse_account(id, session, asked.user)) return;
  session.awaits_account = true;
  asking_[ticket_of(id)] = {asked.user, token::Password{asked.password}};
  node_.bus.send(node_.directory.owner(asked.user), bus::AskAccount{ticket_of(id), asked.user});
}

void Frontend::handle(NodeId, bus::Account&& account) {
  const auto found = asking_.find(account.session);
  if (found == asking_.end()) return;  // The session has ended.
  Asking asking = std::move(found->second);
  asking_.erase(found);
  const gateway::SessionId id = session_of(account.session);
  const bool taken =
      passwords_.check(account.stored, std::move(asking.password),
                       on_own_thread<token::PasswordPool::Checked>(
                           [this, id, user = asking.user, stored = account.stored](auto checked) {
                             on_checked(id, user, stored, std::move(checked));
                           }));
  if (!taken && waiting_for_account(id) != nullptr) refuse_for_passwords(id);
}

void Frontend::on_checked(gateway::SessionId id, UserId user, const std::string& stored,
                          token::PasswordPool::Checked checked) {
  const bool right = checked.verdict == token::PasswordVerdict::right;
  if (right) ++node_.incidents.passwords_right;
  if (checked.verdict == token::PasswordVerdict::wrong) ++node_.incidents.passwords_wrong;
  if (right && !checked.rehashed.empty()) {
    node_.bus.send(node_.directory.owner(user),
                   bus::PutAccount{bus::no_session, user, std::move(checked.rehashed), stored});
  }
  if (waiting_for_account(id) == nullptr) return;
  if (checked.verdict == token::PasswordVerdict::no_memory) return refuse_for_passwords(id);
  if (!right) {
    return refuse_and_close(
        id, {.code = RefusalCode::wrong_password, .detail = "wrong user or password"},
        CloseCode::unauthorized);
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(node_.settings.token_for).count();
  const std::string token = token::mint(key_, user, unix_seconds() + seconds);
  // A session without a login has nothing else that waits for it.
  if (!gateway_->send(id, frame_of(protocol::TokenGranted{token, node_.settings.token_for}))) {
    close_slow(id, *sessions_.find(id), "reads nothing");
  }
}

// --- accounts ------------------------------------------------------------------------------------

void Frontend::handle(gateway::SessionId id, Session& session, const protocol::SetAccount& set) {
  const auto verdict = token::check_operator(key_, set.operator_token, unix_seconds());
  if (verdict != token::OperatorVerdict::holds) {
    return refuse_and_close(id,
                            {.code = RefusalCode::bad_token, .detail = token::fault_of(verdict)},
                            CloseCode::unauthorized);
  }
  if (refuse_account(id, session, set.user)) return;
  if (!set.password.empty() && set.password.size() < token::password_bytes_min) {
    return refuse(id,
                  {.code = RefusalCode::not_allowed, .detail = "a password has 8 to 1,024 bytes"});
  }
  session.awaits_account = true;
  if (set.password.empty()) return on_hashed(id, set.user, {});
  const bool taken =
      passwords_.hash(token::Password{set.password},
                      on_own_thread<std::string>([this, id, user = set.user](std::string stored) {
                        // Without memory for it nothing is stored: an empty text would remove the
                        // account.
                        if (!stored.empty()) return on_hashed(id, user, std::move(stored));
                        if (waiting_for_account(id) != nullptr) refuse_for_passwords(id);
                      }));
  if (!taken && waiting_for_account(id) != nullptr) refuse_for_passwords(id);
}

void Frontend::on_hashed(gateway::SessionId id, UserId user, std::string stored) {
  const Session* const session = sessions_.find(id);
  if (session == nullptr || !session->awaits_account) return;
  const NodeId owner = node_.directory.owner(user);
  if (!node_.bus.is_up(owner)) return refuse_unavailable(id);
  asking_[ticket_of(id)] = {.user = user, .password = {}};
  node_.bus.send(owner, bus::PutAccount{ticket_of(id), user, std::move(stored), {}});
}

void Frontend::handle(NodeId, bus::AccountPut&& put) {
  ++node_.incidents.accounts_set;
  asking_.erase(put.session);
  const gateway::SessionId id = session_of(put.session);
  if (waiting_for_account(id) == nullptr) return;
  node_.log.info("account set or removed", {{"user", put.user.value}});
  if (!gateway_->send(id, frame_of(protocol::AccountSet{put.user}))) {
    close_slow(id, *sessions_.find(id), "reads nothing");
  }
}

}  // namespace clamor::server
