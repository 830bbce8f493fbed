#include "server/app/fan_out_source.hpp"

#include "server/base/assert.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace clamor::server {
namespace {

/// Journal rows that are planned at once: runs in them pack into one row a queue.
constexpr std::size_t rows_per_redo = 1024;
/// And what their copied records may take, or one: a link to another process has its bound.
constexpr std::size_t redo_bytes_max = std::size_t{16} << 20U;

/// The records that journal rows name, from the log; rows whose records are too much are taken off.
store::Result<std::shared_ptr<const store::Commit>> records_of(
    const store::Store& store, std::vector<store::JournalRow>& rows) {
  std::map<ChannelId, std::vector<MessageId>> ids;
  for (const store::JournalRow& row : rows) ids[row.channel].push_back(row.id);
  auto commit = std::make_shared<store::Commit>();
  for (const auto& [channel, of_channel] : ids) {
    const auto read = store.get_log(channel, of_channel, commit->batch);
    if (!read) return read.error();
  }
  if (commit->batch.size() != rows.size()) {
    return store::Failure{
        "the journal names a record that the log does not hold: restore the data directory from a "
        "copy"};
  }
  if (commit->batch.bytes() > redo_bytes_max && rows.size() > 1) {
    rows.resize((rows.size() + 1) / 2);
    return records_of(store, rows);
  }
  return std::shared_ptr<const store::Commit>{std::move(commit)};
}

}  // namespace

FanOutSource::FanOutSource(const store::Store& store, NodeContext& node)
    : store_{store},
      node_{node},
      ends_(node.directory.partitions()),
      trimmed_(node.directory.partitions()) {
  const std::uint32_t partitions = node.directory.partitions();
  for (std::uint32_t i = 0; i < partitions; ++i) {
    if (node.directory.owner(PartitionId{i}) == node.self) own_.push_back({i});
  }
  const std::vector<JournalSequence> zeros(partitions);
  for (const NodeId id : node.directory.nodes()) {
    consumers_.push_back({.node = id, .sent = zeros, .applied = zeros, .flushed = zeros});
  }
}

FanOutSource::Consumer& FanOutSource::consumer(NodeId node) {
  const auto found = std::find_if(consumers_.begin(), consumers_.end(),
                                  [&](const Consumer& one) { return one.node == node; });
  CLAMOR_ASSERT(found != consumers_.end());
  return *found;
}

// --- commits -------------------------------------------------------------------------------------

void FanOutSource::publish(Channels::Planned planned, std::uint64_t records) {
  const std::vector<store::JournalPlace> places = planned.fan_out.cursors;
  for (const store::JournalPlace& place : places) ends_[place.partition.value] = place.sequence;
  Pending& pending = pending_.emplace_back(Pending{.runs = std::move(planned.runs),
                                                   .places = places,
                                                   .records = records,
                                                   .entries = planned.fan_out.entries.size()});
  lag_records_ += pending.records;
  lag_entries_ += pending.entries;
  // Own batches come back as applied later, never from inside send().
  if (consumers_.size() == 1) {
    pending.owed = 1;
    return send(consumers_.front(), std::move(planned.fan_out), places);
  }
  for (std::size_t i = 0; i < consumers_.size(); ++i) {
    Consumer& one = consumers_[i];
    store::FanOut part = part_of(planned.fan_out, one.node);
    // Of a commit that owes it nothing a consumer hears with the next one, or by tick().
    if (part.entries.empty() && part.joins.empty() && one.node != node_.self) continue;
    pending.owed |= std::uint64_t{1} << i;
    if (one.state == State::live) send(one, std::move(part), places);
  }
}

store::FanOut FanOutSource::part_of(const store::FanOut& whole, NodeId node) const {
  store::FanOut part;
  std::size_t entry = 0;
  for (const store::FanOut::Run& run : whole.runs) {
    for (; entry < run.entries_end; ++entry) {
      const core::DurableEntry& found = whole.entries[entry];
      if (node_.directory.owner(found.partition) == node) part.entries.push_back(found);
    }
    const std::size_t before = part.runs.empty() ? 0 : part.runs.back().entries_end;
    if (part.entries.size() == before) continue;
    part.runs.push_back(run);
    part.runs.back().entries_end = part.entries.size();
  }
  if (!part.entries.empty()) part.records = whole.records;
  for (const store::UserChannel& join : whole.joins) {
    if (node_.directory.owner(join.user) == node) part.joins.push_back(join);
  }
  return part;
}

