#pragma once

#include "server/base/histogram.hpp"
#include "tests/bench/fanout/dialects.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <cstdint>
#include <memory>

namespace clamor::bench {

/// Sends messages to the groups in turn at equal distances, so that `rate` deliveries a second are
/// due, whatever the server does. Returns the latencies of all deliveries in ns, from the moment
/// that the message was due. Throws where not all arrive.
[[nodiscard]] Histogram measure_latency(const ServerProcess& server,
                                        std::unique_ptr<Dialect> dialect, const Shape& shape,
                                        double rate, double seconds);

}  // namespace clamor::bench
