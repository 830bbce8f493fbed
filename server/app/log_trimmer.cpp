#include "server/app/log_trimmer.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <utility>

namespace clamor::server {
namespace {

constexpr std::size_t records_per_read = 1024;
constexpr std::size_t bytes_per_read = std::size_t{1} << 20U;
/// Checkpoints that are written, and synced to disk, at once.
constexpr std::size_t checkpoints_per_write = 1024;
constexpr std::size_t checkpoint_bytes_per_write = std::size_t{4} << 20U;
/// The log is rewritten once it has so many bytes too much and they are a fourth of it: so a byte
/// is written four times more at most in its life.
constexpr std::uint64_t compaction_bytes_min = std::uint64_t{16} << 20U;
constexpr std::uint64_t compaction_share = 4;

bool goes(const core::TrimBounds& due, const core::Record& record) {
  return record.id <= due.by_number || (record.id <= due.by_age && record.accepted_at < due.before);
}

}  // namespace

LogTrimmer::LogTrimmer(store::Store& store, const ChannelsSettings& settings, Done done)
    : store_{store}, settings_{settings}, done_{std::move(done)}, thread_{[this] { work(); }} {}

LogTrimmer::~LogTrimmer() {
  cancelled_.store(true);
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogTrimmer::run(std::vector<TrimOrder> orders) {
  {
    const std::lock_guard lock{mutex_};
    orders_ = std::move(orders);
  }
  wake_.notify_one();
}

void LogTrimmer::discard() {
  cancelled_.store(true);
  std::unique_lock lock{mutex_};
  orders_.clear();
  idle_.wait(lock, [this] { return !busy_; });
  cancelled_.store(false);
}

void LogTrimmer::work() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return !orders_.empty() || stopping_; });
    if (stopping_) return;
    const std::vector<TrimOrder> orders = std::exchange(orders_, {});
    busy_ = true;
    lock.unlock();
    TrimOutcome outcome = carry_out(orders);
    if (outcome.failure.empty()) outcome.failure = std::exchange(not_rewritten_, {});
    done_(std::move(outcome));  // Before rows go: whoever reads must know that they may.
    const auto compacted = compact_if_due();
    if (!compacted) not_rewritten_ = "rewriting the log: " + compacted.error().what;
    lock.lock();
    busy_ = false;
    idle_.notify_all();
  }
}

TrimOutcome LogTrimmer::carry_out(const std::vector<TrimOrder>& orders) {
  TrimOutcome outcome;
  std::vector<store::Checkpoint> checkpoints;
  std::vector<TrimOutcome::Channel> folded;
  std::uint64_t records = 0;
  std::size_t bytes = 0;
  const auto write = [&] {
    const auto trimmed = store_.trim_log(checkpoints);
    if (!trimmed) {
      outcome.failure = trimmed.error().what;
      return false;
    }
    outcome.channels.insert(outcome.channels.end(), folded.begin(), folded.end());
    outcome.records += records;
    checkpoints.clear();
    folded.clear();
    records = 0;
    bytes = 0;
    return true;
  };
  for (const TrimOrder& order : orders) {
    if (cancelled_.load()) break;
    auto one = fold(order);
    if (!one) {
      outcome.failure = one.error().what;
      return outcome;
    }
    if (one->records == 0) continue;
    records += one->records;
    bytes += one->checkpoint.state.size();
    checkpoints.push_back(std::move(one->checkpoint));
    folded.push_back(one->outcome);
    const bool full =
        checkpoints.size() >= checkpoints_per_write || bytes >= checkpoint_bytes_per_write;
    if (full && !write()) return outcome;
  }
  if (!checkpoints.empty() && !cancelled_.load()) (void)write();
  return outcome;
}

store::Result<LogTrimmer::Folded> LogTrimmer::fold(const TrimOrder& order) {
  Channels state{settings_};
  auto before = store_.checkpoint(order.channel);
  if (!before) return before.error();
  MessageId at;
  if (*before) {
    at = (*before)->up_to;
    if (!state.restore(**before)) {
      return store::Failure{fmt::format(
          "the checkpoint of channel {} is damaged: restore the data directory from a copy",
          order.channel.value)};
    }
  }
  Folded folded{.outcome = {order.channel, {}, order.decided_at}};
  const MessageId up_to = std::max(order.due.by_number, order.due.by_age);
  bool more = true;
  while (more && at < up_to) {
    // An order may be long, where the rule is new.
    if (cancelled_.load()) return Folded{};
    store::RecordBatch read;
    const auto scanned =
        store_.scan_log(order.channel, at, up_to, records_per_read, bytes_per_read, read);
    if (!scanned) return scanned.error();
    if (read.empty() || read.record(0).id != at + 1) {
      return store::Failure{fmt::format(
          "the log of channel {} lacks message {}: restore the data directory from a copy",
          order.channel.value, (at + 1).value)};
    }
    for (std::size_t i = 0; i < read.size() && more; ++i) {
      const core::Record& record = read.record(i);
      if (!goes(order.due, record)) {
        folded.outcome.oldest = record.accepted_at;
        more = false;
        continue;
      }
      state.restore(record, read.body(i));
      at = record.id;
      ++folded.records;
      trimmed_bytes_ += store::log_header_bytes + record.body_bytes;
    }
  }
  if (folded.records == 0) return folded;
  if (more) {  // Records may have come above; the first is not much older than the order.
    store::RecordBatch next;
    const MessageId first = at + 1;
    const auto read = store_.get_log(order.channel, std::span{&first, 1}, next);
    if (!read) return read.error();
    if (!next.empty()) folded.outcome.oldest = next.record(0).accepted_at;
  }
  const Channel& channel = state.channel(*state.find(order.channel));
  folded.outcome.trimmed = {at, channel.uncountable};
  folded.checkpoint = state.checkpoint(*state.find(order.channel));
  return folded;
}

store::Result<void> LogTrimmer::compact_if_due() {
  if (trimmed_bytes_ < compaction_bytes_min) return {};
  if (trimmed_bytes_ < store_.log_disk_bytes() / compaction_share) return {};
  auto compacted = store_.compact_log(cancelled_);
  if (compacted) trimmed_bytes_ = 0;
  if (cancelled_.load()) return {};
  return compacted;
}

}  // namespace clamor::server
