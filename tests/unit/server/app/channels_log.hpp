#pragma once

#include "server/app/channels.hpp"
#include "server/protocol/about.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <rapidcheck.h>
#include <set>
#include <utility>
#include <vector>

namespace clamor::server {

inline ChannelsSettings settings_of(QueueDesign design, std::uint32_t threshold = 3) {
  return {.design = {.design = design, .threshold = threshold, .window = window_min},
          .partitions = 4,
          .group_members_max = 6,
          .lists_redacted = true};
}

inline core::Accepted accepted(Channels& channels, std::uint64_t user, std::uint64_t channel,
                               std::uint64_t client_message_id, store::Commit& commit,
                               std::uint32_t incarnation = 1) {
  return channels
      .send({user}, {1}, incarnation, {{channel}, {client_message_id}, {}}, Instant{}, commit)
      .accepted;
}

/// A log in memory: what commits made durable, as a store would give it back.
class Log {
 public:
  void append(const store::Commit& commit) {
    for (std::size_t i = 0; i < commit.batch.size(); ++i) {
      const core::Record& record = commit.batch.record(i);
      const auto body = commit.batch.body(i);
      records_[{record.channel.value, record.id.value}] = {record, {body.begin(), body.end()}};
      journals_[commit.places[i].partition.value].push_back(
          {commit.places[i], record.channel, record.id});
    }
    for (const store::Redaction& redaction : commit.redactions) {
      records_.at({redaction.stub.channel.value, redaction.stub.id.value}) = {redaction.stub, {}};
    }
  }
  /// A durable record as a target of another.
  [[nodiscard]] std::optional<Target> target(ChannelId channel, MessageId id) const {
    const auto found = records_.find({channel.value, id.value});
    if (found == records_.end()) return std::nullopt;
    Target target{found->second.first, {}, {}};
    if (const auto about = protocol::read_about(found->second.second)) {
      if (target.record.has_about) target.mentioned = about->mentions;
    }
    for (const auto& [key, row] : records_) {
      if (row.first.kind != core::RecordKind::edit || row.first.channel != channel) continue;
      const auto about = protocol::read_about(row.second);
      if (about && about->target == id) target.edits.push_back(row.first);
    }
    return target;
  }
  /// Bodies that are left.
  [[nodiscard]] std::size_t bytes() const {
    std::size_t bytes = 0;
    for (const auto& [key, row] : records_) bytes += row.second.size();
    return bytes;
  }
  [[nodiscard]] Channels fold(const ChannelsSettings& settings) const {
    Channels channels{settings};
    for (const auto& [key, row] : records_) channels.restore(row.first, row.second);
    for (const auto& [partition, rows] : journals_) {
      channels.set_journal_end({partition}, rows.back().place.sequence);
    }
    return channels;
  }
  /// As fold(), with a checkpoint of each channel in the place of its first `cut` records. The
  /// checkpoint goes by one of half of them.
  [[nodiscard]] Channels fold_from_checkpoints(const ChannelsSettings& settings,
                                               std::uint64_t cut) const {
    Channels channels{settings};
    std::set<std::uint64_t> ids;
    for (const auto& [key, row] : records_) ids.insert(key.first);
    for (const std::uint64_t id : ids) {
      std::optional<store::Checkpoint> made;
      for (const std::uint64_t up_to : {cut / 2, cut}) {
        Channels one{settings};
        if (made) RC_ASSERT(one.restore(*made));
        const std::uint64_t from = made ? made->up_to.value + 1 : 1;
        for (auto at = records_.lower_bound({id, from});
             at != records_.end() && at->first <= std::pair{id, up_to}; ++at) {
          one.restore(at->second.first, at->second.second);
        }
        if (one.size() != 0) made = one.checkpoint(0);
      }
      if (made) RC_ASSERT(channels.restore(*made));
    }
    for (const auto& [key, row] : records_) {
      const auto index = channels.find({key.first});
      if (index && MessageId{key.second} <= channels.channel(*index).trimmed.id) continue;
      channels.restore(row.first, row.second);
    }
    return channels;
  }
  [[nodiscard]] const std::map<std::uint32_t, std::vector<store::JournalRow>>& journals() const {
    return journals_;
  }

 private:
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<core::Record, std::vector<std::byte>>>
      records_;
  std::map<std::uint32_t, std::vector<store::JournalRow>> journals_;
};

}  // namespace clamor::server
