#include "server/app/recovery.hpp"

#include <fmt/format.h>
#include <utility>

namespace clamor::server {

store::Result<std::unique_ptr<Channels>> recover(const store::Store& store,
                                                 const ChannelsSettings& settings) {
  auto channels = std::make_unique<Channels>(settings);
  std::string fault;
  const auto begun = store.visit_checkpoints([&](const store::Checkpoint& checkpoint) {
    if (!fault.empty() || channels->restore(checkpoint)) return;
    fault = fmt::format(
        "the checkpoint of channel {} is damaged: restore the data directory from a copy",
        checkpoint.channel.value);
  });
  if (!begun) return begun.error();
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
        if (fault.empty()) channels->restore(record, body);
      });
  if (!visited) return visited.error();
  if (!fault.empty()) return store::Failure{fault};
  const auto read =
      store.visit_read_cursors([&](const store::ReadCursor& cursor) { channels->restore(cursor); });
  if (!read) return read.error();
  for (std::uint32_t partition = 0; partition < settings.partitions; ++partition) {
    const auto end = store.journal_end({partition});
    if (!end) return end.error();
    channels->set_journal_end({partition}, *end);
  }
  return channels;
}

}  // namespace clamor::server