void FanOutSource::send(Consumer& to, store::FanOut&& fan_out,
                        std::span<const store::JournalPlace> up_to) {
  bus::FanOutBatch batch{.stream = to.stream, .ranges = {}, .fan_out = std::move(fan_out)};
  for (const store::JournalPlace& place : up_to) {
    JournalSequence& sent = to.sent[place.partition.value];
    batch.ranges.push_back({place.partition, sent, place.sequence});
    sent = place.sequence;
  }
  node_.bus.send(to.node, std::move(batch));
}

void FanOutSource::handle(NodeId from, const bus::FanOutApplied& applied, Channels& channels) {
  Consumer& by = consumer(from);
  for (const store::JournalPlace& place : applied.places) {
    JournalSequence& known = by.applied[place.partition.value];
    known = std::max(known, place.sequence);
  }
  if (by.state != State::redoing || by.node == node_.self || applied.stream != by.stream) return;
  const bool all = std::all_of(own_.begin(), own_.end(), [&](PartitionId partition) {
    return by.applied[partition.value] >= by.sent[partition.value];
  });
  if (all) try_redo(by, channels);
}

std::size_t FanOutSource::settle(Channels& channels) {
  std::size_t acks = 0;
  for (; settled_ < pending_.size(); ++settled_) {
    const Pending& next = pending_[settled_];
    if (!is_applied(next, By::those_up)) break;
    channels.set_settled(next.runs);
    acks += next.acks;
  }
  for (; settled_ != 0 && is_applied(pending_.front(), By::all); --settled_) {
    const Pending& done = pending_.front();
    channels.set_covered(done.runs);
    lag_records_ -= done.records;
    lag_entries_ -= done.entries;
    pending_.pop_front();
  }
  return acks;
}

bool FanOutSource::is_applied(const Pending& pending, By whom) const {
  for (std::size_t i = 0; i < consumers_.size(); ++i) {
    const Consumer& one = consumers_[i];
    if ((pending.owed >> i & 1U) == 0) continue;
    if (whom == By::those_up && one.state == State::down) continue;
    for (const store::JournalPlace& place : pending.places) {
      if (one.applied[place.partition.value] < place.sequence) return false;
    }
  }
  return true;
}

void FanOutSource::tick() {
  for (Consumer& one : consumers_) {
    if (one.state == State::asked) node_.bus.send(one.node, bus::FanOutAsk{one.stream});
    if (one.state != State::live) continue;
    std::vector<store::JournalPlace> behind;
    for (const PartitionId partition : own_) {
      if (one.sent[partition.value] == ends_[partition.value]) continue;
      behind.push_back({partition, ends_[partition.value]});
    }
    if (!behind.empty()) send(one, {}, behind);
  }
}

// --- the journals' ends --------------------------------------------------------------------------

void FanOutSource::handle(NodeId from, const bus::FanOutFlushed& flushed) {
  Consumer& by = consumer(from);
  for (const store::JournalPlace& place : flushed.places) {
    JournalSequence& known = by.flushed[place.partition.value];
    known = std::max(known, place.sequence);
  }
}

std::vector<store::JournalPlace> FanOutSource::trimmable() {
  std::vector<store::JournalPlace> places;
  for (const PartitionId partition : own_) {
    JournalSequence least = consumers_.front().flushed[partition.value];
    for (const Consumer& one : consumers_) least = std::min(least, one.flushed[partition.value]);
    if (least <= trimmed_[partition.value]) continue;
    trimmed_[partition.value] = least;
    places.push_back({partition, least});
  }
  return places;
}

bool FanOutSource::all_flushed(std::span<const JournalSequence> ends) const {
  return std::all_of(consumers_.begin(), consumers_.end(), [&](const Consumer& one) {
    return std::all_of(own_.begin(), own_.end(), [&](PartitionId partition) {
      return one.flushed[partition.value] >= ends[partition.value];
    });
  });
}

// --- streams -------------------------------------------------------------------------------------

void FanOutSource::ask(Consumer& one) {
  ++one.stream;
  one.state = State::asked;
  node_.bus.send(one.node, bus::FanOutAsk{one.stream});
}

