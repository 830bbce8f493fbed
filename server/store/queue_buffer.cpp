#include "server/store/queue_buffer.hpp"

#include "server/base/assert.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace clamor::store {
namespace {

/// Runs that are looked through for one of the same channel: a user has that many active channels.
constexpr std::size_t channels_looked_at = 64;
/// Bytes after which a copying row ends: a page reads rows as a whole.
constexpr std::size_t copied_row_bytes = 16 * 1024;
/// What the map and the list of a user with entries take, about.
constexpr std::size_t user_bytes = 96;

std::size_t varint_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80U; value >>= 7U) ++bytes;
  return bytes;
}

/// Counts the entries of the user's own queue: member queues have no places.
std::uint64_t user_entries(const BufferedRuns& user) {
  std::uint64_t count = 0;
  for (const BufferedRuns::Run& run : user.runs) count += run.per_member ? 0 : run.count;
  return count;
}

void append_held(const HeldRecords& records, ChannelId channel, MessageId id, std::string& scratch,
                 std::string& out) {
  const auto held = records.find(channel, id);
  CLAMOR_ASSERT(held);
  write_log_value(held->commit->batch.record(held->index), held->commit->batch.body(held->index),
                  scratch);
  append_copy(channel, id, scratch, out);
}

}  // namespace

void HeldRecords::add(const std::shared_ptr<const Commit>& commit) {
  const RecordBatch& batch = commit->batch;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    by_channel_[batch.record(i).channel].push_back({batch.record(i).id, commits_.size(), i});
  }
  commits_.push_back(commit);
  bytes_ += batch.bytes() + batch.size() * sizeof(Held);
}

std::optional<HeldRecords::Place> HeldRecords::find(ChannelId channel, MessageId id) const {
  const auto found = by_channel_.find(channel);
  if (found == by_channel_.end()) return std::nullopt;
  const auto held =
      std::lower_bound(found->second.begin(), found->second.end(), id,
                       [](const Held& at, MessageId sought) { return at.id < sought; });
  if (held == found->second.end() || held->id != id) return std::nullopt;
  return Place{commits_[held->commit].get(), held->index};
}

std::uint64_t BufferedRuns::entries() const {
  std::uint64_t count = 0;
  for (const Run& run : runs) count += run.count;
  return count;
}

void QueueBuffer::set_end(UserId user, QueueSequence end) {
  users_.try_emplace(user, BufferedRuns{user, end, {}});
}

std::size_t QueueBuffer::row_bytes_of(const BufferedRuns::Run& run) const {
  std::size_t bytes = run.per_member ? member_queue_key_bytes : 0;
  if (payload_ == QueuePayload::reference) {
    return bytes + varint_bytes(run.channel.value) + varint_bytes(run.first.value) +
           varint_bytes(run.count);
  }
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const auto held = records_.find(run.channel, run.first + i);
    CLAMOR_ASSERT(held);
    const std::size_t value = log_header_bytes + held->commit->batch.body(held->index).size();
    bytes += varint_bytes(run.channel.value) + varint_bytes(run.first.value + i) +
             varint_bytes(value) + value;
  }
  return bytes;
}

std::size_t QueueBuffer::add(UserId user, const QueueRun& run, bool per_member) {
  const auto found = users_.find(user);
  CLAMOR_ASSERT(found != users_.end());
  BufferedRuns& known = found->second;
  entries_ += run.count;
  if (!per_member) known.end = known.end + run.count;
  const BufferedRuns::Run added{run.channel, run.first, run.count, per_member};
  const std::size_t look_at = payload_ == QueuePayload::copy ? 1 : channels_looked_at;
  for (std::size_t i = known.runs.size(), looked = 0; i-- > 0 && looked < look_at; ++looked) {
    BufferedRuns::Run& latest = known.runs[i];
    if (latest.channel != run.channel) continue;
    // An earlier run of the channel must not grow: entries stay in id order.
    if (latest.per_member != per_member || latest.first + latest.count != run.first) break;
    const std::size_t grown =
        payload_ == QueuePayload::copy
            ? row_bytes_of(added) - (per_member ? member_queue_key_bytes : 0)
            : varint_bytes(latest.count + run.count) - varint_bytes(latest.count);
    latest.count += run.count;
    row_bytes_ += grown;
    return grown;
  }
  if (!std::exchange(known.listed, true)) dirty_.push_back(&known);
  std::size_t grown = row_bytes_of(added);
  if (!per_member && !std::exchange(known.has_row, true)) grown += user_queue_key_bytes;
  known.runs.push_back(added);
  ++run_count_;
  row_bytes_ += grown;
  return grown;
}

