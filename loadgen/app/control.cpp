#include "loadgen/app/control.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>

namespace clamor::loadgen {
namespace {

using nlohmann::json;

json histogram_json(const Histogram& histogram) {
  json buckets = json::array();
  for (std::size_t i = 0; i < histogram.buckets().size(); ++i) {
    if (histogram.buckets()[i] != 0) buckets.push_back({i, histogram.buckets()[i]});
  }
  return {{"sum", histogram.sum()},
          {"min", histogram.min()},
          {"max", histogram.max()},
          {"buckets", std::move(buckets)}};
}

Histogram histogram_from(const json& message) {
  std::vector<std::uint64_t> buckets;
  for (const json& pair : message.at("buckets")) {
    if (buckets.empty()) buckets.resize(Histogram::bucket_count);
    buckets.at(pair.at(0).get<std::size_t>()) = pair.at(1).get<std::uint64_t>();
  }
  return Histogram::from_parts(std::move(buckets), message.at("sum"), message.at("min"),
                               message.at("max"));
}

}  // namespace

ControlChannel::ControlChannel(Descriptor fd) : fd_{std::move(fd)} {}

std::pair<Descriptor, Descriptor> ControlChannel::make_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error{errno, std::system_category(), "socketpair"};
  }
  return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

bool ControlChannel::send(const json& message) {
  const std::string text = message.dump();
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string frame(sizeof size, '\0');
  std::memcpy(frame.data(), &size, sizeof size);
  frame += text;
  for (std::size_t done = 0; done < frame.size();) {
    const ssize_t sent = ::send(fd_.get(), frame.data() + done, frame.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    done += static_cast<std::size_t>(sent);
  }
  return true;
}

std::optional<json> ControlChannel::receive() {
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    std::uint32_t size = 0;
    if (in_.size() >= sizeof size) {
      std::memcpy(&size, in_.data(), sizeof size);
      if (in_.size() >= sizeof size + size) {
        json message = json::parse(in_.begin() + sizeof size,
                                   in_.begin() + static_cast<std::ptrdiff_t>(sizeof size + size));
        in_.erase(0, sizeof size + size);
        return message;
      }
    }
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::nullopt;
    if (got <= 0) {
      closed_ = true;
      return std::nullopt;
    }
    in_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

json to_json(const IntervalRecord& interval) {
  return {{"event", "interval"},
          {"index", interval.index},
          {"connected", interval.connected},
          {"sent", interval.sent},
          {"acknowledged", interval.acknowledged},
          {"delivered", interval.delivered},
          {"delivery", histogram_json(interval.delivery)},
          {"lag", histogram_json(interval.lag)},
          {"turn_max_ns", interval.turn_max_ns}};
}

IntervalRecord interval_from(const json& message) {
  IntervalRecord interval;
  interval.index = message.at("index");
  interval.connected = message.at("connected");
  interval.sent = message.at("sent");
  interval.acknowledged = message.at("acknowledged");
  interval.delivered = message.at("delivered");
  interval.delivery = histogram_from(message.at("delivery"));
  interval.lag = histogram_from(message.at("lag"));
  interval.turn_max_ns = message.at("turn_max_ns");
  return interval;
}

}  // namespace clamor::loadgen
