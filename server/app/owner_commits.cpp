// What becomes of commits: answers, live records, queues, and failed appends.

#include "server/app/owner.hpp"
#include "server/protocol/about.hpp"

#include <utility>

namespace clamor::server {
namespace {

void count_kind(const core::Record& record, std::span<const std::byte> body,
                Operations& operations) {
  switch (record.kind) {
    case core::RecordKind::message: {
      if (!record.has_about) return;
      const auto about = protocol::read_about(body);
      operations.replies += about->target == MessageId{} ? 0 : 1;
      operations.mentions += about->mentions.size();
      return;
    }
    case core::RecordKind::edit:
      ++operations.edits;
      return;
    case core::RecordKind::deletion:
      ++operations.deletions;
      return;
    case core::RecordKind::reaction:
    case core::RecordKind::reaction_removed:
      ++operations.reactions;
      return;
    default:
      return;
  }
}

}  // namespace

void Owner::on_committed(const store::CommitOutcome& outcome) {
  node_.begin_turn();
  ++node_.operations.posts;
  if (outcome.failure) {
    if (!store_failed_) {
      node_.log.error("append failed", {{"error", outcome.failure->what}});
      ++node_.incidents.append_failures;
    }
    store_failed_ = true;
  } else {
    ++node_.operations.write_batches;
    node_.operations.log_bytes += outcome.bytes;
    node_.operations.commit_ns += static_cast<std::uint64_t>(to_ns(outcome.took));
  }
  for (std::size_t i = 0; i < outcome.commits; ++i) {
    const PendingCommit pending = std::move(pending_.front());
    pending_.pop_front();
    if (outcome.failure) {
      fail(pending);
    } else {
      publish(pending);
    }
  }
  if (store_failed_ && !open_.commit->empty()) {
    fail(open_);
    open_ = {.commit = std::make_shared<store::Commit>()};
  }
  if (store_failed_ && pending_.empty()) rebuild();
  finish_drain();
}

// --- a durable commit ----------------------------------------------------------------------------

void Owner::publish(const PendingCommit& pending) {
  const store::RecordBatch& batch = pending.commit->batch;
  auto planned = channels_->apply(*pending.commit);
  node_.operations.records += batch.size();
  tell_read(pending.commit->reads);
  tell_accounts(pending);
  if (batch.empty()) return;
  node_.operations.record_user_partition_pairs += planned.user_partition_pairs;
  if (node_.settings.payload == QueuePayload::copy) planned.fan_out.records = pending.commit;
  for (const store::Redaction& redaction : pending.commit->redactions) {
    tail_.redact(*channels_->find(redaction.stub.channel), redaction.stub.id);
  }
  source_.publish(std::move(planned), batch.size());
  std::size_t acks_held = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const core::Record& record = batch.record(i);
    const ChannelIndex index = *channels_->find(record.channel);
    count_kind(record, batch.body(i), node_.operations);
    tail_.add(index, pending.commit, i, node_.now);
    const bool answered = add_answer(pending.requests[i], channels_->channel(index), record, i);
    if (!answered) ++acks_held;
    if (record.kind == core::RecordKind::member_mode) ++node_.operations.mode_records;
    if (record.kind == core::RecordKind::join) {
      // A gateway that learns of it registers before the join itself goes out, where it is near.
      send_published(pending.commit);
      tell_joined(record, batch.body(i));
    }
    // An ack that comes later would leave a gap meanwhile: the sender gets the record first.
    add_live(index, i, !answered);
    channels_->set_announced(index, record);
  }
  send_published(pending.commit);
  source_.hold_acks(acks_held);
  settle();
}

bool Owner::add_answer(const Request& request, const Channel& channel, const core::Record& record,
                       std::size_t number) {
  if (request.answer.kind == bus::Answer::Kind::none) return true;
  if (request.answer.kind == bus::Answer::Kind::send &&
      node_.settings.ack_after == AckAfter::fanout && channel.lags(record.id)) {
    due_acks_.push_back({request.node,
                         {.device_ticket = request.answer.device_ticket,
                          .device_incarnation = record.device_incarnation,
                          .channel = record.channel,
                          .client_message_id = record.client_message_id,
                          .message_id = record.id}});
    return false;
  }
  for (Link& link : links_) {
    if (link.node != request.node) continue;
    link.entries.push_back(
        {.record = static_cast<std::uint32_t>(number), .answer = request.answer});
  }
  return true;
}

