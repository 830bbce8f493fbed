// Catch-up, page by page; catch_up.cpp has the planning.

#include "server/app/catch_up.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

/// Queue rows read at once, and references fetched at once: one page needs few of either.
constexpr std::size_t rows_per_read = 128;
constexpr std::size_t references_per_read = 256;
/// Consecutive references from which on a scan is cheaper than a get each.
constexpr std::size_t references_per_scan = 4;
/// Reads and the like after which a page ends, full or not: a long queue of records that the device
/// holds already must not hold up the turn.
constexpr std::size_t steps_per_page = 256;
/// References after which no further rows are read before some were fetched.
constexpr std::size_t references_max = 1000;

/// Adds the part of a queue's run that the device still lacks.
std::size_t collect(CatchUp& catch_up, const store::QueueRun& run, MessageId up_to) {
  const CatchUp::Progress* const progress = catch_up.find(run.channel);
  if (progress == nullptr) return 0;
  const MessageId first = std::max(run.first, progress->at + 1);
  const MessageId last = std::min(run.first + (run.count - 1), up_to);
  if (first > last) return 0;
  const auto count = static_cast<std::uint32_t>(last - first + 1);
  catch_up.references.push_back(
      {static_cast<std::size_t>(progress - catch_up.channels.data()), first, count});
  return count;
}

void join_consecutive(std::vector<CatchUp::Reference>& references) {
  std::size_t kept = 0;
  for (const CatchUp::Reference& reference : references) {
    if (kept != 0) {
      CatchUp::Reference& before = references[kept - 1];
      if (before.progress == reference.progress && before.first + before.count == reference.first) {
        before.count += reference.count;
        continue;
      }
    }
    references[kept++] = reference;
  }
  references.resize(kept);
}

}  // namespace

/// What one fill() works on.
struct CatchUpReader::Context {
  const Channels& channels;
  CatchUp& catch_up;
  protocol::PageWriter& page;
};

void CatchUpReader::next_scan(CatchUp& catch_up) {
  catch_up.store_read = false;
  catch_up.rows_exhausted = false;
  catch_up.references.clear();
  catch_up.reference = 0;
  if (catch_up.scan < catch_up.scans.size()) {
    catch_up.rows_after = catch_up.scans[catch_up.scan].after;
  }
}

bool CatchUpReader::add_missing(const Context& context) {
  bool missing = false;
  for (const CatchUp::Progress& progress : context.catch_up.channels) {
    const auto next = next_of(context, progress);
    if (!next || *next > progress.up_to) continue;
    context.catch_up.scans.push_back(
        {core::ScanKind::log, progress.channel, progress.at, progress.up_to});
    ++operations_.log_scans;
    missing = true;
  }
  return missing;
}

store::Result<bool> CatchUpReader::fill(const Channels& channels, CatchUp& catch_up,
                                        protocol::PageWriter& page) {
  const Context context{channels, catch_up, page};
  own_valid_ = false;
  for (std::size_t steps = 0; steps < steps_per_page; ++steps) {
    if (catch_up.scan == catch_up.scans.size()) {
      // A queue may turn out to hold less than planned; the log has it.
      if (!add_missing(context)) return true;
      next_scan(catch_up);
    }
    const auto done = step(context);
    if (!done) return done.error();
    if (*done == Step::page_full) return false;
    if (*done == Step::scan_done) {
      ++catch_up.scan;
      next_scan(catch_up);
    }
  }
  return false;
}

store::Result<CatchUpReader::Step> CatchUpReader::step(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const core::Scan scan = catch_up.scans[catch_up.scan];
  if (catch_up.reference < catch_up.references.size()) return emit_references(context);
  if (scan.kind == core::ScanKind::user_queue) {
    if (!catch_up.store_read && tail_serves_user_queue(context)) {
      for (CatchUp::Progress& progress : catch_up.channels) {
        if (progress.queued <= progress.at) continue;
        if (emit_tail(context, progress, progress.queued) == Step::page_full) {
          return Step::page_full;
        }
      }
      ++operations_.tail_hits;
      return Step::scan_done;
    }
    return step_rows(context);
  }
  CatchUp::Progress& progress = *catch_up.find(scan.channel);
  const auto next = next_of(context, progress);
  if (!next || *next > scan.up_to) return Step::scan_done;
  if (!catch_up.store_read && tail_.read(progress.index, *next - 1, scan.up_to, tail_records_)) {
    const Step emitted = emit_tail(context, progress, scan.up_to);
    if (emitted == Step::scan_done) ++operations_.tail_hits;
    return emitted;
  }
  catch_up.store_read = true;
  if (scan.kind == core::ScanKind::log) return step_log(context, progress);
  return step_rows(context);
}

