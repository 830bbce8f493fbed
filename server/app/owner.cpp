#include "server/app/owner.hpp"

#include "server/app/recovery.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

namespace clamor::server {

Owner::Owner(boost::asio::io_context& io, store::Store& store, NodeContext& node)
    : io_{io},
      store_{store},
      node_{node},
      channels_settings_{.design = node.settings.design,
                         .partitions = store.settings().partitions,
                         .group_members_max = node.settings.group_members_max},
      tail_{{.records_per_channel = node.settings.tail_records, .age = node.settings.tail_age}},
      rebuild_timer_{io},
      joined_(node.directory.nodes().size()) {
  for (const NodeId id : node.directory.nodes()) links_.push_back({.node = id, .entries = {}});
  open_.commit = std::make_shared<store::Commit>();
  queue_writer_ = std::make_unique<store::QueueWriter>(
      store,
      store::QueueWriterSettings{.linger = node.settings.queue_linger,
                                 .flush_every = node.settings.queue_flush_records},
      [this](const store::QueueOutcome& outcome) {
        const std::uint64_t epoch = queue_epoch_.load(std::memory_order_acquire);
        boost::asio::post(io_, [this, outcome, epoch] { on_queued(outcome, epoch); });
      });
  const auto recovered = recover_all();
  if (!recovered) throw std::runtime_error(node.settings.data + ": " + recovered.error().what);
  committer_ = std::make_unique<store::Committer>(store, [this](store::CommitOutcome outcome) {
    boost::asio::post(io_, [this, outcome = std::move(outcome)] { on_committed(outcome); });
  });
}

Owner::~Owner() = default;

void Owner::end_turn() {
  tail_.expire(node_.now);
  if (open_.requests.empty()) return;
  committer_->submit(open_.commit);
  ++node_.operations.posts;
  pending_.push_back(std::move(open_));
  open_ = {.commit = std::make_shared<store::Commit>(), .requests = {}};
}

void Owner::drain(std::function<void()> drained) {
  draining_ = true;
  rebuild_timer_.cancel();
  drained_ = std::move(drained);
  finish_drain();
}

void Owner::finish_drain() {
  if (!draining_ || !drained_ || !pending_.empty() || !open_.requests.empty()) return;
  if (!due_acks_.empty() && !store_failed_) return;
  std::exchange(drained_, nullptr)();
}

void Owner::add_to(NodeMetrics& metrics) const {
  metrics.operations.syncs = store_.syncs();
  metrics.channels = channels_->size();
  metrics.commits_pending = pending_.size();
  metrics.commit_queue_bytes = committer_->pending_bytes();
  metrics.fan_out_lag_records = fan_out_lag_records_;
  metrics.fan_out_lag_entries = fan_out_lag_entries_;
  metrics.queue_writer_backlog = fan_outs_.size();
  metrics.store_failed = store_failed_;
}

bool Owner::set_interest(ChannelIndex channel, NodeId node) {
  if (channel >= interest_.size()) {
    interest_.resize(std::max<std::size_t>(channel + std::size_t{1}, interest_.size() * 2));
  }
  const auto nodes = node_.directory.nodes();
  const auto place = std::find(nodes.begin(), nodes.end(), node) - nodes.begin();
  const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(place);
  const bool was_set = (interest_[channel] & bit) != 0;
  interest_[channel] |= bit;
  return was_set;
}

// --- recovery ------------------------------------------------------------------------------------

void Owner::rebuild() {
  const auto rebuilt = try_rebuild();
  if (rebuilt) {
    store_failed_ = false;
    committer_->resume();
    send_due_acks(due_acks_.size());  // What they are for was durable, and is redone.
    ++node_.incidents.rebuilds;
    std::fprintf(stderr, "the state was rebuilt from the log; appending again\n");
    for (const Link& link : links_) node_.bus.send(link.node, bus::Rebuilt{});
    return;
  }
  std::fprintf(stderr, "rebuilding from the log failed: %s\n", rebuilt.error().what.c_str());
  if (draining_) return;
  rebuild_timer_.expires_after(rebuild_retry);
  rebuild_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    node_.begin_turn();
    rebuild();
  });
}

store::Result<void> Owner::try_rebuild() {
  queue_writer_->discard();
  queue_epoch_.fetch_add(1, std::memory_order_release);
  fan_outs_.clear();
  fan_out_lag_records_ = 0;
  fan_out_lag_entries_ = 0;
  tail_.clear();
  interest_.clear();  // Channels get other indices; gateways register anew once they are told.
  const auto reopened = store_.reopen();
  if (!reopened) return reopened.error();
  return recover_all();
}

store::Result<void> Owner::recover_all() {
  auto channels = recover(store_, channels_settings_, users_);
  if (!channels) return channels.error();
  channels_ = std::move(*channels);
  const auto redone = redo_fan_out(store_, *channels_, *queue_writer_);
  if (!redone) return redone.error();
  node_.incidents.fan_out_redone_records += *redone;
  if (!queue_writer_->drain()) return store::Failure{"queue entries cannot be written"};
  queue_epoch_.fetch_add(1, std::memory_order_release);
  channels_->set_all_covered();
  return {};
}

}  // namespace clamor::server
