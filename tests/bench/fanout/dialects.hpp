#pragma once

#include "tests/bench/fanout/peers.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace clamor::bench {

/// Groups of equal size, a connection a member.
struct Shape {
  std::uint32_t connections = 1000;
  std::uint32_t group_size = 100;
  std::uint32_t message_bytes = 100;
  [[nodiscard]] std::uint32_t groups() const { return connections / group_size; }
  [[nodiscard]] std::uint32_t group_of(std::uint32_t connection) const {
    return connection / group_size;
  }
  [[nodiscard]] std::uint32_t connection_of(std::uint32_t group, std::uint32_t member) const {
    return group * group_size + member;
  }
};

/// How one server is spoken to: the yardstick's nothing, or Clamor's protocol.
class Dialect {
 public:
  virtual ~Dialect() = default;
  /// Brings all connections into their groups, ready to receive, for the first time.
  virtual void enter(Peers& peers, const Shape& shape) = 0;
  /// Asks for what brings a connection back that was in its group before: the yardstick's join, or
  /// a login by resume token with the position held. @pre enter()
  virtual void enter_again(Peers& peers, std::uint32_t connection) = 0;
  /// How often a connection became ready to receive, so far.
  [[nodiscard]] virtual std::uint32_t entered() const = 0;
  /// The n-th message of a group, from 0; members send in turn.
  virtual void send(Peers& peers, std::uint32_t group, std::uint64_t n) = 0;
  /// Which message of its group a connection just received (for its sender the ack is the receipt);
  /// nothing where it was no message of the loop.
  virtual std::optional<std::uint64_t> received(Peers& peers, std::uint32_t connection,
                                                Bytes payload) = 0;
};
[[nodiscard]] std::unique_ptr<Dialect> yardstick_dialect();
[[nodiscard]] std::unique_ptr<Dialect> clamor_dialect();

}  // namespace clamor::bench
