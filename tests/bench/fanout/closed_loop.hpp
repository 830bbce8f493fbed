#pragma once

#include "tests/bench/fanout/dialects.hpp"
#include "tests/bench/fanout/peers.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace clamor::bench {

/// What the server did in one measured window.
struct Measured {
  double per_cpu_second = 0;  ///< Deliveries per CPU-second of the server.
  double per_second = 0;      ///< Deliveries per second of wall time.
  double busy = 0;            ///< Share of one core that the server used.
};

/// Keeps `in_flight` messages under way in every group: the next one is sent when all members have
/// received one. Checks on the way that every member receives every message exactly once; order is
/// not checked, since members send at the same time on connections of their own.
class ClosedLoop {
 public:
  /// Connects and enters. The server must outlive it.
  ClosedLoop(const ServerProcess& server, std::unique_ptr<Dialect> dialect, const Shape& shape);
  /// Warms up, measures for `seconds`, then lets what is under way arrive.
  Measured run(std::uint32_t in_flight, double seconds);

 private:
  struct Group {
    std::uint64_t sent = 0;
    std::uint64_t completed = 0;         ///< All messages below it were received by all members.
    std::vector<std::uint32_t> missing;  ///< By message % in_flight: members that wait for it.
  };
  void on_message(std::uint32_t connection, Bytes payload);
  void check_expected(std::uint32_t connection, std::uint64_t n);
  void send_more(std::uint32_t group);
  [[nodiscard]] bool idle() const;

  const ServerProcess& server_;
  std::unique_ptr<Dialect> dialect_;
  Shape shape_;
  Peers peers_;
  std::vector<Group> groups_;
  std::vector<std::uint64_t> next_;  ///< By connection and message % in_flight: what comes next.
  std::uint64_t deliveries_ = 0;
  std::uint32_t in_flight_ = 0;
  bool stopping_ = true;
};

}  // namespace clamor::bench
