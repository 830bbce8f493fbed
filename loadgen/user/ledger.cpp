#include "loadgen/user/ledger.hpp"

#include "server/base/assert.hpp"
#include "server/base/hash.hpp"

#include <algorithm>
#include <utility>

namespace clamor::loadgen {
namespace {

Note note_from(const Observed& record, std::uint64_t hash) {
  CLAMOR_ASSERT(record.id.value <= std::numeric_limits<std::uint32_t>::max());
  CLAMOR_ASSERT(record.client_message_id.value <= std::numeric_limits<std::uint32_t>::max());
  return {record.channel, static_cast<std::uint32_t>(record.id.value), hash, record.sender,
          static_cast<std::uint32_t>(record.client_message_id.value)};
}

}  // namespace

std::uint64_t record_hash(const Observed& record) {
  std::uint64_t hash = combine64(record.channel, record.id.value);
  hash = combine64(hash, static_cast<std::uint64_t>(record.kind));
  hash = combine64(hash, record.sender);
  return combine64(hash, record.client_message_id.value);
}

Ledger::Ledger(std::uint32_t first_client, std::vector<std::uint32_t> offsets,
               std::vector<std::uint32_t> channels, MessageId held)
    : first_client_{first_client},
      offsets_{std::move(offsets)},
      channels_{std::move(channels)},
      rows_(channels_.size(), Row{held + 1, 0}) {
  CLAMOR_ASSERT(!offsets_.empty() && offsets_.back() == channels_.size());
  const auto highest = std::max_element(channels_.begin(), channels_.end());
  observed_up_to_.assign(highest == channels_.end() ? 0 : *highest + std::size_t{1},
                         static_cast<std::uint32_t>(held.value));
}

void Ledger::start_from(std::span<const MessageId> heads) {
  for (std::size_t row = 0; row < rows_.size(); ++row) rows_[row] = {heads[channels_[row]] + 1, 0};
  for (std::size_t channel = 0; channel < observed_up_to_.size(); ++channel) {
    observed_up_to_[channel] = static_cast<std::uint32_t>(heads[channel].value);
  }
  trouble_.clear();
  observed_holes_.clear();
  totals_ = {};
  notes_ = {};
}

std::span<const std::uint32_t> Ledger::channels_of(std::uint32_t client) const {
  const std::uint32_t i = client - first_client_;
  return std::span{channels_}.subspan(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

std::span<const Row> Ledger::rows_of(std::uint32_t client) const {
  const std::uint32_t i = client - first_client_;
  return std::span{rows_}.subspan(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

const RowTrouble* Ledger::trouble_of(std::uint32_t client, std::size_t index) const {
  if (trouble_.empty()) return nullptr;
  const auto found = trouble_.find(offsets_[client - first_client_] + index);
  return found == trouble_.end() ? nullptr : &found->second;
}

MessageId Ledger::held(std::uint32_t client, std::size_t index) const {
  const RowTrouble* trouble = trouble_of(client, index);
  if (trouble != nullptr && !trouble->holes.empty()) {
    return trouble->holes.ranges().front().first - 1;
  }
  return rows_of(client)[index].next - 1;
}

void Ledger::begin_session(std::uint32_t client) {
  if (trouble_.empty()) return;
  const std::size_t first = offsets_[client - first_client_];
  const std::size_t rows = channels_of(client).size();
  for (std::size_t index = 0; index < rows; ++index) {
    const auto found = trouble_.find(first + index);
    if (found == trouble_.end()) continue;
    RowTrouble& trouble = found->second;
    if (trouble.holes.empty() && trouble.excused.empty()) {
      trouble_.erase(found);  // Everything again is duplicated; the row says all.
      continue;
    }
    trouble.sent_at_login = held(client, index);
    trouble.known_at_login = rows_[first + index].next - 1;
    trouble.highest_in_session = {};
    trouble.again_in_session.clear();
    trouble.unjudged = 0;
  }
}

Receiving Ledger::receive(std::uint32_t client, const Observed& record) {
  const std::uint64_t hash = record_hash(record);
  const std::size_t row = find_row(client, record.channel);
  if (row == no_row) {
    ++totals_.misdelivered;
    return {Receipt::misdelivered, 0};
  }
  note_observed(record, hash);
  const bool own = record.sender == client;
  const Receiving received = take(row, record.id, hash, own, false);
  switch (received.receipt) {
    case Receipt::first:
      ++totals_.delivered;
      break;
    case Receipt::reordered:
      ++totals_.reordered;
      if (!own) ++totals_.delivered;
      break;
    case Receipt::duplicated:
      ++totals_.duplicated;
      break;
    case Receipt::redelivered:
      ++totals_.redelivered;
      break;
    case Receipt::echoed:
      ++totals_.echoed;
      break;
    case Receipt::misdelivered:
      break;
  }
  return received;
}

std::uint64_t Ledger::acknowledge(std::uint32_t client, std::uint32_t channel, ClientMessageId own,
                                  MessageId id, core::RecordKind kind) {
  const Observed record{channel, id, kind, client, own};
  const std::uint64_t hash = record_hash(record);
  notes_.push_back(note_from(record, hash));
  const std::size_t row = find_row(client, channel);
  return row == no_row ? 0 : take(row, id, hash, true, true).unjudged;
}

Receiving Ledger::take(std::size_t row_index, MessageId id, std::uint64_t hash, bool own,
                       bool by_ack) {
  Row& row = rows_[row_index];
  const Receipt first = own && !by_ack ? Receipt::echoed : Receipt::first;
  const auto found = trouble_.empty() ? trouble_.end() : trouble_.find(row_index);
  if (id >= row.next) {
    const std::uint64_t hole = id - row.next;
    std::uint64_t unjudged = 0;
    if (hole > 0 || found != trouble_.end()) {
      RowTrouble& trouble = trouble_at(row_index);
      if (hole > 0) trouble.holes.insert(row.next, id - 1);
      trouble.highest_in_session = id;
      unjudged = trouble.unjudged += hole;
    }
    row.next = id + 1;
    row.sum += hash;
    return {first, unjudged};
  }
  if (found == trouble_.end()) return {Receipt::duplicated, 0};

  RowTrouble& trouble = found->second;
  if (trouble.fill(id)) {
    row.sum += hash;
    const bool late = id < trouble.highest_in_session;
    trouble.highest_in_session = std::max(trouble.highest_in_session, id);
    if (id <= trouble.known_at_login) trouble.again_in_session.insert(id, id);
    return {late && !by_ack ? Receipt::reordered : first, trouble.unjudged};
  }
  if (id <= trouble.sent_at_login || id > trouble.known_at_login ||
      trouble.again_in_session.contains(id)) {
    return {Receipt::duplicated, 0};
  }
  trouble.again_in_session.insert(id, id);
  trouble.highest_in_session = std::max(trouble.highest_in_session, id);
  return {Receipt::redelivered, 0};
}

void Ledger::judged(std::uint32_t client, std::uint32_t channel) {
  const std::size_t row = find_row(client, channel);
  if (row == no_row || trouble_.empty()) return;
  const auto found = trouble_.find(row);
  if (found != trouble_.end()) found->second.unjudged = 0;
}

bool RowTrouble::fill(MessageId id) {
  const bool was_open = holes.erase(id);
  if (was_open && unjudged > 0) --unjudged;
  return was_open;
}

RowTrouble& Ledger::trouble_at(std::size_t row_index) {
  const auto [at, made] = trouble_.try_emplace(row_index);
  if (made) {
    // No trouble at the login: it declared everything that had come, and whatever came since
    // came in this session. Either way, again means duplicated.
    at->second.sent_at_login = rows_[row_index].next - 1;
    at->second.known_at_login = at->second.sent_at_login;
  }
  return at->second;
}

void Ledger::interval_start(std::uint32_t client, std::uint32_t channel, MessageId join) {
  const std::size_t index = find_row(client, channel);
  if (index == no_row) return;
  Row& row = rows_[index];
  const auto found = trouble_.find(index);
  if (found == trouble_.end() && join <= row.next) return;
  RowTrouble& trouble = trouble_at(index);
  const std::vector<IdRange> holes = trouble.holes.ranges();
  for (const IdRange& hole : holes) {
    for (MessageId id = hole.first; id <= hole.last && id < join; ++id) {
      trouble.fill(id);
      trouble.excused.insert(id, id);
    }
  }
  if (row.next >= join) return;
  trouble.excused.insert(row.next, join - 1);
  row.next = join;
}

void Ledger::truncated(std::uint32_t client, std::uint32_t channel, MessageId from, MessageId to) {
  const std::size_t index = find_row(client, channel);
  if (index == no_row || to < from) return;
  Row& row = rows_[index];
  RowTrouble& trouble = trouble_at(index);
  const std::vector<IdRange> holes = trouble.holes.ranges();
  for (const IdRange& hole : holes) {
    for (MessageId id = std::max(hole.first, from); id <= hole.last && id <= to; ++id) {
      trouble.fill(id);
      trouble.excused.insert(id, id);
      ++totals_.expired;
    }
  }
  if (to < row.next) return;
  if (row.next < from) trouble.holes.insert(row.next, from - 1);
  const MessageId first = std::max(row.next, from);
  trouble.excused.insert(first, to);
  totals_.expired += to - first + 1;
  row.next = to + 1;
}

std::size_t Ledger::memory_bytes() const {
  return rows_.capacity() * sizeof(Row) + channels_.capacity() * sizeof(std::uint32_t) +
         offsets_.capacity() * sizeof(std::uint32_t) + notes_.capacity() * sizeof(Note) +
         observed_up_to_.capacity() * sizeof(std::uint32_t);
}

std::size_t Ledger::find_row(std::uint32_t client, std::uint32_t channel) const {
  const std::span<const std::uint32_t> own = channels_of(client);
  const auto at = std::lower_bound(own.begin(), own.end(), channel);
  if (at == own.end() || *at != channel) return no_row;
  return offsets_[client - first_client_] + static_cast<std::size_t>(at - own.begin());
}

void Ledger::note_observed(const Observed& record, std::uint64_t hash) {
  std::uint32_t& up_to = observed_up_to_[record.channel];
  const MessageId seen{up_to};
  if (record.id <= seen) {
    const auto holes = observed_holes_.find(record.channel);
    if (holes == observed_holes_.end() || !holes->second.erase(record.id)) return;
    if (holes->second.empty()) observed_holes_.erase(holes);
  } else {
    if (record.id > seen + 1) observed_holes_[record.channel].insert(seen + 1, record.id - 1);
    up_to = static_cast<std::uint32_t>(record.id.value);
  }
  notes_.push_back(note_from(record, hash));
}

}  // namespace clamor::loadgen