store::Result<CatchUpReader::Step> CatchUpReader::step_log(const Context& context,
                                                           CatchUp::Progress& progress) {
  const core::Scan& scan = context.catch_up.scans[context.catch_up.scan];
  const MessageId next = *next_of(context, progress);
  const std::size_t items = context.page.items();
  const std::size_t bytes = context.page.bytes();
  if (items >= limits_.records || (items != 0 && bytes >= limits_.bytes)) return Step::page_full;
  batch_.clear();
  const auto read =
      store_.scan_log(scan.channel, next - 1, scan.up_to, limits_.records - items,
                      std::max<std::size_t>(limits_.bytes, bytes + 1) - bytes, batch_);
  if (!read) return read.error();
  if (batch_.empty() || batch_.record(0).id != next) {
    return store::Failure{"a record is missing in the log of channel " +
                          std::to_string(scan.channel.value) + ", message " +
                          std::to_string(next.value)};
  }
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (!emit(context, progress, batch_.record(i), batch_.body(i))) return Step::page_full;
  }
  return Step::again;
}

store::Result<CatchUpReader::Step> CatchUpReader::step_rows(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const bool user_queue = catch_up.scans[catch_up.scan].kind == core::ScanKind::user_queue;
  if (user_queue) catch_up.queue_position = catch_up.queue_at;
  if (catch_up.rows_exhausted) return Step::scan_done;
  catch_up.store_read = true;
  catch_up.references.clear();
  catch_up.reference = 0;
  const auto read = user_queue ? collect_user_queue(context) : collect_member_queue(context);
  if (!read) return read.error();
  // Between channels a queue's order means nothing; together, a channel's records are one read.
  std::stable_sort(catch_up.references.begin(), catch_up.references.end(),
                   [](const auto& a, const auto& b) { return a.progress < b.progress; });
  join_consecutive(catch_up.references);
  return Step::again;
}

store::Result<void> CatchUpReader::collect_user_queue(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  rows_.clear();
  const QueueSequence asked = catch_up.queue_at;
  const auto read = store_.scan_user_queue(catch_up.user, asked, rows_per_read, rows_);
  if (!read) return read.error();
  std::size_t collected = 0;
  std::size_t used = 0;
  for (; used < rows_.size() && collected < references_max; ++used) {
    for (const store::QueueRun& run : rows_[used].runs) {
      const CatchUp::Progress* const progress = catch_up.find(run.channel);
      if (progress != nullptr) collected += collect(catch_up, run, progress->queued);
    }
    catch_up.queue_at = rows_[used].last;
  }
  catch_up.rows_exhausted = rows_.size() < rows_per_read && used == rows_.size();
  if (!rows_.empty() || asked == QueueSequence{}) return {};
  // A position beyond the queue's end names another queue: what it lacks comes from the log, and
  // the device starts from this queue's end.
  const auto end = store_.user_queue_end(catch_up.user);
  if (!end) return end.error();
  catch_up.queue_at = std::min(catch_up.queue_at, *end);
  return {};
}

store::Result<void> CatchUpReader::collect_member_queue(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const core::Scan& scan = catch_up.scans[catch_up.scan];
  runs_.clear();
  const auto read = store_.scan_member_queue(scan.channel, catch_up.user, catch_up.rows_after,
                                             rows_per_read, runs_);
  if (!read) return read.error();
  std::size_t collected = 0;
  std::size_t used = 0;
  for (; used < runs_.size() && collected < references_max; ++used) {
    collected += collect(catch_up, runs_[used], scan.up_to);
    catch_up.rows_after = runs_[used].first + (runs_[used].count - 1);
  }
  catch_up.rows_exhausted =
      (runs_.size() < rows_per_read && used == runs_.size()) || catch_up.rows_after >= scan.up_to;
  return {};
}

