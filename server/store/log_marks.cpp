#include "server/store/log_marks.hpp"

#include "server/store/rows.hpp"

#include <rocksdb/compaction_filter.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace clamor::store {
namespace {

class TrimmedRecords : public rocksdb::CompactionFilter {
 public:
  explicit TrimmedRecords(std::shared_ptr<const LogMarks> marks) : marks_{std::move(marks)} {}

  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice&, std::string*,
              bool*) const override {
    const std::string_view view{key.data(), key.size()};
    if (view.size() != 16) return false;
    const ChannelId channel{big_endian_at(view, 0)};
    // Keys come in order: the mark is looked up once a channel.
    if (!looked_up_ || channel != channel_) {
      channel_ = channel;
      mark_ = marks_->of(channel);
      looked_up_ = true;
    }
    return MessageId{big_endian_at(view, 8)} <= mark_;
  }
  [[nodiscard]] const char* Name() const override { return "clamor.trimmed_records"; }

 private:
  std::shared_ptr<const LogMarks> marks_;
  // One compaction has a filter, and calls it on one thread.
  mutable bool looked_up_ = false;
  mutable ChannelId channel_;
  mutable MessageId mark_;
};

class TrimmedRecordsFactory : public rocksdb::CompactionFilterFactory {
 public:
  explicit TrimmedRecordsFactory(std::shared_ptr<const LogMarks> marks)
      : marks_{std::move(marks)} {}

  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return marks_->any() ? std::make_unique<TrimmedRecords>(marks_) : nullptr;
  }
  [[nodiscard]] const char* Name() const override { return "clamor.trimmed_records"; }

 private:
  std::shared_ptr<const LogMarks> marks_;
};

}  // namespace

void LogMarks::raise(ChannelId channel, MessageId up_to) {
  {
    const std::unique_lock lock{mutex_};
    MessageId& mark = marks_[channel];
    mark = std::max(mark, up_to);
  }
  any_.store(true, std::memory_order_release);
}

MessageId LogMarks::of(ChannelId channel) const {
  if (!any()) return {};
  const std::shared_lock lock{mutex_};
  const auto found = marks_.find(channel);
  return found == marks_.end() ? MessageId{} : found->second;
}

std::shared_ptr<rocksdb::CompactionFilterFactory> drop_trimmed(
    std::shared_ptr<const LogMarks> marks) {
  return std::make_shared<TrimmedRecordsFactory>(std::move(marks));
}

}  // namespace clamor::store
