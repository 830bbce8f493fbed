#include "tests/bench/fanout/closed_loop.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace clamor::bench {
namespace {

constexpr std::chrono::milliseconds warm_up{300};
constexpr std::chrono::seconds drain_limit{30};

}  // namespace

ClosedLoop::ClosedLoop(const ServerProcess& server, std::unique_ptr<Dialect> dialect,
                       const Shape& shape)
    : server_{server},
      dialect_{std::move(dialect)},
      shape_{shape},
      peers_{[this](std::uint32_t connection, Bytes payload) { on_message(connection, payload); }},
      groups_(shape.groups()) {
  peers_.connect(server.port(), shape.connections);
  dialect_->enter(peers_, shape_);
}

Measured ClosedLoop::run(std::uint32_t in_flight, double seconds) {
  in_flight_ = in_flight;
  stopping_ = false;
  next_.resize(std::size_t{shape_.connections} * in_flight);
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    groups_[group].missing.assign(in_flight, 0);
    // The first number from `sent` on that falls into each slot.
    const std::uint64_t sent = groups_[group].sent;
    for (std::uint32_t member = 0; member < shape_.group_size; ++member) {
      for (std::uint32_t i = 0; i < in_flight; ++i) {
        const std::uint32_t connection = shape_.connection_of(group, member);
        next_[connection * in_flight + (sent + i) % in_flight] = sent + i;
      }
    }
    send_more(group);
  }
  const auto turn_for = [&](Clock::duration time) {
    const auto end = Clock::now() + time;
    while (Clock::now() < end) peers_.turn(std::chrono::milliseconds{10});
  };
  turn_for(warm_up);
  const double cpu_before = server_.cpu_seconds();
  const std::uint64_t deliveries_before = deliveries_;
  const auto start = Clock::now();
  turn_for(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{seconds}));
  const double cpu = server_.cpu_seconds() - cpu_before;
  const double wall = std::chrono::duration<double>(Clock::now() - start).count();
  const auto deliveries = static_cast<double>(deliveries_ - deliveries_before);
  stopping_ = true;
  peers_.turn_until([&] { return idle(); }, drain_limit, "messages under way arrive");
  return {deliveries / cpu, deliveries / wall, cpu / wall};
}

bool ClosedLoop::idle() const {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const Group& group) { return group.completed == group.sent; });
}

void ClosedLoop::send_more(std::uint32_t index) {
  Group& group = groups_[index];
  while (!stopping_ && group.sent - group.completed < in_flight_) {
    group.missing[group.sent % in_flight_] = shape_.group_size;
    dialect_->send(peers_, index, group.sent++);
  }
}

void ClosedLoop::on_message(std::uint32_t connection, Bytes payload) {
  const auto n = dialect_->received(peers_, connection, payload);
  if (!n) return;
  check_expected(connection, *n);
  ++deliveries_;
  const std::uint32_t index = shape_.group_of(connection);
  Group& group = groups_[index];
  --group.missing[*n % in_flight_];
  while (group.completed < group.sent && group.missing[group.completed % in_flight_] == 0) {
    ++group.completed;
  }
  send_more(index);
}

void ClosedLoop::check_expected(std::uint32_t connection, std::uint64_t n) {
  std::uint64_t& next = next_[connection * in_flight_ + n % in_flight_];
  if (n != next || n >= groups_[shape_.group_of(connection)].sent) {
    throw std::runtime_error("connection " + std::to_string(connection) + " received message " +
                             std::to_string(n) + ", which was not due");
  }
  next += in_flight_;
}

}  // namespace clamor::bench
