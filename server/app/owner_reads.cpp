// Reads that gateways ask of the owner: of a channel's log, from memory where that suffices, and of
// the queues of users.

#include "server/app/owner.hpp"

#include <utility>
#include <vector>

namespace clamor::server {
namespace {

/// Until the rebuild nobody knows what the log holds.
constexpr const char* in_rebuild = "the log is being rebuilt after a failed append";

}  // namespace

void Owner::handle(NodeId from, bus::ReadLog&& read) {
  bus::LogRead answer{.session = read.session,
                      .reading = read.reading,
                      .channel = read.channel,
                      .tail = {},
                      .batch = {},
                      .failure = {}};
  if (store_failed_) {
    answer.failure = in_rebuild;
    return node_.bus.send(from, std::move(answer));
  }
  const auto index = channels_->find(read.channel);
  if (index && read.may_use_tail && tail_.read(*index, read.after, read.up_to, answer.tail)) {
    answer.from_tail = true;
    return node_.bus.send(from, std::move(answer));
  }
  answer.tail.clear();
  if (read.tail_only) return node_.bus.send(from, std::move(answer));
  store::Result<void> done;
  if (read.as_gets) {
    std::vector<MessageId> ids;
    for (MessageId id = read.after + 1; id <= read.up_to; ++id) ids.push_back(id);
    done = store_.get_log(read.channel, ids, answer.batch);
  } else {
    done = store_.scan_log(read.channel, read.after, read.up_to, read.records_max, read.bytes_max,
                           answer.batch);
  }
  if (!done) answer.failure = done.error().what;
  // Asked after the read: what is gone by then explains what the read did not find.
  answer.kept_from = store_.trimmed(read.channel) + 1;
  node_.bus.send(from, std::move(answer));
}

void Owner::handle(NodeId from, bus::ReadUserQueue&& read) {
  bus::UserQueueRead answer{.session = read.session, .rows = {}, .end = {}, .failure = {}};
  if (store_failed_) {
    answer.failure = in_rebuild;
    return node_.bus.send(from, std::move(answer));
  }
  const auto done =
      store_.scan_user_queue(read.user, read.after, read.rows_max, read.bytes_max, answer.rows);
  if (!done) answer.failure = done.error().what;
  if (done && answer.rows.empty() && read.after != QueueSequence{}) {
    const auto end = store_.user_queue_end(read.user);
    if (end) {
      answer.end = *end;
    } else {
      answer.failure = end.error().what;
    }
  }
  node_.bus.send(from, std::move(answer));
}

void Owner::handle(NodeId from, bus::ReadMemberQueue&& read) {
  bus::MemberQueueRead answer{.session = read.session, .rows = {}, .failure = {}};
  if (store_failed_) {
    answer.failure = in_rebuild;
    return node_.bus.send(from, std::move(answer));
  }
  const auto done = store_.scan_member_queue(read.channel, read.user, read.after, read.rows_max,
                                             read.bytes_max, answer.rows);
  if (!done) answer.failure = done.error().what;
  node_.bus.send(from, std::move(answer));
}

}  // namespace clamor::server
