// Accounts of users: how their passwords are stored. What a password is, gateways look into.

#include "server/app/owner.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

void Owner::handle(NodeId from, bus::AskAccount&& asked) {
  if (refuse_login(from, asked.session)) return;
  auto stored = store_.account(asked.user);
  if (stored) return node_.bus.send(from, bus::Account{asked.session, std::move(*stored)});
  node_.log.error("an account cannot be read",
                  {{"user", asked.user.value}, {"error", stored.error().what}});
  node_.bus.send(from, bus::Refusal{.session = asked.session,
                                    .code = protocol::RefusalCode::store_failed,
                                    .retry_after = rebuild_retry});
}

void Owner::handle(NodeId from, bus::PutAccount&& put) {
  if (put.session != bus::no_session && refuse_append(from, {.session = put.session})) return;
  if (!put.instead_of.empty()) {
    // The same password at another cost: whatever was set meanwhile stays.
    const auto is_of = [&](const store::AccountRow& row) { return row.user == put.user; };
    const auto sets = [&](const PendingCommit& commit) {
      const auto& accounts = commit.commit->accounts;
      return std::any_of(accounts.begin(), accounts.end(), is_of);
    };
    if (cannot_append() || sets(open_) || std::any_of(pending_.begin(), pending_.end(), sets)) {
      return;
    }
    const auto stored = store_.account(put.user);
    if (!stored || *stored != put.instead_of) return;
  }
  open_.commit->accounts.push_back({put.user, std::move(put.stored)});
  open_.accounts.push_back({from, put.session});
}

void Owner::tell_accounts(const PendingCommit& pending) {
  for (std::size_t i = 0; i < pending.accounts.size(); ++i) {
    const AccountRequest& request = pending.accounts[i];
    if (request.session == bus::no_session) continue;
    node_.bus.send(request.node,
                   bus::AccountPut{request.session, pending.commit->accounts[i].user});
  }
}

}  // namespace clamor::server
