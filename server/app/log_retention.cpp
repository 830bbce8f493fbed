#include "server/app/log_retention.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

/// Channels that one pass looks at, and orders that it gives: its part of a turn is a few
/// milliseconds, its memory a few megabytes.
constexpr std::size_t channels_per_pass = 262'144;
constexpr std::size_t orders_per_pass = 16'384;

}  // namespace

LogRetention::LogRetention(boost::asio::io_context& io, store::Store& store, NodeContext& node,
                           const ChannelsSettings& settings)
    : io_{io}, node_{node}, trimmer_{store, settings, [this](TrimOutcome outcome) {
                                       boost::asio::post(
                                           io_, [this, pass = pass_.load(),
                                                 outcome = std::move(outcome)]() mutable {
                                             if (pass != pass_ || state_ != State::trimming) return;
                                             outcome_ = std::move(outcome);
                                             state_ = State::done;
                                           });
                                     }} {}

void LogRetention::tick(Channels& channels, const FanOutSource& source) {
  if (state_ == State::done) take_up(channels);
  if (state_ == State::idle) {
    decide(channels);
    ends_ = source.ends();
  }
  if (state_ != State::waiting || !source.all_flushed(ends_)) return;
  state_ = State::trimming;
  trimmer_.run(std::exchange(orders_, {}));
}

void LogRetention::decide(const Channels& channels) {
  const std::size_t count = std::min(channels_per_pass, channels.size());
  for (std::size_t i = 0; i < count && orders_.size() < orders_per_pass; ++i, ++next_) {
    if (next_ >= channels.size()) next_ = 0;
    const Channel& channel = channels.channel(next_);
    // What is announced is published: the journals' ends cover it.
    const core::TrimBounds due = core::due_trim(node_.settings.retention, channel.announced,
                                                channel.trimmed.id, channel.oldest, node_.now);
    if (due.any()) orders_.push_back({channel.id, due, node_.now});
  }
  if (!orders_.empty()) state_ = State::waiting;
}

void LogRetention::take_up(Channels& channels) {
  state_ = State::idle;
  const TrimOutcome outcome = std::exchange(outcome_, {});
  for (const TrimOutcome::Channel& one : outcome.channels) {
    channels.set_trimmed(one.channel, one.trimmed, one.oldest);
  }
  node_.incidents.log_records_trimmed += outcome.records;
  node_.incidents.log_trims += outcome.channels.size();
  const bool failed = !outcome.failure.empty();
  node_.incidents.log_trim_failures += failed ? 1 : 0;
  // It is tried again every second: the first failure of a row is told.
  if (failed && !failing_) node_.log.error("trimming logs failed", {{"error", outcome.failure}});
  failing_ = failed;
}

void LogRetention::discard() {
  trimmer_.discard();
  ++pass_;
  orders_.clear();
  state_ = State::idle;
}

}  // namespace clamor::server
