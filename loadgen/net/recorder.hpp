#pragma once

#include "server/base/histogram.hpp"
#include "server/base/time.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace clamor::loadgen {

/// How a record reached its recipient.
enum class DeliveryPath : std::uint8_t {
  live,     ///< Pushed to an online session.
  catchup,  ///< In a page after a login.
  outbox,   ///< Live, but the send had waited in its sender's outbox.
  repair,   ///< In a page of a login that a live gap had caused.
};
inline constexpr std::array<std::string_view, 4> delivery_path_names{"live", "catchup", "outbox",
                                                                     "repair"};

/// The generator was the limit in an interval whose sends were later than this at p99 ...
inline constexpr Duration lag_bound = std::chrono::milliseconds{10};
/// ... or that had a turn longer than this.
inline constexpr Duration turn_bound = std::chrono::milliseconds{50};

/// What one worker measured in one second of the window. It goes to the coordinator at once, so
/// that a long run holds no histogram a second.
struct IntervalRecord {
  std::uint32_t index = 0;  ///< Ends at index + 1 seconds.
  std::uint64_t connected = 0;
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t delivered = 0;
  Histogram delivery;  ///< Delivery latency, ns.
  Histogram lag;       ///< Lateness of the generator's own sends, ns.
  std::uint64_t turn_max_ns = 0;

  void merge(const IntervalRecord& other);
  /// Whether the generator was the limit.
  [[nodiscard]] bool marked() const;
};

/// All that one worker measured; merges over workers. Histograms of fixed size, no value lists.
struct Recording {
  struct ByClass {
    std::array<Histogram, delivery_path_names.size()> delivery;
    std::array<Histogram, delivery_path_names.size()> service;
    Histogram ack;
  };
  Recording() = default;
  explicit Recording(std::size_t classes) : by_class(classes) {}

  std::vector<ByClass> by_class;  ///< By group class of the plan.
  Histogram catch_up;
  Histogram connect;
  /// From a fault that cut a client off to all its positions being current again.
  Histogram recovery;
  /// From the beginning of a planned absence to each client that is told "offline".
  Histogram offline_notice;
  std::uint64_t presence_notices = 0;  ///< Statuses of users that clients were told.
  Histogram lag;
  Histogram turn;

  void merge(const Recording& other);
};

}  // namespace clamor::loadgen
