// What leaves the queues: entries that all devices of their user hold, and those of queues that
// nobody waits for any more.

#include "server/store/store_impl.hpp"

#include <algorithm>
#include <limits>

namespace clamor::store {
namespace {

std::int64_t seconds_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

/// Devices' notes are at most so much older than a device's silence may be.
constexpr std::int64_t notes_per_silence = 30;

}  // namespace

Store::Impl::Impl(const StoreSettings& settings)
    : directory{settings},
      buffer{settings.payload},
      devices{seconds_of(settings.device_expires_after) / notes_per_silence} {}

void Store::Impl::forget_queues() {
  const std::lock_guard lock{queues_mutex};
  (void)buffer.freeze();  // Ends stay known: places that scans have named are not used again.
  (void)flushed.take_doomed();
  frozen = {};
  applied.clear();
  frozen_applied.clear();
  frozen_doomed.clear();
  frozen_notes.clear();
  frozen_expired.clear();
  devices.forget_notes();
}

Result<void> Store::Impl::visit_queue_rows(
    char tag, const std::function<bool(std::string_view, std::string_view)>& visit) const {
  const std::unique_ptr<rocksdb::Iterator> row{db().NewIterator(across(), directory.queues())};
  const std::string begin{tag};
  for (row->Seek(begin); row->Valid() && row->key().starts_with(begin); row->Next()) {
    if (!visit(view(row->key()), view(row->value()))) return damaged("queues");
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

std::size_t Store::take(std::span<const core::DeviceReport> reports) {
  std::size_t saved = 0;
  for (const core::DeviceReport& report : reports) {
    impl_->devices.take(report);
    if (!report.holds.empty()) saved += impl_->trim(report.user);
  }
  return saved;
}

std::size_t Store::Impl::trim(UserId user) {
  const auto* const live = devices.find(user);
  if (live == nullptr) return 0;
  const HeldIn least = [live](ChannelId channel) {
    return core::DevicePositions::least(*live, channel);
  };
  const std::lock_guard lock{queues_mutex};
  flushed.trim(user, least);
  return buffer.trim(user, least);
}

std::size_t Store::Impl::drop_all(UserId user) {
  const HeldIn all = [](ChannelId) { return MessageId{std::numeric_limits<std::uint64_t>::max()}; };
  const std::lock_guard lock{queues_mutex};
  flushed.trim(user, all);
  return buffer.trim(user, all);
}

Store::Trimmed Store::trim(std::int64_t now_s) {
  const StoreSettings& settings = impl_->directory.settings();
  const std::int64_t silence_s = seconds_of(settings.device_expires_after);
  Trimmed trimmed;
  for (const UserId user : impl_->buffer.users()) {
    const auto expired = impl_->devices.expire(user, now_s, silence_s);
    for (const DeviceId device : expired) impl_->expired.emplace_back(user, device);
    trimmed.devices_expired += expired.size();
    const bool forgotten = !expired.empty() && impl_->devices.find(user) == nullptr;
    trimmed.bytes += forgotten ? impl_->drop_all(user) : impl_->trim(user);
    const BufferedRuns& buffered = *impl_->buffer.find(user);
    if (impl_->flushed.entries(user) + buffered.entries() <= settings.queue_entries_max) continue;
    trimmed.bytes += impl_->drop_all(user);
    ++trimmed.queues_expired;
  }
  return trimmed;
}

void Store::Impl::write_trims(rocksdb::WriteBatch& batch) const {
  auto* const queues = directory.queues();
  for (const FlushedRows::Doomed& doomed : frozen_doomed) {
    // As a rule there is one row, and its tombstone is a fraction of a range's.
    const bool own = doomed.channel == ChannelId{};
    if (doomed.one_row && own) {
      batch.Delete(queues, slice(user_queue_key(doomed.user, doomed.last_place).view()));
    } else if (doomed.one_row) {
      batch.Delete(queues,
                   slice(member_queue_key(doomed.channel, doomed.user, doomed.last_id).view()));
    } else if (own) {
      batch.DeleteRange(queues, slice(user_queue_key(doomed.user, {}).view()),
                        slice(user_queue_key(doomed.user, doomed.last_place + 1).view()));
    } else {
      batch.DeleteRange(
          queues, slice(member_queue_key(doomed.channel, doomed.user, {}).view()),
          slice(member_queue_key(doomed.channel, doomed.user, doomed.last_id + 1).view()));
    }
  }
  for (const auto& [user, device] : frozen_expired) {
    batch.Delete(queues, slice(device_key(user, device).view()));
  }
  for (const core::DevicePositions::Note& note : frozen_notes) {
    std::string value;
    append_varint(static_cast<std::uint64_t>(note.seen_s), value);
    batch.Put(queues, slice(device_key(note.user, note.device).view()), value);
  }
}

}  // namespace clamor::store
