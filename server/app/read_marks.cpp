#include "server/app/read_marks.hpp"

#include "server/protocol/message.hpp"

#include <algorithm>

namespace clamor::server {

void ReadMarks::mention(std::uint32_t channel, UserId user, MessageId id) {
  Ids& ids = mentions_[{channel, user}];
  // What is read goes now, or with the bound: a mark that moves looks at no list.
  const MessageId read = of(channel, user).id;
  std::erase_if(ids, [read](MessageId of) { return of <= read; });
  if (ids.size() >= core::mentions_counted_max) ids.erase(ids.begin());
  ids.push_back(id);
}

void ReadMarks::forget_mention(std::uint32_t channel, UserId user, MessageId id) {
  const auto found = mentions_.find({channel, user});
  if (found != mentions_.end()) std::erase(found->second, id);
}

std::uint32_t ReadMarks::mentions(std::uint32_t channel, UserId user, MessageId read,
                                  MessageId head) const {
  std::uint32_t count = 0;
  for (const UserId mentioned : {user, protocol::everyone}) {
    const auto found = mentions_.find({channel, mentioned});
    if (found == mentions_.end()) continue;
    for (const MessageId id : found->second) count += id > read && id <= head ? 1 : 0;
  }
  return std::min(count, core::mentions_counted_max);
}

}  // namespace clamor::server
