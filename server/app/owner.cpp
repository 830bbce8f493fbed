#include "server/app/owner.hpp"

#include "server/app/recovery.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace clamor::server {
namespace {

constexpr Duration tick_interval = std::chrono::seconds{1};
/// Planned entries from which on the writer is waited for: large groups' take much memory.
constexpr std::uint64_t entries_waiting_max = 1'000'000;

}  // namespace

Owner::Owner(boost::asio::io_context& io, store::Store& store, NodeContext& node)
    : io_{io},
      store_{store},
      node_{node},
      channels_settings_{.design = node.settings.design,
                         .partitions = store.settings().partitions,
                         .group_members_max = node.settings.group_members_max,
                         .lists_redacted = node.settings.payload == QueuePayload::copy},
      presence_{io, node, users_},
      tail_{{.records_per_channel = node.settings.tail_records, .age = node.settings.tail_age}},
      source_{store, node},
      sink_{io, store, node, users_},
      rebuild_timer_{io},
      tick_timer_{io},
      retention_{node.settings.retention.keeps_all()
                     ? nullptr
                     : std::make_unique<LogRetention>(io, store, node, channels_settings_)},
      joined_(node.directory.nodes().size()) {
  for (const NodeId id : node.directory.nodes()) links_.push_back({.node = id, .entries = {}});
  open_.commit = std::make_shared<store::Commit>();
}

void Owner::start() {
  const auto recovered = recover_all();
  if (!recovered) {
    throw std::runtime_error(store_.settings().path + ": " + recovered.error().what);
  }
  committer_ = std::make_unique<store::Committer>(store_, [this](store::CommitOutcome outcome) {
    boost::asio::post(io_, [this, outcome = std::move(outcome)] { on_committed(outcome); });
  });
  tick();
}

Owner::~Owner() = default;

void Owner::end_turn() {
  ++turns_;
  tail_.expire(node_.now);
  sink_.end_turn();
  if (open_.commit->empty()) return;
  committer_->submit(open_.commit);
  ++node_.operations.posts;
  open_.handed_at = node_.now;
  pending_.push_back(std::move(open_));
  open_ = {.commit = std::make_shared<store::Commit>()};
}

void Owner::drain(std::function<void()> drained) {
  draining_ = true;
  rebuild_timer_.cancel();
  tick_timer_.cancel();
  presence_.stop();
  drained_ = std::move(drained);
  finish_drain();
}

void Owner::finish_drain() {
  if (!draining_ || !drained_ || !pending_.empty() || !open_.commit->empty()) return;
  if (!due_acks_.empty() && !store_failed_) return;
  std::exchange(drained_, nullptr)();
}

void Owner::add_to(NodeMetrics& metrics) const {
  metrics.operations.syncs = store_.syncs();
  metrics.channels = channels_->size();
  metrics.commits_pending = pending_.size();
  metrics.commit_queue_bytes = committer_->pending_bytes();
  metrics.fan_out_lag_records = source_.lag_records();
  metrics.fan_out_lag_entries = source_.lag_entries();
  metrics.queue_writer_backlog = sink_.backlog();
  metrics.presence_rows = presence_.size();
  metrics.presence_looks = presence_.looks();
  metrics.acks_due = due_acks_.size();
  metrics.store_failed = store_failed_;
  metrics.store_writes_stopped = store_.writes_stopped();
}

bool Owner::set_interest(ChannelIndex channel, NodeId node) {
  if (channel >= interest_.size()) {
    interest_.resize(std::max<std::size_t>(channel + std::size_t{1}, interest_.size() * 2));
  }
  const std::uint64_t bit = std::uint64_t{1} << place_of(node);
  const bool was_set = (interest_[channel] & bit) != 0;
  interest_[channel] |= bit;
  return was_set;
}

std::size_t Owner::place_of(NodeId node) const {
  const auto nodes = node_.directory.nodes();
  return static_cast<std::size_t>(std::find(nodes.begin(), nodes.end(), node) - nodes.begin());
}

