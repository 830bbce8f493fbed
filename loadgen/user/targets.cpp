#include "loadgen/user/targets.hpp"

namespace clamor::loadgen {

std::optional<MessageId> Targets::take(scenario::SendKind kind, std::uint32_t channel,
                                       std::uint64_t pair) {
  if (kind == scenario::SendKind::edit || kind == scenario::SendKind::deletion) {
    const auto own = revised_.find(pair);
    if (own == revised_.end()) return std::nullopt;
    const MessageId id = own->second;
    revised_.erase(own);
    return id;
  }
  if (assumed_ != MessageId{}) return assumed_;
  const auto latest = latest_.find(channel);
  if (latest == latest_.end()) return std::nullopt;
  return latest->second;
}

std::size_t Targets::memory_bytes() const {
  const auto bytes_of = [](const auto& map) {
    using Node = typename std::decay_t<decltype(map)>::value_type;
    return map.bucket_count() * sizeof(void*) + map.size() * (sizeof(Node) + 2 * sizeof(void*));
  };
  return bytes_of(revised_) + bytes_of(latest_);
}

}  // namespace clamor::loadgen
