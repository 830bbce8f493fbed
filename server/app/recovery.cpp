#include "server/app/recovery.hpp"

#include <fmt/format.h>
#include <utility>
#include <vector>

namespace clamor::server {
namespace {

/// Journal rows that are planned at once: runs in them pack into one row a queue.
constexpr std::size_t rows_per_batch = 1024;
/// Planned entries from which on the writer is waited for: large groups' take much memory.
constexpr std::size_t entries_waiting_max = 1'000'000;

}  // namespace

store::Result<std::unique_ptr<Channels>> recover(const store::Store& store,
                                                 const ChannelsSettings& settings, Users& users) {
  auto channels = std::make_unique<Channels>(settings);
  std::string fault;
  const auto visited =
      store.visit_log([&](const core::Record& record, std::span<const std::byte> body) {
        const auto known = channels->find(record.channel);
        const MessageId head = known ? channels->channel(*known).head.head : MessageId{};
        if (record.id != head + 1 && fault.empty()) {
          fault = fmt::format(
              "the log of channel {} goes from message {} to {}: restore the data "
              "directory from a copy",
              record.channel.value, head.value, record.id.value);
        }
        if (!fault.empty()) return;
        channels->restore(record, body);
        if (record.kind != core::RecordKind::join) return;
        for_each_user(body, [&](UserId user) { users.add_channel(user, record.channel); });
      });
  if (!visited) return visited.error();
  if (!fault.empty()) return store::Failure{fault};
  for (std::uint32_t partition = 0; partition < settings.partitions; ++partition) {
    const auto end = store.journal_end({partition});
    if (!end) return end.error();
    channels->set_journal_end({partition}, *end);
  }
  return channels;
}

store::Result<std::uint64_t> redo_fan_out(const store::Store& store, Channels& channels,
                                          store::QueueWriter& writer) {
  std::uint64_t redone = 0;
  std::size_t waiting = 0;
  std::vector<store::JournalRow> rows;
  for (std::uint32_t partition = 0; partition < channels.partitions(); ++partition) {
    const auto cursor = store.cursor({partition});
    if (!cursor) return cursor.error();
    JournalSequence after = *cursor;
    do {
      rows.clear();
      const auto visited =
          store.visit_journal({partition}, after, rows_per_batch,
                              [&](const store::JournalRow& row) { rows.push_back(row); });
      if (!visited) return visited.error();
      if (rows.empty()) break;
      store::FanOut fan_out = channels.redo(rows).fan_out;
      waiting += fan_out.entries.size();
      writer.submit(std::move(fan_out));
      if (waiting > entries_waiting_max) {
        if (!writer.drain()) return store::Failure{"queue entries cannot be written"};
        waiting = 0;
      }
      after = rows.back().place.sequence;
      redone += rows.size();
    } while (rows.size() == rows_per_batch);
  }
  return redone;
}

}  // namespace clamor::server
