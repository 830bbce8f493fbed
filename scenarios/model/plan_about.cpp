#include "scenarios/model/draws.hpp"
#include "scenarios/model/plan.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <cmath>

// Sends that are about earlier ones: replies, reactions, edits, deletions; and mentions. Which
// arrival is about which is arithmetic, so that no consumer keeps what was sent before.
namespace clamor::scenario {

namespace {

/// Nobody answers faster.
constexpr Duration answer_min{std::chrono::milliseconds{100}};
constexpr std::uint32_t members_tried = 64;
constexpr std::uint32_t reaction_bytes = 4;

constexpr bool revises(SendKind kind) {
  return kind == SendKind::edit || kind == SendKind::deletion;
}

}  // namespace

void Plan::lay_out_kinds() {
  for (const Workload& workload : scenario_.workloads) {
    Kinds kinds;
    if (!is_trace(scenario_)) {
      // Twice the shares, since every second arrival is a message of itself.
      double sum = 1;
      for (std::size_t kind = workload.kinds.size(); kind-- > 1;) {
        kinds.up_to[kind] = sum;
        sum = std::max(0.0, sum - 2 * workload.kinds[kind]);
      }
      kinds.up_to[0] = sum;
      const double lag =
          workload.rate * to_seconds(workload.kinds_after) / to_seconds(workload.time_unit);
      kinds.lag = static_cast<std::uint64_t>(std::max(1.0, std::round(lag))) | 1U;
      kinds.arrivals = arrivals_before(workload, Instant::max());
    }
    kinds_.push_back(kinds);
  }
}

SendKind Plan::drawn_kind(std::uint32_t workload, std::uint64_t arrival) const {
  const Kinds& kinds = kinds_[workload];
  if (kinds.up_to[0] >= 1 || arrival % 2 == 0 || arrival < kinds.lag) return SendKind::message;
  const double share =
      unit_draw(scenario_.seed, DrawPurpose::send_kind, draw_index(workload, arrival));
  const auto drawn = std::upper_bound(kinds.up_to.begin(), kinds.up_to.end() - 1, share);
  return static_cast<SendKind>(drawn - kinds.up_to.begin());
}

std::optional<Send> Plan::about(const Draft& draft) const {
  const SendKind kind = drawn_kind(draft.workload, draft.arrival);
  if (kind == SendKind::message) return std::nullopt;
  const Draft opener = draft_of(draft.workload, draft.arrival - kinds_[draft.workload].lag);
  if (opener.due + answer_min > draft.due) return std::nullopt;
  const Send target = message(opener);
  const std::uint32_t author = user_of(target.client);
  const std::uint64_t index = draw_index(draft.workload, draft.arrival);
  Send send;
  send.due = draft.due;
  send.channel = target.channel;
  send.kind = kind;
  if (revises(kind)) {
    if (absent(author, draft.due)) return std::nullopt;
    send.client = target.client;
    send.pair = pair_of(opener);
  } else {
    const auto user = draw_member(target.channel, index, draft.due, author);
    if (!user) return std::nullopt;
    send.client = client_of(*user, draw_device(*user, index, draft.copy));
  }
  if (kind == SendKind::reaction) send.bytes = reaction_bytes;
  if (kind == SendKind::reply || kind == SendKind::edit) send.bytes = draw_send_bytes(draft);
  return send;
}

std::uint64_t Plan::pair_of(const Draft& opener) {
  return draw_index(opener.workload, opener.arrival) + 1;
}

bool Plan::has_pair(const Draft& opener, const Send& sent) const {
  const Kinds& kinds = kinds_[opener.workload];
  const std::uint64_t later = opener.arrival + kinds.lag;
  if (later >= kinds.arrivals || !revises(drawn_kind(opener.workload, later))) return false;
  const Instant due = draft_of(opener.workload, later).due;
  return opener.due + answer_min <= due && !absent(user_of(sent.client), due);
}

std::optional<std::uint32_t> Plan::draw_member(std::uint32_t channel, std::uint64_t index,
                                               Instant due, std::uint32_t but) const {
  const Seat seat = seat_of(channel);
  const std::uint32_t members = seat.channel_class->members;
  for (std::uint32_t attempt = 0; attempt < members_tried; ++attempt) {
    const std::uint32_t user = member_at(
        seat, draw_below(scenario_.seed, DrawPurpose::send_member, index, members, attempt));
    if (user != but && !absent(user, due)) return user;
  }
  for (std::uint32_t slot = 0; slot < members; ++slot) {
    const std::uint32_t user = member_at(seat, slot);
    if (user != but && !absent(user, due)) return user;
  }
  return std::nullopt;
}

void Plan::add_mention(const Draft& draft, Send& send) const {
  const double share = scenario_.workloads[draft.workload].mentions;
  const std::uint64_t index = draw_index(draft.workload, draft.arrival);
  const Seat seat = seat_of(send.channel);
  const std::uint32_t members = seat.channel_class->members;
  if (members < 2 ||
      unit_draw(scenario_.seed, DrawPurpose::send_mention, index, draft.copy) >= share) {
    return;
  }
  const std::uint32_t slot =
      draw_below(scenario_.seed, DrawPurpose::mentioned_member, index, members, draft.copy);
  const std::uint32_t user = member_at(seat, slot);
  const bool own = user == user_of(send.client);
  send.mentioned = own ? member_at(seat, (slot + 1) % members) : user;
}

}  // namespace clamor::scenario
