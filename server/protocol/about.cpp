#include "server/protocol/about.hpp"

#include "server/protocol/byte_order.hpp"

#include <cstddef>
#include <cstdint>

namespace clamor::protocol {
namespace {

constexpr std::size_t header_bytes = 12;

}  // namespace

void append_about(MessageId target, std::span<const UserId> mentions, Bytes text,
                  std::vector<std::byte>& out) {
  Writer writer{out, header_bytes + 8 * mentions.size() + text.size()};
  writer.put(target.value).put(static_cast<std::uint32_t>(mentions.size()));
  for (const UserId user : mentions) writer.put(user.value);
  writer.put(text);
}

std::optional<About> read_about(Bytes body) {
  if (body.size() < header_bytes) return std::nullopt;
  About about{{load_little<std::uint64_t>(body.data())}, {}, {}};
  const std::size_t count = load_little<std::uint32_t>(body.data() + 8);
  body = body.subspan(header_bytes);
  if (count > body.size() / 8) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    about.mentions.push_back({load_little<std::uint64_t>(body.data() + 8 * i)});
  }
  about.text = body.subspan(8 * count);
  return about;
}

}  // namespace clamor::protocol
