#include "tests/unit/server/core/small_chat_device.hpp"

#include <algorithm>

namespace clamor::core::small_chat {

void Device::note(const char* what, ChannelId channel, MessageId id) {
  if (!violation_.empty()) return;
  violation_ = std::string{what} + ": channel " + std::to_string(channel.value) + ", id " +
               std::to_string(id.value) + ", held " + std::to_string(held_[channel].value) +
               ", user " + std::to_string(name_.user.value) + ", device " +
               std::to_string(name_.device.value);
}

void Device::connect(Gateways& gateways, Instant now) {
  if (serial_) return;
  serial_ = gateways.login(name_, incarnation_, starts_empty_, held_, queue_position_, now);
  starts_empty_ = false;
  up_.clear();
  resend();
}

void Device::disconnect(Gateways& gateways, bool server_notices) {
  if (!serial_) return;
  if (server_notices) gateways.disconnect(name_, *serial_);
  serial_.reset();
}

void Device::wipe(Gateways& gateways) {
  disconnect(gateways, true);
  ++incarnation_;
  starts_empty_ = true;
  held_.clear();
  own_ahead_.clear();
  own_held_.clear();
  received_.clear();
  queue_position_ = 0;
  last_sent_.clear();
  unacked_.clear();
  acks_.clear();
}

void Device::push_send(ChannelId channel, ClientMessageId id) {
  if (!serial_) return;
  up_.push_back({.kind = Up::Kind::send, .channel = channel, .client_message_id = id});
}

void Device::send(ChannelId channel) {
  std::deque<ClientMessageId>& unacked = unacked_[channel];
  if (unacked.size() == dedup_ring_size) return;
  unacked.push_back(++last_sent_[channel]);
  push_send(channel, unacked.back());
}

/// Something before was not accepted after all: everything once more, in order, unless that is on
/// its way already.
void Device::resend_channel(ChannelId channel) {
  const auto& unacked = unacked_[channel];
  const bool under_way = std::any_of(up_.begin(), up_.end(), [&](const Up& up) {
    return up.kind == Up::Kind::send && up.channel == channel &&
           (unacked.empty() || up.client_message_id == unacked.front());
  });
  if (under_way) return;
  for (const ClientMessageId id : unacked) push_send(channel, id);
}

/// Gives sends up visibly; their numbers are free again.
void Device::give_up_from(ChannelId channel, ClientMessageId id) {
  auto& unacked = unacked_[channel];
  while (!unacked.empty() && unacked.back() >= id) unacked.pop_back();
  last_sent_[channel] = std::min(last_sent_[channel], id - 1);
}

void Device::resend() {
  for (const auto& [channel, unacked] : unacked_) resend_channel(channel);
}

void Device::acknowledge() {
  if (serial_) up_.push_back({.kind = Up::Kind::acknowledge, .held = held_});
}

void Device::deliver_up(Gateways& gateways, std::size_t messages, Instant now) {
  for (; serial_ && messages > 0 && !up_.empty(); --messages) {
    const Up up = up_.front();
    up_.pop_front();
    gateways.handle(name_, *serial_, up, now);
  }
}

void Device::deliver_down(Gateways& gateways, std::size_t frames, Instant now) {
  for (; serial_ && frames > 0; --frames) {
    if (const auto frame = gateways.take(name_, *serial_, now)) {
      receive(*frame);
    } else if (!gateways.is_open(name_, *serial_)) {
      serial_.reset();
    } else {
      return;
    }
  }
}

bool Device::is_settled(Gateways& gateways) const {
  const bool all_acked = std::all_of(unacked_.begin(), unacked_.end(),
                                     [](const auto& entry) { return entry.second.empty(); });
  return serial_ && up_.empty() && all_acked && own_ahead_.empty() &&
         gateways.is_caught_up(name_, *serial_);
}

std::string Device::describe(Gateways& gateways) const {
  std::string text = "user " + std::to_string(name_.user.value) + " device " +
                     std::to_string(name_.device.value) + (serial_ ? "" : " offline") +
                     (serial_ && gateways.is_caught_up(name_, *serial_) ? "" : " catching up");
  for (const auto& [channel, unacked] : unacked_) {
    if (unacked.empty()) continue;
    text += " unacked in " + std::to_string(channel.value) + " from " +
            std::to_string(unacked.front().value);
  }
  for (const auto& [channel, id] : own_ahead_) {
    text += " acked ahead in " + std::to_string(channel.value) + ": " + std::to_string(id.value);
  }
  return text + " to send: " + std::to_string(up_.size());
}

void Device::receive(const Down& frame) {
  switch (frame.kind) {
    case Down::Kind::ack:
      receive_ack(frame);
      break;
    case Down::Kind::expected_next:
      resend_channel(frame.channel);
      break;
    case Down::Kind::not_member:
      give_up_from(frame.channel, frame.client_message_id);
      break;
    case Down::Kind::record:
      receive_record({frame.channel, frame.id, false});
      break;
    case Down::Kind::page:
      for (const Down::Item& item : frame.items) receive_record(item);
      queue_position_ = frame.queue_position;
      if (!frame.last) {
        acknowledge();
        up_.push_back({.kind = Up::Kind::next_page});
      }
      break;
  }
}

void Device::receive_record(const Down::Item& item) {
  const Channel& channel = partitions_.channels().at(item.channel);
  const LogRecord& logged = channel.log[item.id.value - 1];
  const Record& record = logged.record;
  if (item.id > channel.head.durable_head) note("not durable", item.channel, item.id);
  if (!contains(channel.intervals(name_.user), item.id)) {
    note("outside the intervals", item.channel, item.id);
  }
  if (own_held_.erase({item.channel, item.id}) > 0 && item.id <= held_[item.channel]) {
    ++cases_.own_records_echoed;
    return;
  }
  const bool joins_me = record.kind == RecordKind::join && logged.member == name_.user;
  if (joins_me || item.starts_interval) {
    if (item.id <= held_[item.channel]) note("repeated", item.channel, item.id);
    held_[item.channel] = item.id - 1;
  }
  if (item.id <= held_[item.channel]) note("repeated", item.channel, item.id);
  if (item.id > held_[item.channel] + 1) note("gap", item.channel, item.id);
  hold(item.channel, item.id);
}

void Device::receive_ack(const Down& frame) {
  acks_.try_emplace({frame.channel, frame.client_message_id}, frame.id);
  drop_unacked_up_to(frame.channel, frame.client_message_id);
  if (frame.id <= held_[frame.channel]) return;
  own_held_.emplace(frame.channel, frame.id);
  if (frame.id == held_[frame.channel] + 1) {
    hold(frame.channel, frame.id);
  } else if (own_ahead_.emplace(frame.channel, frame.id).second) {
    ++cases_.acks_ahead_of_earlier_records;
  }
}

/// Advances the position to `id` and over own records that were acknowledged ahead of it.
void Device::hold(ChannelId channel, MessageId id) {
  MessageId& held = held_[channel];
  do {
    held = id;
    received_[channel].push_back(id);
    ++id;
  } while (own_ahead_.erase({channel, id}) > 0);
}

void Device::drop_unacked_up_to(ChannelId channel, ClientMessageId id) {
  std::deque<ClientMessageId>& unacked = unacked_[channel];
  while (!unacked.empty() && unacked.front() <= id) unacked.pop_front();
}

}  // namespace clamor::core::small_chat
