#pragma once

#include "server/app/channels.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/store/commit.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace clamor::server {

struct TailSettings {
  std::size_t records_per_channel = 64;
  Duration age = std::chrono::seconds{5};
  std::size_t bytes_max = std::size_t{64} << 20U;
};

/// The latest durable records in memory: what a device that was gone for a moment lacks. Shares the
/// commits' buffers; one small entry a record, chained per channel, none per channel. One I/O
/// thread.
class Tail {
 public:
  explicit Tail(const TailSettings& settings) : settings_{settings} {}

  /// Adds a durable commit's record `i`. @pre per channel, ids come in order.
  void add(ChannelIndex channel, std::shared_ptr<const store::Commit> commit, std::size_t i,
           Instant now);
  /// Forgets what is older than the age, or beyond the memory bound.
  void expire(Instant now);
  /// A record's body has left the log: from here on the tail does not serve it.
  /// O(records_per_channel).
  void redact(ChannelIndex channel, MessageId id);
  void clear();

  /// Replaces `out` by the channel's records with ids in (after, up_to], ascending; false where the
  /// tail does not hold them all. O(records_per_channel).
  [[nodiscard]] bool read(ChannelIndex channel, MessageId after, MessageId up_to,
                          std::vector<store::SharedRecord>& out) const;

 private:
  static constexpr std::uint64_t none = 0;
  struct Entry {
    std::shared_ptr<const store::Commit> commit;
    std::uint32_t index = 0;
    bool redacted = false;
    std::uint64_t previous = none;  ///< The channel's entry before this one.
    Instant at;
  };
  [[nodiscard]] const Entry* entry(std::uint64_t number) const;
  [[nodiscard]] std::uint64_t last_of(ChannelIndex channel) const {
    return channel < last_.size() ? last_[channel] : none;
  }

  const TailSettings settings_;
  std::deque<Entry> entries_;        ///< Number first_ + i at i.
  std::uint64_t first_ = 1;          ///< Entries are numbered from 1.
  std::size_t bytes_ = 0;            ///< Of the records that entries_ refers to.
  std::vector<std::uint64_t> last_;  ///< By channel: its latest entry's number.
};

}  // namespace clamor::server
