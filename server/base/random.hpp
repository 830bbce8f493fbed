#pragma once

#include "server/base/time.hpp"

#include <Random123/philox.h>
#include <cmath>
#include <cstdint>

namespace clamor {

/// Names one random draw by what it is for, never by how many draws came before it: the same plan
/// under every design and on every rank (counter-based generators: Salmon et al., SC 2011).
struct DrawKey {
  std::uint64_t seed = 0;
  std::uint32_t purpose = 0;  ///< A module's own enumerator; see DrawPurpose.
  std::uint64_t index = 0;    ///< User, client, send ordinal, ...
  std::uint32_t ordinal = 0;  ///< Which of the index's draws.
  std::uint32_t attempt = 0;  ///< Retries draw anew without shifting anything else.
};

/// Every purpose of the project, so that no two draws share a key by accident.
enum class DrawPurpose : std::uint32_t {
  permutation = 1,
  send_time,
  send_class,
  send_channel,
  send_member,
  send_device,
  send_bytes,
  away_phase,
  fault_target,
  connect_ramp,
  reconnect_jitter,
  resend_jitter,
  network_delay,
  run_order,
  prefill_workload,
  prefill_bytes,
  send_kind,
  send_mention,
  mentioned_member,
  test,
};

/// 64 uniform bits. Philox4x32-10; about 2 ns.
[[nodiscard]] inline std::uint64_t draw_bits(const DrawKey& key) {
  using Generator = r123::Philox4x32;
  const Generator::ctr_type counter{{static_cast<std::uint32_t>(key.index),
                                     static_cast<std::uint32_t>(key.index >> 32U), key.ordinal,
                                     key.attempt}};
  const Generator::key_type generator_key{
      {static_cast<std::uint32_t>(key.seed) ^ (key.purpose * 0x9E3779B9U),
       static_cast<std::uint32_t>(key.seed >> 32U) + key.purpose}};
  const Generator::ctr_type out = Generator{}(counter, generator_key);
  return (static_cast<std::uint64_t>(out[1]) << 32U) | out[0];
}

[[nodiscard]] inline std::uint64_t draw_bits(std::uint64_t seed, DrawPurpose purpose,
                                             std::uint64_t index, std::uint32_t ordinal = 0,
                                             std::uint32_t attempt = 0) {
  return draw_bits({seed, static_cast<std::uint32_t>(purpose), index, ordinal, attempt});
}

/// Uniform in [0, 1), 53 bits.
[[nodiscard]] constexpr double unit_from_bits(std::uint64_t bits) {
  return static_cast<double>(bits >> 11U) * 0x1.0p-53;
}

/// Uniform in [0, n), by multiply-shift (Lemire 2019); bias below n / 2^64. @pre n > 0.
[[nodiscard]] constexpr std::uint64_t below_from_bits(std::uint64_t bits, std::uint64_t n) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(bits) * n) >> 64U);
}

}  // namespace clamor
