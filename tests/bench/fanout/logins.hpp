#pragma once

#include "tests/bench/fanout/dialects.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <cstdint>
#include <memory>

namespace clamor::bench {

/// Lets all connections enter their groups, then `storms` times loses them all and brings them back
/// as fast as the server takes them, 64 under way at a time. Returns how many the server brings
/// back a CPU-second, from TCP connect to ready; what the losses cost it stays outside.
[[nodiscard]] double measure_logins(const ServerProcess& server, std::unique_ptr<Dialect> dialect,
                                    const Shape& shape, std::uint32_t storms);

}  // namespace clamor::bench
