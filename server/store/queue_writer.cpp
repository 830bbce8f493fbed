#include "server/store/queue_writer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace clamor::store {
namespace {

using namespace std::chrono_literals;
constexpr auto retry_first = 100ms;
constexpr auto retry_cap = 2s;

struct Item {
  UserId user;
  QueueRun run;
  core::ChannelDesign design = core::ChannelDesign::per_user;
};

std::vector<Item> items_of(const std::vector<FanOut>& fan_outs) {
  std::vector<Item> items;
  std::size_t count = 0;
  for (const FanOut& fan_out : fan_outs) count += fan_out.entries.size();
  items.reserve(count);
  for (const FanOut& fan_out : fan_outs) {
    std::size_t entry = 0;
    for (const FanOut::Run& run : fan_out.runs) {
      for (; entry < run.entries_end; ++entry) {
        const core::DurableEntry& found = fan_out.entries[entry];
        items.push_back({found.user, {run.channel, found.first, found.count}, run.design});
      }
    }
  }
  return items;
}

/// Sorts by user, channel and id, and joins what is consecutive: between channels a queue's order
/// means nothing, within one it is the order of ids.
void sort_and_join(std::vector<Item>& items) {
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    if (a.user != b.user) return a.user < b.user;
    if (a.run.channel != b.run.channel) return a.run.channel < b.run.channel;
    return a.run.first < b.run.first;
  });
  std::size_t kept = 0;
  for (const Item& item : items) {
    if (kept != 0) {
      Item& before = items[kept - 1];
      if (before.user == item.user && before.run.channel == item.run.channel &&
          before.design == item.design && before.run.first + before.run.count == item.run.first) {
        before.run.count += item.run.count;
        continue;
      }
    }
    items[kept++] = item;
  }
  items.resize(kept);
}

}  // namespace

PackedRows pack(const std::vector<FanOut>& fan_outs,
                const std::function<QueueSequence&(UserId)>& end_of) {
  PackedRows packed;
  std::vector<Item> items = items_of(fan_outs);
  sort_and_join(items);
  for (std::size_t i = 0; i < items.size();) {
    const UserId user = items[i].user;
    std::string value;
    std::uint64_t user_entries = 0;
    for (; i < items.size() && items[i].user == user; ++i) {
      const QueueRun& run = items[i].run;
      packed.entries += run.count;
      if (items[i].design == core::ChannelDesign::per_member) {
        const auto key = member_queue_key(run.channel, user, run.first + (run.count - 1));
        std::string count;
        append_varint(run.count, count);
        packed.write.rows.push_back({std::string{key.view()}, std::move(count)});
      } else {
        append_run(run, value);
        user_entries += run.count;
      }
    }
    if (user_entries == 0) continue;
    QueueSequence& end = end_of(user);
    end = end + user_entries;
    packed.write.rows.push_back({std::string{user_queue_key(user, end).view()}, std::move(value)});
  }
  for (const QueueWrite::Row& row : packed.write.rows) {
    packed.bytes += row.key.size() + row.value.size();
  }
  return packed;
}

QueueWriter::QueueWriter(Store& store, QueueWriterSettings settings, Done done)
    : store_{store}, settings_{settings}, done_{std::move(done)}, thread_{[this] { run(); }} {}

QueueWriter::~QueueWriter() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void QueueWriter::submit(FanOut fan_out) {
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    first = waiting_.empty();
    waiting_.push_back(std::move(fan_out));
  }
  if (first) wake_.notify_one();
}

bool QueueWriter::drain() {
  std::unique_lock lock{mutex_};
  hurry_ = true;
  wake_.notify_one();
  idle_.wait(lock, [this] { return failing_ || (waiting_.empty() && !busy_); });
  hurry_ = false;
  return !failing_;
}

void QueueWriter::discard() {
  std::unique_lock lock{mutex_};
  waiting_.clear();
  discarding_ = true;
  wake_.notify_one();
  idle_.wait(lock, [this] { return !busy_; });
  waiting_.clear();
  discarding_ = false;
  user_ends_.clear();  // The thread is idle and looks at them only once something is submitted.
  applied_.clear();
  unwritten_.clear();
}