void Owner::settle() { send_due_acks(source_.settle(*channels_)); }

void Owner::send_due_acks(std::size_t count) {
  for (; count != 0; --count) {
    const DueAck& due = due_acks_.front();
    if (!due.forgotten) node_.bus.send(due.node, due.ack);
    due_acks_.pop_front();
  }
}

void Owner::add_live(ChannelIndex channel, std::size_t record, bool to_sender) {
  const std::uint64_t interest = channel < interest_.size() ? interest_[channel] : 0;
  node_runs_.clear();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    node_runs_.push_back({.node = links_[i].node, .interested = (interest >> i & 1U) != 0});
  }
  live_plan_.runs.clear();
  core::plan_live(node_runs_, live_plan_);
  node_.operations.record_node_pairs += live_plan_.runs.size();
  for (const std::uint32_t run : live_plan_.runs) {
    auto& entries = links_[run].entries;
    const auto number = static_cast<std::uint32_t>(record);
    if (entries.empty() || entries.back().record != number) entries.push_back({.record = number});
    entries.back().live = true;
    entries.back().to_sender = to_sender;
  }
}

void Owner::send_published(const std::shared_ptr<store::Commit>& commit) {
  for (Link& link : links_) {
    if (link.entries.empty()) continue;
    node_.bus.send(link.node, bus::Published{.term = store_.term(),
                                             .number = ++link.number,
                                             .commit = commit,
                                             .entries = std::exchange(link.entries, {})});
  }
}

void Owner::tell_joined(const core::Record& record, std::span<const std::byte> body) {
  node_.operations.membership_intervals += body.size() / 8;
  const auto nodes = node_.directory.nodes();
  for_each_user(body, [&](UserId user) {
    const NodeId owner = node_.directory.owner(user);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i] == owner) joined_[i].push_back(user);
    }
  });
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (joined_[i].empty()) continue;
    node_.bus.send(nodes[i],
                   bus::UsersJoined{record.channel, record.id, std::exchange(joined_[i], {})});
  }
}

void Owner::tell_read(std::span<const store::ReadCursor> reads) {
  for (const store::ReadCursor& cursor : reads) {
    const ChannelIndex index = *channels_->find(cursor.channel);
    node_.bus.send(node_.directory.owner(cursor.user),
                   bus::ReadMoved{cursor.user, unread_of(index, cursor.user)});
  }
}

// --- durable fan-out -----------------------------------------------------------------------------

void Owner::handle(NodeId from, bus::FanOutApplied&& applied) {
  source_.handle(from, applied, *channels_);
  settle();
  finish_drain();
}

void Owner::handle(NodeId from, bus::FanOutCursors&& cursors) {
  source_.handle(from, cursors, *channels_);
  trim_journals();
}

void Owner::handle(NodeId from, bus::FanOutFlushed&& flushed) {
  source_.handle(from, flushed);
  trim_journals();
}

// --- a failed append -----------------------------------------------------------------------------

void Owner::fail(const PendingCommit& pending) {
  for (std::size_t i = 0; i < pending.commit->batch.size(); ++i) {
    const core::Record& record = pending.commit->batch.record(i);
    const Request& request = pending.requests[i];
    if (request.answer.kind == bus::Answer::Kind::none) continue;
    node_.bus.send(request.node, bus::Refusal{.session = request.answer.session,
                                              .code = protocol::RefusalCode::store_failed,
                                              .retry_after = rebuild_retry,
                                              .channel = record.channel,
                                              .client_message_id = record.client_message_id});
  }
  for (const AccountRequest& request : pending.accounts) {
    if (request.session == bus::no_session) continue;
    node_.bus.send(request.node, bus::Refusal{.session = request.session,
                                              .code = protocol::RefusalCode::store_failed,
                                              .retry_after = rebuild_retry});
  }
}

}  // namespace clamor::server