// --- other nodes ---------------------------------------------------------------------------------

void Owner::on_node_up(NodeId node) {
  links_[place_of(node)].number = 0;
  source_.on_node_up(node);
}

void Owner::on_node_down(NodeId node) {
  source_.on_node_down(node);
  users_.forget(node);
  presence_.on_node_down(node);
  if (!sink_.complete() && sink_.lacks_node()) {
    users_.for_each_login([&](UserId, const SessionPlace& place) { refuse_waiting(place); });
  }
  const std::uint64_t others = ~(std::uint64_t{1} << place_of(node));
  for (std::uint64_t& nodes : interest_) nodes &= others;
  // Its names of devices and sessions mean others once it is back.
  const auto forget = [&](PendingCommit& commit) {
    for (Request& request : commit.requests) {
      if (request.node == node) request.answer.kind = bus::Answer::Kind::none;
    }
    for (AccountRequest& request : commit.accounts) {
      if (request.node == node) request.session = bus::no_session;
    }
  };
  forget(open_);
  for (PendingCommit& commit : pending_) forget(commit);
  for (DueAck& due : due_acks_) due.forgotten = due.forgotten || due.node == node;
  settle();
  finish_drain();
}

void Owner::tick() {
  tail_.expire(node_.now);
  freed_memory_.tick(turns_);
  source_.tick();
  if (retention_ != nullptr && !store_failed_) retention_->tick(*channels_, source_);
  for (const Link& link : links_) {
    if (link.node == node_.self) continue;
    node_.bus.send(link.node, bus::Published{.term = store_.term(), .number = link.number});
  }
  tick_timer_.expires_after(tick_interval);
  tick_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || draining_) return;  // A wait that is over is beyond cancel().
    node_.begin_turn();
    tick();
  });
}

// --- recovery ------------------------------------------------------------------------------------

void Owner::rebuild() {
  const auto rebuilt = try_rebuild();
  if (rebuilt) {
    store_failed_ = false;
    committer_->resume();
    send_due_acks(due_acks_.size());  // What they are for was durable, and is redone.
    ++node_.incidents.rebuilds;
    node_.log.info("the state was rebuilt from the log");
    for (const Link& link : links_) node_.bus.send(link.node, bus::Rebuilt{});
    return;
  }
  node_.log.error("rebuilding from the log failed", {{"error", rebuilt.error().what}});
  if (draining_) return;
  rebuild_timer_.expires_after(rebuild_retry);
  rebuild_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    node_.begin_turn();
    rebuild();
  });
}

store::Result<void> Owner::try_rebuild() {
  sink_.discard();
  if (retention_ != nullptr) retention_->discard();
  tail_.clear();
  interest_.clear();  // Channels get other indices; gateways register anew once they are told.
  const auto reopened = store_.reopen();
  if (!reopened) return reopened.error();
  const auto recovered = recover_all();
  if (recovered) sink_.announce();
  return recovered;
}

store::Result<void> Owner::recover_all() {
  auto channels = recover(store_, channels_settings_);
  if (!channels) return channels.error();
  channels_ = std::move(*channels);
  source_.restart(*channels_);
  const auto recovered = sink_.recover();
  if (!recovered) return recovered.error();
  source_.begin_own(sink_.cursors_for(node_.self));
  std::uint64_t waiting = 0;
  for (;;) {
    const auto redone = source_.redo_own(*channels_);
    if (!redone) return redone.error();
    waiting += redone->entries;
    if (redone->rows != 0 && waiting <= entries_waiting_max) continue;
    if (!sink_.drain()) return store::Failure{"queue entries cannot be written"};
    waiting = 0;
    if (redone->rows == 0) break;
  }
  channels_->set_all_covered();
  trim_journals();
  return {};
}

void Owner::trim_journals() {
  for (const store::JournalPlace& place : source_.trimmable()) sink_.trim(place);
}

}  // namespace clamor::server
