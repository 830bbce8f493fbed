// What becomes of commits: acks, live records, queues, catch-up pages, and failed appends.

#include "server/app/node.hpp"
#include "server/app/recovery.hpp"
#include "server/gateway/clock.hpp"

#include <boost/asio/post.hpp>

#include <array>
#include <cstdio>
#include <utility>

namespace clamor::server {
namespace {

/// Bounds of the catch-up work of one turn; the rest waits for the next.
constexpr std::size_t pages_per_turn = 64;
constexpr std::uint64_t page_records_per_turn = 4096;
/// Answers that may wait for a session's last page, beside the records.
constexpr std::size_t held_answers_max = 4096;
constexpr Duration rebuild_retry = 1s;
constexpr NodeId this_node{1};

}  // namespace

void Node::submit_open() {
  if (open_.requests.empty()) return;
  committer_->submit(open_.commit);
  ++operations_.posts;
  pending_.push_back(std::move(open_));
  open_ = {.commit = std::make_shared<store::Commit>(), .requests = {}};
}

void Node::on_committed(const store::CommitOutcome& outcome) {
  gateway_->begin_turn();
  ++operations_.posts;
  if (outcome.failure) {
    if (!store_failed_) {
      std::fprintf(stderr, "append failed: %s\n", outcome.failure->what.c_str());
      ++incidents_.append_failures;
    }
    store_failed_ = true;
  } else {
    ++operations_.write_batches;
    operations_.log_bytes += outcome.bytes;
    operations_.commit_ns += static_cast<std::uint64_t>(to_ns(outcome.took));
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
  if (store_failed_ && !open_.requests.empty()) {
    fail(open_);
    open_ = {.commit = std::make_shared<store::Commit>(), .requests = {}};
  }
  if (store_failed_ && pending_.empty()) rebuild();
  finish_drain();
}

// --- a durable commit ----------------------------------------------------------------------------

void Node::publish(const PendingCommit& pending) {
  const store::RecordBatch& batch = pending.commit->batch;
  auto planned = channels_->apply(*pending.commit);
  operations_.records += batch.size();
  operations_.record_user_partition_pairs += planned.user_partition_pairs;
  const std::size_t entries = planned.fan_out.entries.size();
  PendingFanOut& fan_out =
      fan_outs_.emplace_back(PendingFanOut{std::move(planned.runs), batch.size(), entries});
  fan_out_lag_records_ += batch.size();
  fan_out_lag_entries_ += entries;
  queue_writer_->submit(std::move(planned.fan_out));
  ++operations_.posts;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const core::Record& record = batch.record(i);
    const ChannelIndex index = *channels_->find(record.channel);
    tail_.add(index, pending.commit, i, now_);
    const Request& request = pending.requests[i];
    // Whose ack is the receipt of this record, so that it gets no live one.
    DeviceIndex receipt = no_device;
    if (request.kind == Request::Kind::send) {
      const bool now = acknowledge(channels_->channel(index), record, request.device);
      // An ack that comes later would leave a gap meanwhile: the sender gets the record first.
      if (now) receipt = request.device;
      if (!now) ++fan_out.acks;
    } else if (request.kind == Request::Kind::change) {
      answer_change(record, request);
    }
    const bool joins = record.kind == core::RecordKind::join;
    if (joins) change_interest(index, record, batch.body(i));
    deliver(index, record, batch.body(i), receipt);
    if (!joins) change_interest(index, record, batch.body(i));
  }
}

bool Node::acknowledge(const Channel& channel, const core::Record& record, DeviceIndex device) {
  const DueAck due{.ack = {record.channel, record.client_message_id, record.id},
                   .device = device,
                   .device_incarnation = record.device_incarnation};
  if (settings_.ack_after == AckAfter::fanout && channel.lags(record.id)) {
    due_acks_.push_back(due);
    return false;
  }
  send_ack(due);
  return true;
}

void Node::send_ack(const DueAck& due) {
  // To the device, wherever it is logged in by now; but another incarnation sent nothing.
  const auto& id = sessions_.device(due.device).session;
  if (!id) return;
  Session& session = *sessions_.find(*id);
  if (session.device_incarnation != due.device_incarnation) return;
  send_after_pages(*id, session, frame_of(due.ack), false);
}

void Node::send_due_acks(std::size_t count) {
  for (; count != 0; --count) {
    send_ack(due_acks_.front());
    due_acks_.pop_front();
  }
}

void Node::answer_change(const core::Record& record, const Request& request) {
  Session* const session = sessions_.find(request.session);
  if (session == nullptr) return;
  send_after_pages(request.session, *session,
                   frame_of(protocol::ChannelChanged{record.channel, record.id}), false);
}

void Node::change_interest(ChannelIndex index, const core::Record& record,
                           std::span<const std::byte> body) {
  if (record.kind == core::RecordKind::join) {
    operations_.membership_intervals += body.size() / 8;
    for_each_user(body, [&](UserId user) {
      sessions_.for_each_session_of(user, [&](std::uint32_t slot) {
        if (sessions_.attach(slot, index)) ++operations_.interest_updates;
      });
    });
  } else if (record.kind == core::RecordKind::leave || record.kind == core::RecordKind::kick) {
    for_each_user(body, [&](UserId user) {
      sessions_.for_each_session_of(user,
                                    [&](std::uint32_t slot) { sessions_.detach(slot, index); });
    });
  }
}

void Node::deliver(ChannelIndex index, const core::Record& record, std::span<const std::byte> body,
                   DeviceIndex sender) {
  const auto slots = sessions_.interested(index);
  const std::array runs{core::NodeRun{.node = this_node,
                                      .begin = 0,
                                      .end = static_cast<std::uint32_t>(slots.size()),
                                      .interested = sessions_.registered(index)}};
  live_plan_.runs.clear();
  core::plan_live(runs, live_plan_);
  operations_.record_node_pairs += live_plan_.runs.size();
  if (live_plan_.runs.empty() || slots.empty()) return;
  const gateway::SharedFrame frame = frame_of(protocol::RecordFrame{record, body});
  for (const std::uint32_t slot : slots) {
    Session& session = sessions_.at(slot);
    // For the sending device the ack is the receipt; another incarnation of it gets none.
    if (session.device == sender && session.device_incarnation == record.device_incarnation) {
      continue;
    }
    send_after_pages(sessions_.id_at(slot), session, frame, true);
  }
}

void Node::send_after_pages(gateway::SessionId id, Session& session, gateway::SharedFrame frame,
                            bool is_record) {
  if (session.phase == Phase::live) {
    operations_.live_deliveries += is_record ? 1 : 0;
    gateway_->send(id, std::move(frame));
  } else if (session.catch_up != nullptr) {
    if (session.catch_up->waiting.size() >= settings_.catch_up_held_records + held_answers_max) {
      // It sends and sends and asks for no page: answers must not pile up for it.
      session.phase = Phase::closing;
      session.catch_up.reset();
      gateway_->close(id, protocol::CloseCode::slow_consumer, "pages are not asked for");
      return;
    }
    const bool before = session.catch_up->overflowed;
    hold(*session.catch_up, {std::move(frame), is_record}, settings_.catch_up_held_records);
    if (session.catch_up->overflowed && !before) ++incidents_.catch_up_overflows;
  }
}

void Node::on_queued(const store::QueueOutcome& outcome, std::uint64_t epoch) {
  ++operations_.posts;
  operations_.queue_batches += outcome.batches;
  operations_.queue_entries += outcome.entries;
  operations_.queue_bytes += outcome.bytes;
  operations_.queue_ns += static_cast<std::uint64_t>(to_ns(outcome.took));
  incidents_.queue_write_failures += outcome.failures;
  if (epoch != queue_epoch_.load(std::memory_order_relaxed)) return;
  if (!due_acks_.empty()) gateway_->begin_turn();
  for (std::size_t i = 0; i < outcome.fan_outs; ++i) {
    channels_->set_covered(fan_outs_.front().runs);
    send_due_acks(fan_outs_.front().acks);
    fan_out_lag_records_ -= fan_outs_.front().records;
    fan_out_lag_entries_ -= fan_outs_.front().entries;
    fan_outs_.pop_front();
  }
  finish_drain();
}

// --- catch-up pages ------------------------------------------------------------------------------

void Node::serve_pages() {
  if (store_failed_) return;  // They wait for the rebuild, which may replace the store.
  const std::uint64_t records_max = operations_.catch_up_deliveries + page_records_per_turn;
  for (std::size_t pages = 0; !pages_due_.empty(); ++pages) {
    if (pages == pages_per_turn || operations_.catch_up_deliveries >= records_max) {
      boost::asio::post(io_, [this] { gateway_->begin_turn(); });
      return;
    }
    const gateway::SessionId id = pages_due_.front();
    pages_due_.pop_front();
    Session* const session = sessions_.find(id);
    if (session != nullptr && session->phase == Phase::catching_up) serve_page(id, *session);
  }
}

void Node::serve_page(gateway::SessionId id, Session& session) {
  CatchUp& catch_up = *session.catch_up;
  catch_up.page_due = false;
  scratch_.clear();
  protocol::PageWriter page{scratch_};
  const Instant began = gateway::monotonic_now();
  auto complete = reader_.fill(*channels_, catch_up, page);
  if (complete && *complete && catch_up.overflowed) {
    // What came in meanwhile was too much to hold: it is read like the rest.
    catch_up.overflowed = false;
    reader_.begin_again(*channels_, catch_up);
    complete = reader_.fill(*channels_, catch_up, page);
  }
  operations_.scan_ns += static_cast<std::uint64_t>(to_ns(gateway::monotonic_now() - began));
  if (!complete) {
    std::fprintf(stderr, "catch-up failed: %s\n", complete.error().what.c_str());
    ++incidents_.catch_up_failures;
    session.phase = Phase::closing;
    session.catch_up.reset();
    gateway_->close(id, protocol::CloseCode::internal_error, "the store cannot be read");
    return;
  }
  page.finish(*complete, catch_up.queue_position);
  gateway_->send(id, gateway::make_frame(scratch_));
  ++incidents_.pages;
  if (*complete) finish_catch_up(id, session);
}

void Node::finish_catch_up(gateway::SessionId id, Session& session) {
  const auto catch_up = std::move(session.catch_up);
  session.phase = Phase::live;
  for (CatchUp::Waiting& waiting : catch_up->waiting) {
    send_after_pages(id, session, std::move(waiting.frame), waiting.is_record);
  }
}

// --- a failed append -----------------------------------------------------------------------------

void Node::fail(const PendingCommit& pending) {
  for (std::size_t i = 0; i < pending.commit->batch.size(); ++i) {
    const core::Record& record = pending.commit->batch.record(i);
    const Request& request = pending.requests[i];
    if (request.kind == Request::Kind::none) continue;
    if (sessions_.find(request.session) == nullptr) continue;
    refuse(request.session, {.code = protocol::RefusalCode::store_failed,
                             .retry_after = rebuild_retry,
                             .channel = record.channel,
                             .client_message_id = record.client_message_id});
  }
}

void Node::rebuild() {
  const auto rebuilt = try_rebuild();
  if (rebuilt) {
    store_failed_ = false;
    committer_->resume();
    send_due_acks(due_acks_.size());  // What they are for was durable, and is redone.
    ++incidents_.rebuilds;
    std::fprintf(stderr, "the state was rebuilt from the log; appending again\n");
    return;
  }
  std::fprintf(stderr, "rebuilding from the log failed: %s\n", rebuilt.error().what.c_str());
  if (draining_) return;
  rebuild_timer_.expires_after(rebuild_retry);
  rebuild_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    gateway_->begin_turn();
    rebuild();
  });
}