void FanOutSource::on_node_up(NodeId node) { ask(consumer(node)); }
void FanOutSource::on_node_down(NodeId node) { consumer(node).state = State::down; }

void FanOutSource::handle(NodeId from, const bus::FanOutCursors& cursors, Channels& channels) {
  Consumer& one = consumer(from);
  if (cursors.stream != one.stream || one.state == State::down) return;
  begin_stream(one, cursors);
  try_redo(one, channels);
}

void FanOutSource::begin_stream(Consumer& one, const bus::FanOutCursors& cursors) {
  handle(one.node, bus::FanOutFlushed{cursors.flushed});
  for (const store::JournalPlace& place : cursors.taken) {
    one.sent[place.partition.value] = place.sequence;
    JournalSequence& applied = one.applied[place.partition.value];
    applied = std::min(applied, place.sequence);  // A kill undoes what no flush has made durable.
  }
  // What it had not taken of the stream before is lost.
  ++one.stream;
  one.state = State::redoing;
}

store::Result<FanOutSource::Redone> FanOutSource::redo(Consumer& one, Channels& channels) {
  Redone redone;
  std::size_t bytes = 0;  // Of copied records.
  for (const PartitionId partition : own_) {
    const JournalSequence end = ends_[partition.value];
    while (one.sent[partition.value] < end) {
      if (redone.rows >= rows_per_redo || bytes >= redo_bytes_max) return redone;
      std::vector<store::JournalRow> rows;
      const auto visited = store_.visit_journal(partition, one.sent[partition.value], rows_per_redo,
                                                [&](const store::JournalRow& row) {
                                                  if (row.place.sequence <= end)
                                                    rows.push_back(row);
                                                });
      if (!visited) return visited.error();
      // Trimmed rows served everybody once: a consumer that is behind them lost its queues.
      JournalSequence to = rows.size() < rows_per_redo ? end : rows.back().place.sequence;
      std::shared_ptr<const store::Commit> copied;
      if (node_.settings.payload == QueuePayload::copy) {
        const std::size_t found = rows.size();
        auto records = records_of(store_, rows);
        if (!records) return records.error();
        copied = std::move(*records);
        if (rows.size() < found) to = rows.back().place.sequence;
        bytes += copied->batch.bytes();
      }
      store::FanOut whole = channels.redo(rows).fan_out;
      whole.records = std::move(copied);
      store::FanOut part = part_of(whole, one.node);
      const store::JournalPlace place{partition, to};
      redone.rows += std::max<std::uint64_t>(rows.size(), 1);
      redone.entries += part.entries.size();
      node_.incidents.fan_out_redone_records += rows.size();
      send(one, std::move(part), std::span{&place, 1});
    }
  }
  // What is committed from here on follows in the same stream: under load the journals' ends would
  // not wait for the last batch to be applied.
  if (one.state == State::redoing) {
    one.state = State::live;
    node_.bus.send(one.node, bus::FanOutCaughtUp{});
    // It may have applied more than it could say: this is answered once all of it is.
    std::vector<store::JournalPlace> all;
    for (const PartitionId partition : own_) all.push_back({partition, one.sent[partition.value]});
    if (!all.empty()) send(one, {}, all);
  }
  return redone;
}

void FanOutSource::try_redo(Consumer& one, Channels& channels) {
  const auto redone = redo(one, channels);
  if (redone) return;
  node_.log.error("reading the journal failed",
                  {{"for_node", one.node.value}, {"error", redone.error().what}});
  one.state = State::asked;
}

// --- recovery ------------------------------------------------------------------------------------

void FanOutSource::restart(const Channels& channels) {
  pending_.clear();
  settled_ = 0;
  lag_records_ = 0;
  lag_entries_ = 0;
  for (const PartitionId partition : own_) {
    ends_[partition.value] = channels.journal_end(partition);
  }
  for (Consumer& one : consumers_) {
    if (one.node != node_.self && one.state != State::down) ask(one);
  }
}

void FanOutSource::begin_own(const bus::FanOutCursors& cursors) {
  begin_stream(consumer(node_.self), cursors);
}

store::Result<FanOutSource::Redone> FanOutSource::redo_own(Channels& channels) {
  return redo(consumer(node_.self), channels);
}

}  // namespace clamor::server
