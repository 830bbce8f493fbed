#include "server/app/fan_out_sink.hpp"

#include "server/base/assert.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

/// Adds a place to those of one partition: the later one counts.
void merge(std::vector<store::JournalPlace>& places, const store::JournalPlace& place) {
  const auto same = std::find_if(places.begin(), places.end(), [&](const auto& other) {
    return other.partition == place.partition;
  });
  if (same == places.end()) {
    places.push_back(place);
  } else {
    same->sequence = std::max(same->sequence, place.sequence);
  }
}

}  // namespace

FanOutSink::FanOutSink(boost::asio::io_context& io, store::Store& store, NodeContext& node,
                       Users& users)
    : io_{io},
      store_{store},
      node_{node},
      users_{users},
      taken_(node.directory.partitions()),
      flushed_(node.directory.partitions()) {
  for (const NodeId id : node.directory.nodes()) sources_.push_back({.node = id});
  writer_ = std::make_unique<store::QueueWriter>(
      store,
      store::QueueWriterSettings{
          .linger = node.settings.queue_linger,
          .flush = {.records = node.settings.queue_flush_records,
                    .bytes = core::queue_write_buffers * node.settings.write_buffer_bytes},
          .flush_after = node.settings.retention.keeps_all() ? Duration::max()
                                                             : node.settings.queue_flush_after},
      [this](const store::QueueOutcome& outcome) {
        const std::uint64_t epoch = epoch_.load(std::memory_order_acquire);
        boost::asio::post(io_, [this, outcome, epoch] { on_queued(outcome, epoch); });
      });
}

FanOutSink::Source& FanOutSink::source(NodeId node) {
  const auto found = std::find_if(sources_.begin(), sources_.end(),
                                  [&](const Source& source) { return source.node == node; });
  CLAMOR_ASSERT(found != sources_.end());
  return *found;
}

void FanOutSink::end_turn() {
  if (!reports_.empty()) writer_->report(reports_);
}

bool FanOutSink::complete() const {
  return std::all_of(sources_.begin(), sources_.end(),
                     [](const Source& source) { return source.caught_up; });
}

bool FanOutSink::lacks_node() const {
  return std::any_of(sources_.begin(), sources_.end(), [&](const Source& source) {
    return !source.caught_up && !node_.bus.is_up(source.node);
  });
}

bus::FanOutCursors FanOutSink::cursors_for(NodeId source) const {
  bus::FanOutCursors cursors;
  for (std::uint32_t i = 0; i < taken_.size(); ++i) {
    if (node_.directory.owner(PartitionId{i}) != source) continue;
    cursors.taken.push_back({{i}, taken_[i]});
    cursors.flushed.push_back({{i}, flushed_[i]});
  }
  return cursors;
}

void FanOutSink::handle(NodeId from, bus::FanOutAsk&& ask) {
  // A source that was away numbers its streams anew: what was refused before means nothing.
  Source& asking = source(from);
  asking.stream = ask.stream;
  asking.refused = 0;
  tell_cursors(from, ask.stream);
}

void FanOutSink::tell_cursors(NodeId source, std::uint32_t stream) {
  bus::FanOutCursors cursors = cursors_for(source);
  cursors.stream = stream;
  node_.bus.send(source, std::move(cursors));
}

void FanOutSink::handle(NodeId from, bus::FanOutBatch&& batch) {
  Source& sender = source(from);
  sender.stream = batch.stream;
  const bool continues = std::all_of(
      batch.ranges.begin(), batch.ranges.end(),
      [&](const bus::JournalRange& range) { return range.from == taken_[range.partition.value]; });
  if (!continues) {
    // Told once a stream: what else of it is on its way here does not continue either.
    if (std::exchange(sender.refused, batch.stream) == batch.stream) return;
    return tell_cursors(from, batch.stream);
  }
  Taken& taken = taken_batches_.emplace_back(Taken{from, batch.stream, {}});
  for (const bus::JournalRange& range : batch.ranges) {
    taken_[range.partition.value] = range.to;
    taken.places.push_back({range.partition, range.to});
  }
  batch.fan_out.cursors = taken.places;
  std::vector<std::pair<SessionPlace, ChannelId>> joined;
  for (const store::UserChannel& join : batch.fan_out.joins) {
    // As a rule UsersJoined was here first. Where it was lost, sessions come back and catch up.
    if (!users_.add_channel(join.user, join.channel)) continue;
    users_.for_each_session(
        join.user, [&](const SessionPlace& place) { joined.emplace_back(place, join.channel); });
  }
  writer_->submit(std::move(batch.fan_out));
  ++node_.operations.posts;
  for (const auto& [place, channel] : joined) {
    node_.bus.send(place.node, bus::Joined{place.ticket, channel, {}});
  }
}

void FanOutSink::on_queued(const store::QueueOutcome& outcome, std::uint64_t epoch) {
  node_.begin_turn();
  ++node_.operations.posts;
  node_.operations.queue_batches += outcome.batches;
  node_.operations.queue_entries += outcome.entries;
  node_.operations.queue_bytes += outcome.bytes;
  node_.operations.queue_ns += static_cast<std::uint64_t>(to_ns(outcome.took));
  node_.operations.queue_bytes_trimmed += outcome.trimmed.bytes;
  node_.incidents.queue_write_failures += outcome.failures;
  node_.incidents.devices_expired += outcome.trimmed.devices_expired;
  node_.incidents.queues_expired += outcome.trimmed.queues_expired;
  if (epoch != epoch_.load(std::memory_order_relaxed)) return;
  std::vector<Taken> applied;
  for (std::size_t i = 0; i < outcome.fan_outs; ++i) {
    Taken taken = std::move(taken_batches_.front());
    taken_batches_.pop_front();
    const auto same = std::find_if(applied.begin(), applied.end(), [&](const Taken& other) {
      return other.source == taken.source && other.stream == taken.stream;
    });
    if (same == applied.end()) {
      applied.push_back(std::move(taken));
    } else {
      for (const store::JournalPlace& place : taken.places) merge(same->places, place);
    }
  }
  for (Taken& one : applied) {
    node_.bus.send(one.source, bus::FanOutApplied{one.stream, std::move(one.places)});
  }
  for (const Source& source : sources_) {
    bus::FanOutFlushed flushed;
    for (const store::JournalPlace& place : outcome.flushed) {
      if (node_.directory.owner(place.partition) != source.node) continue;
      flushed_[place.partition.value] = place.sequence;
      flushed.places.push_back(place);
    }
    if (!flushed.places.empty()) node_.bus.send(source.node, std::move(flushed));
  }
}

// --- recovery ------------------------------------------------------------------------------------

store::Result<void> FanOutSink::recover() {
  for (std::uint32_t i = 0; i < taken_.size(); ++i) {
    const auto cursor = store_.cursor({i});
    if (!cursor) return cursor.error();
    taken_[i] = *cursor;
    flushed_[i] = *cursor;
  }
  return store_.visit_user_channels(
      [&](const store::UserChannel& one) { users_.add_channel(one.user, one.channel); });
}

void FanOutSink::discard() {
  writer_->discard();
  epoch_.fetch_add(1, std::memory_order_release);
  taken_batches_.clear();
}

void FanOutSink::announce() {
  for (const Source& source : sources_) {
    if (source.node != node_.self) handle(source.node, bus::FanOutAsk{source.stream});
  }
}

}  // namespace clamor::server