void QueueWriter::take(std::vector<FanOut>& batch) {
  std::size_t entries = 0;
  while (!waiting_.empty()) {
    entries += waiting_.front().entries.size();
    if (!batch.empty() && entries > settings_.entries_per_write) return;
    batch.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void QueueWriter::run() {
  std::vector<FanOut> batch;
  bool more = false;  // The last write left something: it has lingered already.
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
    if (waiting_.empty()) break;
    busy_ = true;
    if (!more) {
      wake_.wait_for(lock, settings_.linger, [this] { return hurry_ || discarding_ || stopping_; });
    }
    take(batch);
    QueueOutcome outcome{.fan_outs = batch.size()};
    std::chrono::milliseconds delay = retry_first;
    bool written = false;
    while (!discarding_) {
      lock.unlock();
      const auto began = std::chrono::steady_clock::now();
      written = write(batch, outcome);
      outcome.took += std::chrono::steady_clock::now() - began;
      lock.lock();
      failing_ = !written;
      if (written || stopping_) break;
      idle_.notify_all();
      wake_.wait_for(lock, delay, [this] { return discarding_ || stopping_; });
      delay = std::min<std::chrono::milliseconds>(delay * 2, retry_cap);
    }
    batch.clear();
    // What was given up must not be overtaken: a later cursor would say that it is there.
    if (!written) waiting_.clear();
    more = !waiting_.empty();
    if (written && !discarding_) {
      lock.unlock();
      done_(outcome);
      if (rows_since_flush_ >= settings_.flush_every) flush_and_trim();
      lock.lock();
    }
    failing_ = false;
    busy_ = false;
    idle_.notify_all();
  }
  lock.unlock();
  flush_and_trim();
}

bool QueueWriter::write(const std::vector<FanOut>& fan_outs, QueueOutcome& outcome) {
  PackedRows packed;
  try {
    packed = pack(fan_outs, [this](UserId user) -> QueueSequence& {
      const auto found = user_ends_.find(user);
      if (found != user_ends_.end()) return found->second;
      return user_ends_.emplace(user, store_.user_queue_end(user).value()).first->second;
    });
  } catch (const std::runtime_error&) {  // A read failed: like a write that did.
    user_ends_.clear();
    ++outcome.failures;
    return false;
  }
  for (const FanOut& fan_out : fan_outs) {
    for (const JournalPlace& place : fan_out.cursors) unwritten_[place.partition] = place.sequence;
  }
  // Without an entry nothing depends on the cursors: they go with the next one or the next flush. A
  // redo from an older cursor plans nothing either.
  if (!packed.write.rows.empty()) {
    if (!write_with_cursors(packed.write)) {
      user_ends_.clear();  // They were advanced for rows that are not there.
      ++outcome.failures;
      return false;
    }
    ++outcome.batches;
  }
  for (const FanOut& fan_out : fan_outs) {
    for (const JournalPlace& place : fan_out.cursors) {
      JournalSequence& applied = applied_[place.partition];
      rows_since_flush_ += applied == JournalSequence{} ? 1 : place.sequence - applied;
      applied = place.sequence;
    }
  }
  outcome.entries += packed.entries;
  outcome.bytes += packed.bytes;
  return true;
}

bool QueueWriter::write_with_cursors(QueueWrite& write) {
  for (const auto& [partition, sequence] : unwritten_)
    write.cursors.push_back({partition, sequence});
  if (!store_.write_queues(write)) return false;
  unwritten_.clear();
  return true;
}

void QueueWriter::flush_and_trim() {
  // A failure costs nothing but a longer redo: the next round tries again.
  QueueWrite cursors;
  if (!unwritten_.empty() && !write_with_cursors(cursors)) return;
  if (!store_.flush_queues()) return;
  for (const auto& [partition, sequence] : applied_) {
    if (!store_.trim_journal({partition, sequence})) return;
  }
  rows_since_flush_ = 0;
}

}  // namespace clamor::store
