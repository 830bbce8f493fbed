#include "server/store/queue_writer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace clamor::store {
namespace {

using namespace std::chrono_literals;
constexpr auto retry_first = 100ms;
constexpr auto retry_cap = 2s;
/// Reports of devices that wake the writer; fewer wait for the next fan-out.
constexpr std::size_t reports_max = 4096;

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

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

void QueueWriter::report(std::vector<core::DeviceReport>& reports) {
  const std::int64_t now_s = unix_seconds();
  for (core::DeviceReport& report : reports) report.at_s = now_s;
  bool many = false;
  {
    const std::lock_guard lock{mutex_};
    std::move(reports.begin(), reports.end(), std::back_inserter(reports_));
    many = reports_.size() >= reports_max;
  }
  reports.clear();
  if (many) wake_.notify_one();
}

void QueueWriter::trim(JournalPlace place) {
  {
    const std::lock_guard lock{mutex_};
    trims_.push_back(place);
  }
  wake_.notify_one();
}

bool QueueWriter::drain() {
  std::unique_lock lock{mutex_};
  hurry_ = true;
  wake_.notify_one();
  idle_.wait(lock, [this] { return failing_ || (!has_work() && !busy_); });
  hurry_ = false;
  return !failing_;
}

void QueueWriter::discard() {
  std::unique_lock lock{mutex_};
  waiting_.clear();
  trims_.clear();
  discarding_ = true;
  wake_.notify_one();
  idle_.wait(lock, [this] { return !busy_; });
  waiting_.clear();
  discarding_ = false;
  applied_.clear();  // The thread is idle and looks at them only once something is submitted.
  rows_since_flush_ = 0;
}

bool QueueWriter::has_work() const {
  return !waiting_.empty() || !trims_.empty() || reports_.size() >= (hurry_ ? 1 : reports_max);
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
  std::vector<core::DeviceReport> reports;
  bool more = false;  // The last write left something: it has lingered already.
  std::unique_lock lock{mutex_};
  for (;;) {
    if (!wait(lock)) {
      busy_ = true;
      lock.unlock();
      QueueOutcome outcome;
      if (flush(outcome)) {
        done_(outcome);
      } else {
        flush_by_ = std::chrono::steady_clock::now() + retry_cap;
      }
      lock.lock();
      busy_ = false;
      idle_.notify_all();
      continue;
    }
    if (!trims_.empty()) {
      const std::vector<JournalPlace> trims = std::exchange(trims_, {});
      busy_ = true;
      lock.unlock();
      trim_journals(trims);
      lock.lock();
      busy_ = false;
      idle_.notify_all();
      continue;
    }
    if (waiting_.empty() && reports_.empty()) break;
    busy_ = true;
    if (!more && !waiting_.empty()) {
      wake_.wait_for(lock, settings_.linger, [this] { return hurry_ || discarding_ || stopping_; });
    }
    take(batch);
    reports.swap(reports_);
    QueueOutcome outcome{.fan_outs = batch.size()};
    std::chrono::milliseconds delay = retry_first;
    bool written = false;
    while (!discarding_) {
      lock.unlock();
      const auto began = std::chrono::steady_clock::now();
      written = write(batch, outcome);
      if (written) {  // Devices may hold some of what was just applied.
        outcome.trimmed.bytes += store_.take(reports);
        reports.clear();
      }
      outcome.took += std::chrono::steady_clock::now() - began;
      lock.lock();
      failing_ = !written;
      if (written || stopping_) break;
      idle_.notify_all();
      wake_.wait_for(lock, delay, [this] { return discarding_ || stopping_; });
      delay = std::min<std::chrono::milliseconds>(delay * 2, retry_cap);
    }
    if (!written && stopping_) break;
    batch.clear();
    // What was given up must not be overtaken: a later cursor would say that it is there.
    if (!written) waiting_.clear();
    more = !waiting_.empty();
    if (written && !discarding_) {
      lock.unlock();
      done_(outcome);
      lock.lock();
    }
    failing_ = false;
    busy_ = false;
    idle_.notify_all();
  }
  lock.unlock();
  QueueOutcome outcome;
  // A failure costs nothing but a redo at the next start.
  if (flush(outcome)) done_(outcome);
}

bool QueueWriter::wait(std::unique_lock<std::mutex>& lock) {
  const auto something = [this] { return has_work() || stopping_; };
  if (rows_since_flush_ == 0 || settings_.flush_after == Duration::max()) {
    wake_.wait(lock, something);
    return true;
  }
  return wake_.wait_until(lock, flush_by_, something);
}

bool QueueWriter::flush_is_due() const {
  if (rows_since_flush_ != 0 && settings_.flush_after != Duration::max() &&
      std::chrono::steady_clock::now() >= flush_by_) {
    return true;
  }
  const Store::Unflushed unflushed = store_.unflushed();
  return core::queue_flush_is_due(settings_.flush, rows_since_flush_, unflushed.entries,
                                  unflushed.bytes);
}

bool QueueWriter::write(const std::vector<FanOut>& fan_outs, QueueOutcome& outcome) {
  // The flush comes first: what fails there must not let the buffer grow.
  const bool flushed = !flush_is_due() || flush(outcome);
  const auto applied = flushed ? store_.apply(fan_outs) : Result<AppliedEntries>{Failure{}};
  if (!applied) {
    ++outcome.failures;
    return false;
  }
  if (rows_since_flush_ == 0 && settings_.flush_after != Duration::max()) {
    flush_by_ =
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(settings_.flush_after);
  }
  for (const FanOut& fan_out : fan_outs) {
    for (const JournalPlace& place : fan_out.cursors) {
      JournalSequence& known = applied_[place.partition];
      rows_since_flush_ += known == JournalSequence{} ? 1 : place.sequence - known;
      known = place.sequence;
    }
  }
  outcome.batches += applied->entries != 0 ? 1 : 0;
  outcome.entries += applied->entries;
  outcome.bytes += applied->bytes;
  return true;
}

bool QueueWriter::flush(QueueOutcome& outcome) {
  const Store::Trimmed trimmed = store_.trim(unix_seconds());
  outcome.trimmed.bytes += trimmed.bytes;
  outcome.trimmed.devices_expired += trimmed.devices_expired;
  outcome.trimmed.queues_expired += trimmed.queues_expired;
  if (!store_.flush_queues()) return false;
  rows_since_flush_ = 0;
  outcome.flushed.clear();
  for (const auto& [partition, sequence] : applied_) {
    outcome.flushed.push_back({partition, sequence});
  }
  return true;
}

void QueueWriter::trim_journals(const std::vector<JournalPlace>& places) {
  // A failure costs nothing but a longer journal: the next trim takes these rows along.
  for (const JournalPlace& place : places) {
    if (!store_.trim_journal(place)) return;
  }
}

}  // namespace clamor::store
