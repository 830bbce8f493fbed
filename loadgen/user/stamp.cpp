#include "loadgen/user/stamp.hpp"

#include "server/base/assert.hpp"

namespace clamor::loadgen {
namespace {

constexpr std::uint32_t waited_bit = 1U << 31U;
constexpr std::uint32_t revised_bit = 1U << 30U;
constexpr std::uint32_t late_max = revised_bit - 1;

template <class Word>
void put(std::span<std::byte> out, Word word) {
  for (std::size_t i = 0; i < sizeof word; ++i) {
    out[i] = static_cast<std::byte>((word >> (8 * i)) & 0xFFU);
  }
}

template <class Word>
Word get(std::span<const std::byte> in) {
  Word word = 0;
  for (std::size_t i = 0; i < sizeof word; ++i) {
    word |= static_cast<Word>(std::to_integer<Word>(in[i]) << (8 * i));
  }
  return word;
}

}  // namespace

void write_stamp(std::span<std::byte> body, const Stamp& stamp) {
  CLAMOR_ASSERT(body.size() >= stamp_bytes);
  const std::int64_t late_us =
      std::clamp<std::int64_t>(to_ns(stamp.sent - stamp.due) / 1000, 0, late_max);
  put(body, static_cast<std::uint64_t>(to_ns(stamp.due)));
  put(body.subspan(8), static_cast<std::uint32_t>(late_us) | (stamp.waited ? waited_bit : 0U) |
                           (stamp.revised ? revised_bit : 0U));
}

std::optional<Stamp> read_stamp(std::span<const std::byte> body) {
  if (body.size() < stamp_bytes) return std::nullopt;
  const auto due = instant_from_ns(static_cast<std::int64_t>(get<std::uint64_t>(body)));
  const auto word = get<std::uint32_t>(body.subspan(8));
  return Stamp{due, due + std::chrono::microseconds{word & late_max}, (word & waited_bit) != 0,
               (word & revised_bit) != 0};
}

}  // namespace clamor::loadgen
