#include "server/core/member_mode.hpp"

#include "server/core/limits.hpp"

namespace clamor::core {

void plan_modes(std::uint32_t window, std::span<MemberReads> members,
                std::vector<std::uint32_t>& changed) {
  std::uint32_t named = 0;
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    MemberReads& member = members[i];
    const bool queued = wants_queue(member.queued, member.count, window);
    member.count = 0;
    if (queued == member.queued || named == member_modes_max) continue;
    member.queued = queued;
    changed.push_back(i);
    ++named;
  }
}

void forget_reads(std::span<MemberReads> members) {
  for (MemberReads& member : members) member.count = 0;
}

}  // namespace clamor::core