std::size_t QueueBuffer::trim(UserId user, const HeldIn& least) {
  const auto found = users_.find(user);
  if (found == users_.end() || found->second.runs.empty()) return 0;
  BufferedRuns& known = found->second;
  const std::size_t before = row_bytes_;
  bool has_row = false;
  std::size_t kept = 0;
  for (const BufferedRuns::Run& run : known.runs) {
    const MessageId held = least(run.channel);
    BufferedRuns::Run rest = run;
    if (held >= run.first) {
      rest.count = held >= run.last() ? 0 : static_cast<std::uint32_t>(run.last() - held);
      rest.first = run.last() - rest.count + 1;
      row_bytes_ -= row_bytes_of(run);
      if (rest.count == 0) continue;
      row_bytes_ += row_bytes_of(rest);
    }
    has_row |= !rest.per_member;
    known.runs[kept++] = rest;
  }
  run_count_ -= known.runs.size() - kept;
  known.runs.resize(kept);
  if (kept == 0) known.runs.shrink_to_fit();
  if (known.has_row && !has_row) {
    known.has_row = false;
    row_bytes_ -= user_queue_key_bytes;
  }
  return before > row_bytes_ ? before - row_bytes_ : 0;
}

std::vector<UserId> QueueBuffer::users() const {
  std::vector<UserId> users;
  users.reserve(dirty_.size());
  for (const BufferedRuns* const user : dirty_) users.push_back(user->user);
  return users;
}

const BufferedRuns* QueueBuffer::find(UserId user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? nullptr : &found->second;
}

std::size_t QueueBuffer::bytes() const {
  const std::size_t memory =
      run_count_ * sizeof(BufferedRuns::Run) + dirty_.size() * user_bytes + records_.bytes();
  return std::max(memory, row_bytes_);
}

const BufferedRuns* QueueBuffer::Frozen::find(UserId user) const {
  const auto found =
      std::lower_bound(users.begin(), users.end(), user,
                       [](const BufferedRuns& at, UserId sought) { return at.user < sought; });
  return found == users.end() || found->user != user ? nullptr : &*found;
}

QueueBuffer::Frozen QueueBuffer::freeze() {
  Frozen frozen;
  frozen.users.reserve(dirty_.size());
  for (BufferedRuns* const user : dirty_) {
    user->listed = false;
    user->has_row = false;
    if (user->runs.empty()) continue;
    frozen.users.push_back({user->user, user->end, std::exchange(user->runs, {})});
  }
  std::sort(frozen.users.begin(), frozen.users.end(),
            [](const BufferedRuns& a, const BufferedRuns& b) { return a.user < b.user; });
  frozen.records = std::exchange(records_, {});
  dirty_.clear();
  run_count_ = 0;
  row_bytes_ = 0;
  entries_ = 0;
  return frozen;
}

void for_each_row(const BufferedRuns& user, const HeldRecords& records, QueuePayload payload,
                  const std::function<void(std::string_view key, std::string_view value)>& write) {
  const bool copies = payload == QueuePayload::copy;
  QueueSequence at{user.end.value - user_entries(user)};
  std::string row;
  std::string member_row;
  std::string scratch;
  const auto end_row = [&] {
    if (!row.empty()) write(user_queue_key(user.user, at).view(), row);
    row.clear();
  };
  for (const BufferedRuns::Run& run : user.runs) {
    if (run.per_member && !copies) {
      member_row.clear();
      append_varint(run.count, member_row);
      write(member_queue_key(run.channel, user.user, run.last()).view(), member_row);
    } else if (run.per_member) {
      member_row.clear();
      for (std::uint32_t i = 0; i < run.count; ++i) {
        append_held(records, run.channel, run.first + i, scratch, member_row);
        if (member_row.size() < copied_row_bytes && i + 1 != run.count) continue;
        write(member_queue_key(run.channel, user.user, run.first + i).view(), member_row);
        member_row.clear();
      }
    } else if (!copies) {
      append_run(run.run(), row);
      at = at + run.count;
    } else {
      for (std::uint32_t i = 0; i < run.count; ++i) {
        append_held(records, run.channel, run.first + i, scratch, row);
        ++at;
        if (row.size() >= copied_row_bytes) end_row();
      }
    }
  }
  end_row();
}

}  // namespace clamor::store
