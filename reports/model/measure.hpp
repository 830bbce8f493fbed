#pragma once

#include "reports/model/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace clamor::report {

/// One figure of a run.
enum class Figure : std::uint8_t {
  server_cpu,    ///< CPU seconds per user-hour.
  device_bytes,  ///< Per user-hour.
  catch_up_p50,
  catch_up_p99,
  recovery_p99,  ///< From a fault to a client that it cut off; 0 where no fault does.
  delivery_p50,
  delivery_p99,
  ack_p50,
  ack_p99,
  deliveries_per_cpu_second,
  entries_per_message,
  fan_out_lag,
};

/// What a figure counts, so that it can be written.
enum class Quantity : std::uint8_t { cpu_seconds, bytes, ns, count };

enum class Best : std::uint8_t { least, most, neither };

struct Measure {
  Figure figure;
  std::string_view name;
  std::string_view short_name;  ///< A column's header.
  Quantity quantity;
  Best best;
  double (*value)(const RunResult&);
};

/// Every figure, in the order of reports: the one list that tables and comparisons take theirs
/// from.
[[nodiscard]] std::span<const Measure> measures();

/// O(1).
[[nodiscard]] const Measure& measure_of(Figure figure);

[[nodiscard]] double value_of(const RunResult& run, Figure figure);

/// What designs are compared by, in this order.
inline constexpr std::array criteria{Figure::server_cpu, Figure::device_bytes,
                                     Figure::catch_up_p99};

}  // namespace clamor::report
