#include "reports/app/micro_client.hpp"

#include "server/host/clock.hpp"
#include "server/protocol/codec.hpp"

#include <ctime>
#include <variant>

namespace clamor::report {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 20s;
constexpr std::uint16_t closed_by_us = 1000;
constexpr ChannelId no_channel{~std::uint64_t{0}};

}  // namespace

MicroClient::MicroClient(const loadgen::Target& target, std::string_view secret,
                         std::uint32_t slots)
    : key_{token::derive_key(secret)}, connections_{{target}, slots, 0, *this} {}

void MicroClient::open(std::uint32_t first, std::uint32_t last) {
  const std::uint64_t wanted = received_.opened + (last - first);
  for (std::uint32_t slot = first; slot < last; ++slot) connections_.open(slot);
  wait_until([&] { return received_.opened >= wanted; }, "WebSocket handshakes");
}

void MicroClient::send_login(std::uint32_t slot, UserId user, DeviceId device,
                             std::span<const protocol::HeldPosition> positions) {
  const std::string token = token::mint(key_, user, std::time(nullptr) + 3600);
  scratch_.clear();
  protocol::encode(
      protocol::Login{
          .token = token, .device = device, .positions = {positions.begin(), positions.end()}},
      scratch_);
  connections_.send(slot, scratch_);
}

void MicroClient::send_message(std::uint32_t slot, ChannelId channel, std::size_t body_bytes) {
  if (body_.size() < body_bytes) body_.resize(body_bytes, std::byte{'.'});
  scratch_.clear();
  protocol::encode(protocol::Send{.channel = channel,
                                  .client_message_id = ++sent_[{slot, channel.value}],
                                  .body = std::span{body_}.first(body_bytes)},
                   scratch_);
  connections_.send(slot, scratch_);
}

void MicroClient::send_heartbeat(std::uint32_t slot) {
  scratch_.clear();
  protocol::encode(protocol::Heartbeat{}, scratch_);
  connections_.send(slot, scratch_);
}

void MicroClient::send_refused(std::uint32_t slot) {
  scratch_.clear();
  protocol::encode(protocol::Join{.channel = no_channel}, scratch_);
  connections_.send(slot, scratch_);
}

void MicroClient::create_channel(std::uint32_t slot, ChannelId channel,
                                 const std::vector<UserId>& members) {
  const std::uint64_t wanted = received_.changed + 1;
  scratch_.clear();
  protocol::encode(protocol::CreateChannel{.channel = channel, .members = members}, scratch_);
  connections_.send(slot, scratch_);
  wait_until([&] { return received_.changed >= wanted; }, "a channel to be created");
}

void MicroClient::close(std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t slot = first; slot < last; ++slot) connections_.close(slot);
  std::erase_if(sent_, [&](const auto& entry) {
    return entry.first.first >= first && entry.first.first < last;
  });
}

void MicroClient::wait_until(const std::function<bool()>& done, const char* what) {
  const Instant deadline = monotonic_now() + patience;
  connections_.flush();
  while (!done()) {
    if (!failure_.empty()) throw MicroLoadError{failure_};
    if (monotonic_now() > deadline) {
      throw MicroLoadError{std::string{"waited 20 s for "} + what};
    }
    connections_.wait(50ms);
    connections_.dispatch();
    connections_.flush();
  }
}

void MicroClient::on_open(std::uint32_t) { ++received_.opened; }

void MicroClient::on_failed(std::uint32_t, const std::string& why) {
  failure_ = "a connection failed: " + why;
}

void MicroClient::on_closed(std::uint32_t, std::uint16_t close_code, const std::string& reason) {
  if (close_code != closed_by_us) {
    failure_ = "the server closed a connection, code " + std::to_string(close_code) + " " + reason;
  }
}

void MicroClient::on_message(std::uint32_t slot, std::span<const std::byte> payload) {
  // The first byte says it; only pages are looked into, so that the client stays the faster side.
  switch (static_cast<protocol::MessageType>(payload.front())) {
    case protocol::MessageType::record:
      ++received_.records;
      break;
    case protocol::MessageType::ack:
      ++received_.acks;
      break;
    case protocol::MessageType::refused:
      ++received_.refused;
      break;
    case protocol::MessageType::channel_changed:
      ++received_.changed;
      break;
    case protocol::MessageType::page:
      on_page(slot, payload);
      break;
    default:
      break;
  }
}

void MicroClient::on_page(std::uint32_t slot, std::span<const std::byte> payload) {
  const auto message = protocol::decode_server(payload);
  const auto* page = message ? std::get_if<protocol::Page>(&*message) : nullptr;
  if (page == nullptr) {
    failure_ = "a page did not decode";
    return;
  }
  if (page->last) {
    ++received_.logged_in;
    return;
  }
  scratch_.clear();
  protocol::encode(protocol::NextPage{}, scratch_);
  connections_.send(slot, scratch_);
}

}  // namespace clamor::report
