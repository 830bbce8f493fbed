// What leaves the log: the beginnings that retention does not keep, and what is kept in their
// place.

#include "server/store/store_impl.hpp"

#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <string>

namespace clamor::store {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

}  // namespace

Result<void> Store::Impl::load_marks() {
  const std::unique_ptr<rocksdb::Iterator> row{db().NewIterator(across(), directory.facts())};
  const std::string_view tag{&checkpoint_tag, 1};
  for (row->Seek(slice(tag)); row->Valid() && view(row->key()).starts_with(tag); row->Next()) {
    const auto found = checkpoint_row(view(row->key()), view(row->value()));
    if (!found) return damaged("checkpoints");
    directory.marks().raise(found->channel, found->up_to);
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

Result<void> Store::trim_log(std::span<const Checkpoint> checkpoints) {
  if (!impl_->is_open()) return closed();
  rocksdb::WriteBatch batch;
  auto* const facts = impl_->directory.facts();
  std::string value;
  for (const Checkpoint& checkpoint : checkpoints) {
    write_checkpoint(checkpoint, value);
    batch.Put(facts, slice(checkpoint_key(checkpoint.channel).view()), value);
    // What a deletion of a message would take with it; most have no edits, and cost a look.
    rocksdb::ReadOptions options;
    const auto end_key = edit_key(checkpoint.channel, checkpoint.up_to + 1, {});
    const Slice end = slice(end_key.view());
    options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> row{impl_->db().NewIterator(options, facts)};
    for (row->Seek(slice(edit_key(checkpoint.channel, {}, {}).view())); row->Valid(); row->Next()) {
      batch.Delete(facts, row->key());
    }
    if (!row->status().ok()) return failure(row->status());
  }
  Status status = impl_->db().Write({}, &batch);
  // A compaction may write files without the records at once: the checkpoints must outlive whatever
  // those files do. Other writers need not wait for that.
  if (status.ok()) status = impl_->db().SyncWAL();
  if (!status.ok()) return failure(status);
  for (const Checkpoint& checkpoint : checkpoints) {
    impl_->directory.marks().raise(checkpoint.channel, checkpoint.up_to);
  }
  return {};
}

MessageId Store::trimmed(ChannelId channel) const { return impl_->directory.marks().of(channel); }

Result<std::optional<Checkpoint>> Store::checkpoint(ChannelId channel) const {
  if (!impl_->is_open()) return closed();
  const auto key = checkpoint_key(channel);
  std::string value;
  const Status status = impl_->db().Get({}, impl_->directory.facts(), slice(key.view()), &value);
  if (status.IsNotFound()) return std::optional<Checkpoint>{};
  if (!status.ok()) return failure(status);
  auto found = checkpoint_row(key.view(), value);
  if (!found) return damaged("checkpoints");
  return found;
}

Result<void> Store::visit_checkpoints(const std::function<void(const Checkpoint&)>& visit) const {
  if (!impl_->is_open()) return closed();
  const std::unique_ptr<rocksdb::Iterator> row{
      impl_->db().NewIterator(across(), impl_->directory.facts())};
  const std::string_view tag{&checkpoint_tag, 1};
  for (row->Seek(slice(tag)); row->Valid() && view(row->key()).starts_with(tag); row->Next()) {
    const auto found = checkpoint_row(view(row->key()), view(row->value()));
    if (!found) return damaged("checkpoints");
    visit(*found);
  }
  if (!row->status().ok()) return failure(row->status());
  return {};
}

std::uint64_t Store::log_disk_bytes() const {
  if (!impl_->is_open()) return 0;
  std::uint64_t bytes = 0;
  impl_->db().GetIntProperty(impl_->directory.log(), "rocksdb.total-sst-files-size", &bytes);
  return bytes;
}

Result<void> Store::compact_log(std::atomic<bool>& cancelled) {
  if (!impl_->is_open()) return closed();
  rocksdb::CompactRangeOptions options;
  options.canceled = &cancelled;
  options.exclusive_manual_compaction = false;  // Others go on beside it.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const Status status = impl_->db().CompactRange(options, impl_->directory.log(), nullptr, nullptr);
  if (!status.ok()) return failure(status);
  return {};
}

}  // namespace clamor::store
