#include "loadgen/user/verifier.hpp"

#include "scenarios/model/plan.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace clamor::loadgen {
namespace {

std::string place(std::uint32_t channel, std::uint64_t id) {
  return "channel_id " + std::to_string(scenario::Plan::channel_id(channel).value) +
         ", message_id " + std::to_string(id);
}

std::string device(std::uint32_t client) { return "client " + std::to_string(client); }

}  // namespace

Verifier::Verifier(std::vector<MessageId> held, std::size_t findings_max)
    : held_at_start_{std::move(held)}, findings_max_{findings_max} {}

MessageId Verifier::held_at_start(std::uint32_t channel) const {
  return channel < held_at_start_.size() ? held_at_start_[channel] : MessageId{1};
}

void Verifier::add_notes(std::span<const Note> notes) {
  CLAMOR_ASSERT(!sealed_);
  notes_.insert(notes_.end(), notes.begin(), notes.end());
}

void Verifier::seal() {
  CLAMOR_ASSERT(!sealed_);
  sealed_ = true;
  const auto key = [](const Note& n) {
    return std::tuple{n.channel, n.id, n.hash, n.sender, n.client_message_id};
  };
  std::sort(notes_.begin(), notes_.end(),
            [&key](const Note& a, const Note& b) { return key(a) < key(b); });
  notes_.erase(std::unique(notes_.begin(), notes_.end()), notes_.end());
  find_double_accepted();

  std::size_t kept = 0;
  std::vector<bool> contradicted(notes_.empty() ? 0 : notes_.back().channel + std::size_t{1});
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    if (kept > 0 && notes_[kept - 1].channel == notes_[i].channel &&
        notes_[kept - 1].id == notes_[i].id) {
      contradicted[notes_[i].channel] = true;
      ++totals_.replaced;
      find(place(notes_[i].channel, notes_[i].id) +
           ": replaced: two different records were seen under this id");
      continue;
    }
    notes_[kept++] = notes_[i];
  }
  notes_.resize(kept);

  channels_.resize(contradicted.size());
  prefix_.resize(notes_.size() + 1);
  for (std::size_t begin = 0; begin < notes_.size();) {
    const std::uint32_t channel = notes_[begin].channel;
    std::size_t end = begin;
    for (; end < notes_.size() && notes_[end].channel == channel; ++end) {
      prefix_[end + 1] = prefix_[end] + notes_[end].hash;
      // A sender's own device is not owed the record: wraps until every row is checked.
      if (notes_[end].sender != no_client) --totals_.expected;
    }
    channels_[channel] = {begin, end, contradicted[channel]};
    begin = end;
  }
}

void Verifier::find_double_accepted() {
  std::vector<Note> sends;
  std::copy_if(notes_.begin(), notes_.end(), std::back_inserter(sends),
               [](const Note& n) { return n.sender != no_client; });
  std::sort(sends.begin(), sends.end(), [](const Note& a, const Note& b) {
    return std::tie(a.sender, a.channel, a.client_message_id, a.id) <
           std::tie(b.sender, b.channel, b.client_message_id, b.id);
  });
  for (std::size_t i = 1; i < sends.size(); ++i) {
    const Note& a = sends[i - 1];
    const Note& b = sends[i];
    if (std::tie(a.sender, a.channel, a.client_message_id) !=
            std::tie(b.sender, b.channel, b.client_message_id) ||
        a.id == b.id) {
      continue;
    }
    ++totals_.double_accepted;
    find(place(b.channel, b.id) + ": double_accepted: send " + std::to_string(b.client_message_id) +
         " of " + device(b.sender) + " is also message_id " + std::to_string(a.id));
  }
}

MessageId Verifier::head(std::uint32_t channel) const {
  CLAMOR_ASSERT(sealed_);
  const MessageId held = held_at_start(channel);
  if (channel >= channels_.size()) return held;
  const ChannelNotes& notes = channels_[channel];
  if (notes.begin == notes.end) return held;
  return std::max(held, MessageId{notes_[notes.end - 1].id});
}

void Verifier::check(std::uint32_t client, std::uint32_t channel, const Row& row,
                     const RowTrouble* trouble) {
  const MessageId held = held_at_start(channel);
  const MessageId top = head(channel);
  const ChannelNotes notes = channel < channels_.size() ? channels_[channel] : ChannelNotes{};
  totals_.expected += top - held;

  std::uint64_t absent_sum = 0;  // of what rightly is not in the row's sum
  if (trouble != nullptr) {
    for (const IdRange& hole : trouble->holes.ranges()) {
      miss(client, channel, notes, hole.first, std::min(hole.last, top), absent_sum);
    }
    for (const IdRange& range : trouble->excused.ranges()) {
      const MessageId last = std::min(range.last, top);
      if (last < range.first) continue;
      totals_.expected -= last - range.first + 1;
      absent_sum += sum_up_to(notes, last) - sum_up_to(notes, range.first - 1);
    }
  }
  miss(client, channel, notes, row.next, top, absent_sum);

  const std::uint64_t owed = sum_up_to(notes, top) - sum_up_to(notes, held) - absent_sum;
  if (owed == row.sum || notes.contradicted) return;
  ++totals_.replaced;
  find(device(client) + ", " + place(channel, top.value) + " and below: replaced: what it " +
       "received differs from what was acknowledged");
}

void Verifier::check(const Ledger& ledger) {
  totals_ += ledger.totals();
  for (std::uint32_t i = 0; i < ledger.clients(); ++i) {
    const std::uint32_t client = ledger.first_client() + i;
    const auto channels = ledger.channels_of(client);
    const auto rows = ledger.rows_of(client);
    for (std::size_t index = 0; index < rows.size(); ++index) {
      check(client, channels[index], rows[index], ledger.trouble_of(client, index));
    }
  }
}

void Verifier::miss(std::uint32_t client, std::uint32_t channel, const ChannelNotes& notes,
                    MessageId first, MessageId last, std::uint64_t& missing_sum) {
  for (MessageId id = first; id <= last; ++id) {
    const Note* note = note_of(notes, id);
    if (note != nullptr) missing_sum += note->hash;
    // The sender's own record, never acknowledged to it and never met in a catch-up: not owed.
    if (note != nullptr && note->sender == client) continue;
    ++totals_.lost;
    if (findings_.size() < findings_max_) {
      find(device(client) + ", " + place(channel, id.value) + ": lost");
    }
  }
}

const Note* Verifier::note_of(const ChannelNotes& notes, MessageId id) const {
  const auto begin = notes_.begin() + static_cast<std::ptrdiff_t>(notes.begin);
  const auto end = notes_.begin() + static_cast<std::ptrdiff_t>(notes.end);
  const auto at = std::lower_bound(begin, end, id.value,
                                   [](const Note& n, std::uint64_t want) { return n.id < want; });
  return at == end || at->id != id.value ? nullptr : &*at;
}

std::uint64_t Verifier::sum_up_to(const ChannelNotes& notes, MessageId id) const {
  const auto begin = notes_.begin() + static_cast<std::ptrdiff_t>(notes.begin);
  const auto end = notes_.begin() + static_cast<std::ptrdiff_t>(notes.end);
  const auto at = std::upper_bound(begin, end, id.value,
                                   [](std::uint64_t want, const Note& n) { return want < n.id; });
  const auto index = static_cast<std::size_t>(at - notes_.begin());
  return index == notes.begin ? 0 : prefix_[index] - prefix_[notes.begin];
}

void Verifier::find(std::string finding) {
  if (findings_.size() < findings_max_) findings_.push_back(std::move(finding));
}

}  // namespace clamor::loadgen
