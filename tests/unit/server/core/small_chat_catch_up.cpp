#include "server/base/assert.hpp"
#include "tests/unit/server/core/small_chat_gateway.hpp"

#include <algorithm>

// The catch-up half of the gateways: from a plan to pages, as server/core/sync.hpp says.
namespace clamor::core::small_chat {
namespace {

constexpr PageLimits page_limits{.records = 4, .bytes = 3 * Gateways::record_bytes};

}  // namespace

void Gateways::plan_catch_up(Node& node, DeviceName device, Session& session) {
  std::vector<ChannelSync> channels;
  session.heads.clear();
  for (const auto& [id, channel] : partitions_.channels()) {
    const Intervals intervals = channel.intervals(device.user);
    if (intervals.empty() || intervals.front().join > channel.head.durable_head) continue;
    const MessageId head = register_interest(node, id, channel.head.durable_head);
    if (head < channel.head.durable_head) ++cases_.logins_behind_a_lagging_node;
    session.heads[id] = head;
    const ChannelSync sync{.channel = id,
                           .held = session.sent[id],
                           .durable_head = head,
                           .covered = partitions_.covered(id, device.user),
                           .queue_from = partitions_.queue_from(id, device.user),
                           .design = partitions_.design(id, device.user),
                           .intervals = intervals};
    channels.push_back(sync);
    if (count_in(intervals, sync.held, head) == 0) continue;
    partitions_.read(id, device.user);
    if (intervals.size() > 1) ++cases_.catch_ups_over_several_intervals;
    if (sync.design == ChannelDesign::per_group) continue;
    if (sync.covered < head) ++cases_.queue_lag_at_login;
    if (sync.held + 1 < sync.queue_from) ++cases_.devices_behind_the_queue;
  }
  session.plan = {};
  plan_sync(channels, session.plan);
  session.syncing = true;
  session.queue_position_planned = session.queue_position;
  session.scan = 0;
  session.records = 0;
  session.pages = 0;
  session.fell_short = false;
  session.overflowed = false;
  session.waiting.clear();
}

void Gateways::send_page(Node& node, DeviceName device, Instant now) {
  Session& session = node.sessions.at(device);
  Down page{.kind = Down::Kind::page};
  page.last = fill_page(device, session, page);
  while (page.last && session.overflowed) {
    ++cases_.catch_up_buffers_overflowed;
    plan_catch_up(node, device, session);
    page.last = fill_page(device, session, page);
  }
  page.queue_position = session.queue_position;
  if (++session.pages == 2) ++cases_.catch_ups_over_several_pages;
  const bool last = page.last;
  if (send(node, device, std::move(page), now) && last) end_catch_up(node, device, now);
}

/// Whether the catch-up is complete with this page.
bool Gateways::fill_page(DeviceName device, Session& session, Down& page) {
  do {
    for (; session.scan < session.plan.scans.size(); ++session.scan) {
      if (!read_scan(device, session, page)) return false;
    }
  } while (read_rest_from_log(device, session));
  CLAMOR_ASSERT(session.fell_short || session.records == session.plan.records);
  return true;
}

/// Reads one scan on; false where the page is full. Progress is in `sent`: reading a scan again
/// from its start skips what was taken.
bool Gateways::read_scan(DeviceName device, Session& session, Down& page) {
  const Scan scan = session.plan.scans[session.scan];
  if (scan.kind == ScanKind::user_queue) return read_user_queue(device, session, page);
  if (scan.kind == ScanKind::member_queue) {
    for (const MessageId id : partitions_.member_queue(scan.channel, device.user)) {
      if (id <= scan.after || id > scan.up_to) continue;
      if (!take_record(device, session, page, scan.channel, id)) return false;
    }
    return true;
  }
  for (MessageId id = scan.after + 1; id <= scan.up_to; ++id) {
    if (!take_record(device, session, page, scan.channel, id)) return false;
  }
  return true;
}

bool Gateways::read_user_queue(DeviceName device, Session& session, Down& page) {
  while (const auto* entry = partitions_.next_entry(device.user, session.queue_position)) {
    const auto head = session.heads.find(entry->channel);
    const bool planned = head != session.heads.end() && entry->id <= head->second;
    if (planned && !take_record(device, session, page, entry->channel, entry->id)) return false;
    session.queue_position = entry->sequence;
  }
  return true;
}

/// Takes a record where it is the channel's next one for this member; false where the page has no
/// room for it.
bool Gateways::take_record(DeviceName device, Session& session, Down& page, ChannelId channel,
                           MessageId id) {
  MessageId& sent = session.sent[channel];
  const Intervals intervals = partitions_.channels().at(channel).intervals(device.user);
  if (next_after(intervals, sent) != id) return true;
  const std::size_t records = page.items.size();
  if (!page_takes(page_limits, records, records * record_bytes, record_bytes)) return false;
  page.items.push_back({channel, id, sent + 1 != id});
  sent = id;
  ++session.records;
  return true;
}

/// Where a queue held less than planned, adds log scans for what is missing; false where nothing
/// is. There are two good reasons, anything else is a wrong plan: the device's queue_position had
/// passed an entry that it does not hold, since it was not the next one then; or the entry was
/// trimmed because the device holds it already, an own record by its ack.
bool Gateways::read_rest_from_log(DeviceName device, Session& session) {
  bool missing = false;
  for (const auto& [channel, head] : session.heads) {
    const Intervals intervals = partitions_.channels().at(channel).intervals(device.user);
    const MessageId sent = session.sent[channel];
    if (count_in(intervals, sent, head) == 0) continue;
    const MessageId next = *next_after(intervals, sent);
    const std::uint64_t sequence = partitions_.sequence_of(device.user, channel, next);
    const bool passed = sequence != 0 && sequence <= session.queue_position_planned;
    CLAMOR_ASSERT(passed || next <= partitions_.acknowledged(device, channel));
    session.plan.scans.push_back({ScanKind::log, channel, sent, head});
    missing = true;
  }
  if (missing) ++cases_.queues_that_fell_short;
  session.fell_short = session.fell_short || missing;
  return missing;
}

void Gateways::end_catch_up(Node& node, DeviceName device, Instant now) {
  Session& session = node.sessions.at(device);
  session.syncing = false;
  const auto waiting = std::move(session.waiting);
  session.waiting.clear();
  for (const auto& [channel, id] : waiting) {
    MessageId& sent = session.sent[channel];
    if (id <= sent) continue;
    sent = id;
    if (session.receipts.contains({channel, id})) continue;
    if (!send(node, device, {.kind = Down::Kind::record, .channel = channel, .id = id}, now)) {
      return;
    }
  }
}

}  // namespace clamor::core::small_chat
