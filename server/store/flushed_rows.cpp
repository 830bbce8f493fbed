#include "server/store/flushed_rows.hpp"

#include <algorithm>
#include <utility>

namespace clamor::store {

void FlushedRows::add(User& user, const QueueRun& run, bool per_member, bool one_row) {
  const auto known = std::find_if(user.parts.begin(), user.parts.end(), [&](const Part& part) {
    return part.channel == run.channel && part.per_member == per_member;
  });
  Part& part = known != user.parts.end()
                   ? *known
                   : user.parts.emplace_back(Part{run.channel, per_member, {}, 0});
  part.one_row = one_row && part.entries == 0;
  part.last = std::max(part.last, run.first + (run.count - 1));
  part.entries += run.count;
}

void FlushedRows::add(const BufferedRuns& user, bool one_row) {
  User& known = users_[user.user];
  const QueueSequence end = known.end;
  for (const BufferedRuns::Run& run : user.runs) {
    add(known, run.run(), run.per_member, one_row);
    if (!run.per_member) known.end = user.end;
  }
  if (known.end != end) known.one_row = one_row && end == QueueSequence{};
}

void FlushedRows::add_user_row(UserId user, QueueSequence last, std::span<const QueueRun> runs) {
  User& known = users_[user];
  known.one_row = known.end == QueueSequence{};
  known.end = std::max(known.end, last);
  for (const QueueRun& run : runs) add(known, run, false, true);
}

void FlushedRows::add_member_row(UserId user, const QueueRun& run) {
  add(users_[user], run, true, true);
}

QueueSequence FlushedRows::end(UserId user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? QueueSequence{} : found->second.end;
}

std::uint64_t FlushedRows::entries(UserId user) const {
  const auto found = users_.find(user);
  if (found == users_.end()) return 0;
  std::uint64_t entries = 0;
  for (const Part& part : found->second.parts) entries += part.entries;
  return entries;
}

void FlushedRows::trim(UserId user, const HeldIn& least) {
  const auto found = users_.find(user);
  if (found == users_.end()) return;
  User& known = found->second;
  bool waits = false;
  std::erase_if(known.parts, [&](const Part& part) {
    const bool held = part.last <= least(part.channel);
    waits |= !held && !part.per_member;
    if (held && part.per_member)
      doomed_.push_back({user, part.channel, {}, part.last, part.one_row});
    return held;
  });
  if (!waits && known.end != QueueSequence{}) {
    doomed_.push_back({user, {}, std::exchange(known.end, {}), {}, known.one_row});
  }
  if (known.parts.empty()) users_.erase(found);
}

std::vector<FlushedRows::Doomed> FlushedRows::take_doomed() { return std::exchange(doomed_, {}); }

}  // namespace clamor::store