store::Result<CatchUpReader::Step> CatchUpReader::emit_references(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  CatchUp::Reference& reference = catch_up.references[catch_up.reference];
  CatchUp::Progress& progress = catch_up.channels[reference.progress];
  const std::size_t items = context.page.items();
  if (items >= limits_.records || (items != 0 && context.page.bytes() >= limits_.bytes)) {
    return Step::page_full;
  }
  const auto count =
      std::min<std::uint64_t>({reference.count, references_per_read, limits_.records - items});
  ids_.clear();
  for (std::uint64_t i = 0; i < count; ++i) ids_.push_back(reference.first + i);
  batch_.clear();
  if (tail_.read(progress.index, ids_.front() - 1, ids_.back(), tail_records_)) {
    for (const Tail::Reference& found : tail_records_) {
      batch_.add(found.commit->batch.record(found.index), found.commit->batch.body(found.index));
    }
  } else {
    const auto read = count < references_per_scan
                          ? store_.get_log(progress.channel, ids_, batch_)
                          : store_.scan_log(progress.channel, ids_.front() - 1, ids_.back(), count,
                                            limits_.bytes, batch_);
    if (!read) return read.error();
    ++operations_.log_seeks;
  }
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (!emit(context, progress, batch_.record(i), batch_.body(i))) {
      const std::uint64_t done = batch_.record(i).id - reference.first;
      reference.first = reference.first + done;
      reference.count -= static_cast<std::uint32_t>(done);
      return Step::page_full;
    }
    ++operations_.log_gets;
  }
  // The scan may have stopped at its bytes: what it did not read stays on the reference.
  const MessageId read_to = batch_.empty() ? ids_.back() : batch_.record(batch_.size() - 1).id;
  const std::uint64_t done = read_to + 1 - reference.first;
  reference.first = read_to + 1;
  reference.count -= static_cast<std::uint32_t>(done);
  if (reference.count == 0) ++catch_up.reference;
  return Step::again;
}

bool CatchUpReader::tail_serves_user_queue(const Context& context) {
  for (const CatchUp::Progress& progress : context.catch_up.channels) {
    const Channel& channel = context.channels.channel(progress.index);
    if (channel.head.design != core::ChannelDesign::per_user || progress.queued <= progress.at) {
      continue;
    }
    const auto next = next_of(context, progress);
    if (!next || *next > progress.queued) continue;
    if (!tail_.read(progress.index, *next - 1, progress.queued, tail_records_)) return false;
  }
  return true;
}

CatchUpReader::Step CatchUpReader::emit_tail(const Context& context, CatchUp::Progress& progress,
                                             MessageId up_to) {
  const bool by_reference =
      context.catch_up.scans[context.catch_up.scan].kind != core::ScanKind::log;
  const auto next = next_of(context, progress);
  if (!next || *next > up_to) return Step::scan_done;
  const bool read = tail_.read(progress.index, *next - 1, up_to, tail_records_);
  CLAMOR_ASSERT(read);
  for (const Tail::Reference& found : tail_records_) {
    const auto& batch = found.commit->batch;
    if (!emit(context, progress, batch.record(found.index), batch.body(found.index))) {
      return Step::page_full;
    }
    if (by_reference) ++operations_.log_gets;
  }
  return Step::scan_done;
}

bool CatchUpReader::emit(const Context& context, CatchUp::Progress& progress,
                         const core::Record& record, std::span<const std::byte> body) {
  const auto next = next_of(context, progress);
  if (!next || record.id != *next) return true;
  const std::size_t bytes = protocol::record_header_bytes + body.size();
  if (!core::page_takes(limits_, context.page.items(), context.page.bytes(), bytes)) return false;
  if (*next > progress.at + 1) {
    context.page.add(protocol::IntervalStart{progress.channel, *next});
  }
  context.page.add(protocol::RecordFrame{record, body});
  progress.at = record.id;
  ++operations_.catch_up_deliveries;
  return true;
}

std::optional<MessageId> CatchUpReader::next_of(const Context& context,
                                                const CatchUp::Progress& progress) {
  if (!own_valid_ || own_of_ != progress.index) {
    context.channels.intervals(progress.index, context.catch_up.user, own_);
    own_of_ = progress.index;
    own_valid_ = true;
  }
  return core::next_after(own_, progress.at);
}

}  // namespace clamor::server