store::Result<void> Node::try_rebuild() {
  queue_writer_->discard();
  queue_epoch_.fetch_add(1, std::memory_order_release);
  fan_outs_.clear();
  fan_out_lag_records_ = 0;
  fan_out_lag_entries_ = 0;
  tail_.clear();
  const auto reopened = store_.reopen();
  if (!reopened) return reopened.error();
  // Kept until a rebuild succeeds: sessions know what it says, and nothing since.
  if (before_failure_ == nullptr) before_failure_ = std::move(channels_);
  channels_ = std::make_unique<Channels>(channels_settings_);
  const auto recovered = recover_all();
  if (!recovered) return recovered.error();
  reattach(*std::exchange(before_failure_, nullptr));
  return {};
}

store::Result<void> Node::recover_all() {
  auto channels = recover(store_, channels_settings_);
  if (!channels) return channels.error();
  channels_ = std::move(*channels);
  const auto redone = redo_fan_out(store_, *channels_, *queue_writer_);
  if (!redone) return redone.error();
  incidents_.fan_out_redone_records += *redone;
  if (!queue_writer_->drain()) return store::Failure{"queue entries cannot be written"};
  queue_epoch_.fetch_add(1, std::memory_order_release);
  channels_->set_all_covered();
  return {};
}

void Node::reattach(const Channels& before) {
  sessions_.clear_interest();
  sessions_.for_each_logged_in([&](std::uint32_t slot) {
    Session& session = sessions_.at(slot);
    const gateway::SessionId id = sessions_.id_at(slot);
    const auto user = sessions_.user_of(id);
    if (!user) return;
    attach(slot, *user);
    if (session.catch_up != nullptr) {
      std::erase_if(session.catch_up->waiting, [](const auto& held) { return held.is_record; });
      session.catch_up->overflowed = false;
      reader_.begin_again(*channels_, *session.catch_up);
      return;
    }
    // A batch that was reported as failed may be in the log after all: whoever would have got its
    // records live comes back and catches up.
    for (const ChannelIndex index : channels_->channels_of(*user)) {
      const Channel& channel = channels_->channel(index);
      const auto known = before.find(channel.id);
      if (known && before.channel(*known).head.durable_head == channel.head.durable_head) continue;
      session.phase = Phase::closing;
      gateway_->close(id, protocol::CloseCode::internal_error, "records were recovered");
      return;
    }
  });
}

}  // namespace clamor::server
