#include "server/app/node.hpp"

#include "server/app/recovery.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace clamor::server {
namespace {

store::QueueWriterSettings queue_writer_settings(const Settings& settings) {
  return {.linger = settings.queue_linger, .flush_every = settings.queue_flush_records};
}

}  // namespace

Node::Node(boost::asio::io_context& io, store::Store& store, const Settings& settings)
    : io_{io},
      store_{store},
      settings_{settings},
      channels_settings_{.design = settings.design,
                         .partitions = store.settings().partitions,
                         .group_members_max = settings.group_members_max},
      key_{token::derive_key(settings.secret)},
      tail_{{.records_per_channel = settings.tail_records, .age = settings.tail_age}},
      reader_{store, tail_, settings.page, operations_},
      rebuild_timer_{io} {
  open_.commit = std::make_shared<store::Commit>();
  queue_writer_ = std::make_unique<store::QueueWriter>(
      store, queue_writer_settings(settings), [this](const store::QueueOutcome& outcome) {
        const std::uint64_t epoch = queue_epoch_.load(std::memory_order_acquire);
        boost::asio::post(io_, [this, outcome, epoch] { on_queued(outcome, epoch); });
      });
  const auto recovered = recover_all();
  if (!recovered) throw std::runtime_error(settings.data + ": " + recovered.error().what);
  committer_ = std::make_unique<store::Committer>(store, [this](store::CommitOutcome outcome) {
    boost::asio::post(io_, [this, outcome = std::move(outcome)] { on_committed(outcome); });
  });
}

Node::~Node() = default;

void Node::drain(std::function<void()> drained) {
  draining_ = true;
  rebuild_timer_.cancel();
  drained_ = std::move(drained);
  finish_drain();
}

void Node::finish_drain() {
  if (!draining_ || !drained_ || !pending_.empty() || !open_.requests.empty()) return;
  if (!due_acks_.empty() && !store_failed_) return;
  std::exchange(drained_, nullptr)();
}

void Node::on_open(gateway::SessionId id, Instant now) {
  now_ = now;
  sessions_.open(id);
}

void Node::on_end(gateway::SessionId id, gateway::EndReason, Instant now) {
  now_ = now;
  if (sessions_.find(id) == nullptr) return;
  if (const auto user = sessions_.user_of(id)) detach(id.slot, *user);
  sessions_.end(id);
}

void Node::on_turn_end(Instant now) {
  now_ = now;
  tail_.expire(now);
  serve_pages();
  submit_open();
}

gateway::HttpAnswer Node::on_http_get(std::string_view target) {
  if (target == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = render_metrics(metrics())};
  }
  if (target == "/healthz") {
    if (store_failed_) return {.status = 503, .body = "the log cannot be appended to\n"};
    if (draining_) return {.status = 503, .body = "draining\n"};
    return {.body = "ok\n"};
  }
  return {.status = 404,
          .body = "not found; this server answers /metrics and /healthz, and WebSocket on " +
                  std::string{gateway::websocket_path} + "\n"};
}

NodeMetrics Node::metrics() const {
  NodeMetrics metrics{
      .operations = operations_, .incidents = incidents_, .gateway = gateway_->counters()};
  metrics.operations += gateway_->operations();
  metrics.operations.syncs = store_.syncs();
  metrics.design = layout_of(settings_.design);
  metrics.durability = settings_.durability == store::Durability::fsync ? "fsync" : "os";
  metrics.connections = gateway_->sessions();
  metrics.sessions = sessions_.logged_in();
  metrics.channels = channels_->size();
  metrics.commits_pending = pending_.size();
  metrics.commit_queue_bytes = committer_->pending_bytes();
  metrics.fan_out_lag_records = fan_out_lag_records_;
  metrics.fan_out_lag_entries = fan_out_lag_entries_;
  metrics.queue_writer_backlog = fan_outs_.size();
  metrics.pages_due = pages_due_.size();
  metrics.store_failed = store_failed_;
  return metrics;
}

// --- interest ------------------------------------------------------------------------------------

void Node::attach(std::uint32_t slot, UserId user) {
  for (const ChannelIndex index : channels_->channels_of(user)) {
    channels_->intervals(index, user, intervals_);
    // Joins and leaves that are not durable yet take effect when they are.
    const MessageId head = channels_->channel(index).head.durable_head;
    const bool member =
        std::any_of(intervals_.begin(), intervals_.end(),
                    [head](const core::Interval& i) { return i.join <= head && head < i.leave; });
    if (member && sessions_.attach(slot, index)) ++operations_.interest_updates;
  }
}

void Node::detach(std::uint32_t slot, UserId user) {
  for (const ChannelIndex index : channels_->channels_of(user)) {
    sessions_.detach(slot, index);
  }
}

}  // namespace clamor::server
