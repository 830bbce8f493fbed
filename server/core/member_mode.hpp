#pragma once

#include "server/base/id.hpp"
#include "server/core/membership.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

/// The queue design `adaptive`: a member who reads a channel more often than it is written has
/// queue entries, all others read its log. A *read* is a catch-up that finds something new in the
/// channel: what costs a scan of the log where there is no queue. Reads are held against records
/// over the same stretch of the log, so that the two rates compare as two counts, without a clock:
/// had a member as many logins as there are records, at any times, half of the records would be
/// followed by a read. A window of records is judged as a whole and begins at a multiple of its
/// size, wherever the server was started in between.
namespace clamor::core {

/// Where a member's queue begins who has none.
inline constexpr MessageId no_queue = Interval::open;

/// A member of a channel in the window under way, as the channel's owner keeps it. 4 bytes.
struct MemberReads {
  std::uint16_t count = 0;  ///< Saturates.
  bool queued = false;      ///< The mode after tentative records.
};

/// A catch-up of the member found something new.
constexpr void note_read(MemberReads& member) {
  if (member.count != std::numeric_limits<std::uint16_t>::max()) ++member.count;
}

/// Whether a window ends with this record: the channel's members are looked at behind it.
[[nodiscard]] constexpr bool window_ends(std::uint32_t window, MessageId at) {
  return at.value % window == 0;
}

/// Whether a member has a queue from now on who read so often while `window` records were written:
/// from half of them on; one who has it keeps it down to a quarter, so that nobody at the border
/// flaps.
[[nodiscard]] constexpr bool wants_queue(bool queued, std::uint32_t reads, std::uint32_t window) {
  return std::uint64_t{reads} * (queued ? 4 : 2) >= window;
}

/// Looks at a channel's members at the end of a window that was watched from its beginning; appends
/// to `changed` the indices of those whose mode changes, and begins the next window. At most
/// member_modes_max of them: one record names them all, so that modes cost at most one record a
/// window, whatever many do at once. O(members).
void plan_modes(std::uint32_t window, std::span<MemberReads> members,
                std::vector<std::uint32_t>& changed);
/// Begins a window without judging the one before: its beginning was not watched. O(members).
void forget_reads(std::span<MemberReads> members);

}  // namespace clamor::core
