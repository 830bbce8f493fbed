// Catch-up, page by page; catch_up.cpp has the planning.

#include "server/app/catch_up.hpp"
#include "server/core/retention.hpp"

#include <algorithm>
#include <string>
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
/// Of a history_truncated in a page.
constexpr std::size_t history_truncated_bytes = 25;
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
  CatchUp& catch_up;
  protocol::PageWriter& page;
  bus::Ticket session;

  [[nodiscard]] const core::Scan& scan() const { return catch_up.scans[catch_up.scan]; }
};

template <class Answer, class Read>
std::optional<Answer> CatchUpReader::ask(const Context& context, NodeId owner, Read&& read) {
  CatchUp& catch_up = context.catch_up;
  if (!catch_up.asking) {
    catch_up.asking = true;
    node_.bus.send(owner, std::forward<Read>(read));
  }
  auto* const found = std::get_if<Answer>(&catch_up.answer);
  if (found == nullptr) return std::nullopt;
  std::optional<Answer> answer{std::move(*found)};
  catch_up.answer = std::monostate{};
  catch_up.asking = false;
  return answer;
}

void CatchUpReader::next_scan(CatchUp& catch_up) {
  catch_up.store_read = false;
  catch_up.rows_exhausted = false;
  catch_up.references.clear();
  catch_up.reference = 0;
  catch_up.copies.clear();
  catch_up.copy_row = 0;
  catch_up.copy = 0;
  catch_up.tails.clear();
  catch_up.probed = 0;
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
    ++node_.operations.log_scans;
    missing = true;
  }
  return missing;
}

store::Result<CatchUpReader::Filled> CatchUpReader::fill(CatchUp& catch_up, bus::Ticket session) {
  const Context context{catch_up, catch_up.page->writer, session};
  if (!emit_gone(context)) return Filled::page_full;
  for (std::size_t steps = 0; steps < steps_per_page; ++steps) {
    if (catch_up.scan == catch_up.scans.size()) {
      // A queue may turn out to hold less than planned; the log has it.
      if (!add_missing(context)) return Filled::complete;
      next_scan(catch_up);
    }
    const auto done = step(context);
    if (!done) return done.error();
    if (*done == Step::page_full) return Filled::page_full;
    if (*done == Step::waits) return Filled::waits;
    if (*done == Step::scan_done) {
      ++catch_up.scan;
      next_scan(catch_up);
    }
  }
  return Filled::page_full;
}

store::Result<CatchUpReader::Step> CatchUpReader::step(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const core::Scan& scan = context.scan();
  if (catch_up.reference < catch_up.references.size()) return emit_references(context);
  if (catch_up.copy_row < catch_up.copies.size()) return emit_copies(context);
  if (scan.kind == core::ScanKind::user_queue) {
    if (!catch_up.store_read) return step_tails(context);
    return step_rows(context);
  }
  CatchUp::Progress& progress = *catch_up.find(scan.channel);
  const auto next = next_of(context, progress);
  if (!next || *next > scan.up_to) return Step::scan_done;
  if (scan.kind == core::ScanKind::log || !catch_up.store_read) {
    return step_channel(context, progress);
  }
  return step_rows(context);
}

store::Result<CatchUpReader::Step> CatchUpReader::step_channel(const Context& context,
                                                               CatchUp::Progress& progress) {
  CatchUp& catch_up = context.catch_up;
  const core::Scan& scan = context.scan();
  const MessageId next = *next_of(context, progress);
  const std::size_t items = context.page.items();
  const std::size_t bytes = context.page.bytes();
  if (items >= limits_.records || (items != 0 && bytes >= limits_.bytes)) return Step::page_full;
  const auto read = ask<bus::LogRead>(
      context, node_.directory.owner(scan.channel),
      bus::ReadLog{.session = context.session,
                   .channel = scan.channel,
                   .after = next - 1,
                   .up_to = scan.up_to,
                   .may_use_tail = !catch_up.store_read,
                   .tail_only = scan.kind != core::ScanKind::log,
                   .records_max = limits_.records - items,
                   .bytes_max = std::max<std::size_t>(limits_.bytes, bytes + 1) - bytes});
  if (!read) return Step::waits;
  if (!read->failure.empty()) return store::Failure{read->failure};
  if (read->from_tail) {
    if (!emit_all(context, progress, *read)) return Step::page_full;
    ++node_.operations.tail_hits;
    return Step::scan_done;
  }
  catch_up.store_read = true;
  if (scan.kind != core::ScanKind::log) return Step::again;
  if (next < read->kept_from) {  // Since it was planned.
    return emit_gone(context, progress, read->kept_from - 1) ? Step::again : Step::page_full;
  }
  if (read->size() == 0 || read->record(0).id != next) {
    return store::Failure{"a record is missing in the log of channel " +
                          std::to_string(scan.channel.value) + ", message " +
                          std::to_string(next.value)};
  }
  return emit_all(context, progress, *read) ? Step::again : Step::page_full;
}

store::Result<CatchUpReader::Step> CatchUpReader::step_tails(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  for (; catch_up.probed < catch_up.channels.size(); ++catch_up.probed) {
    const CatchUp::Progress& progress = catch_up.channels[catch_up.probed];
    if (progress.design != core::ChannelDesign::per_user || progress.queued <= progress.at) {
      continue;
    }
    const auto next = next_of(context, progress);
    if (!next || *next > progress.queued) continue;
    auto read = ask<bus::LogRead>(context, node_.directory.owner(progress.channel),
                                  bus::ReadLog{.session = context.session,
                                               .channel = progress.channel,
                                               .after = *next - 1,
                                               .up_to = progress.queued,
                                               .tail_only = true});
    if (!read) return Step::waits;
    if (!read->from_tail) {
      catch_up.store_read = true;
      catch_up.tails.clear();
      return Step::again;
    }
    catch_up.tails.push_back(std::move(*read));
  }
  const auto tails = std::exchange(catch_up.tails, {});
  catch_up.probed = 0;  // Of a page that is full the next one asks again.
  for (const bus::LogRead& read : tails) {
    if (!emit_all(context, *catch_up.find(read.channel), read)) return Step::page_full;
  }
  ++node_.operations.tail_hits;
  return Step::scan_done;
}

store::Result<CatchUpReader::Step> CatchUpReader::step_rows(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const bool user_queue = context.scan().kind == core::ScanKind::user_queue;
  if (user_queue) catch_up.queue_position = catch_up.queue_at;
  if (catch_up.rows_exhausted) return Step::scan_done;
  catch_up.references.clear();
  catch_up.reference = 0;
  catch_up.copies.clear();
  catch_up.copy_row = 0;
  const auto read = user_queue ? collect_user_queue(context) : collect_member_queue(context);
  if (!read || *read == Step::waits) return read;
  // Between channels a queue's order means nothing; together, a channel's records are one read.
  std::stable_sort(catch_up.references.begin(), catch_up.references.end(),
                   [](const auto& a, const auto& b) { return a.progress < b.progress; });
  join_consecutive(catch_up.references);
  return Step::again;
}

store::Result<CatchUpReader::Step> CatchUpReader::collect_user_queue(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const auto read = ask<bus::UserQueueRead>(context, node_.directory.owner(catch_up.user),
                                            bus::ReadUserQueue{.session = context.session,
                                                               .user = catch_up.user,
                                                               .after = catch_up.queue_at,
                                                               .rows_max = rows_per_read,
                                                               .bytes_max = limits_.bytes});
  if (!read) return Step::waits;
  if (!read->failure.empty()) return store::Failure{read->failure};
  auto& rows = read->rows;
  const bool copied = node_.settings.payload == QueuePayload::copy;
  std::size_t collected = 0;
  std::size_t used = 0;
  for (; used < rows.size() && collected < references_max; ++used) {
    catch_up.queue_at = rows[used].last;
    if (copied) {
      catch_up.copies.push_back(std::move(rows[used].copies));
      continue;
    }
    for (const store::QueueRun& run : rows[used].runs) {
      const CatchUp::Progress* const progress = catch_up.find(run.channel);
      if (progress != nullptr) collected += collect(catch_up, run, progress->queued);
    }
  }
  // A read of copies may have ended at their bytes.
  catch_up.rows_exhausted =
      copied ? rows.empty() : rows.size() < rows_per_read && used == rows.size();
  // A position beyond the queue's end names another queue: what it lacks comes from the log, and
  // the device starts from this queue's end.
  if (rows.empty()) catch_up.queue_at = std::min(catch_up.queue_at, read->end);
  return Step::again;
}

store::Result<CatchUpReader::Step> CatchUpReader::collect_member_queue(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const core::Scan& scan = context.scan();
  const auto read = ask<bus::MemberQueueRead>(context, node_.directory.owner(catch_up.user),
                                              bus::ReadMemberQueue{.session = context.session,
                                                                   .user = catch_up.user,
                                                                   .channel = scan.channel,
                                                                   .after = catch_up.rows_after,
                                                                   .rows_max = rows_per_read,
                                                                   .bytes_max = limits_.bytes});
  if (!read) return Step::waits;
  if (!read->failure.empty()) return store::Failure{read->failure};
  auto& rows = read->rows;
  const bool copied = node_.settings.payload == QueuePayload::copy;
  std::size_t collected = 0;
  std::size_t used = 0;
  for (; used < rows.size() && collected < references_max; ++used) {
    const store::QueueRun& run = rows[used].run;
    if (copied) {
      catch_up.copies.push_back(std::move(rows[used].copies));
    } else {
      collected += collect(catch_up, run, scan.up_to);
    }
    catch_up.rows_after = run.first + (run.count - 1);
  }
  catch_up.rows_exhausted =
      (copied ? rows.empty() : rows.size() < rows_per_read && used == rows.size()) ||
      catch_up.rows_after >= scan.up_to;
  return Step::again;
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
  const MessageId last = reference.first + (count - 1);
  const auto read = ask<bus::LogRead>(context, node_.directory.owner(progress.channel),
                                      bus::ReadLog{.session = context.session,
                                                   .channel = progress.channel,
                                                   .after = reference.first - 1,
                                                   .up_to = last,
                                                   .as_gets = count < references_per_scan,
                                                   .records_max = count,
                                                   .bytes_max = limits_.bytes});
  if (!read) return Step::waits;
  if (!read->failure.empty()) return store::Failure{read->failure};
  if (!read->from_tail) ++node_.operations.log_seeks;
  if (!emit_gone(context, progress, read->kept_from - 1)) return Step::page_full;
  const auto advance_to = [&](MessageId first) {
    reference.count -= static_cast<std::uint32_t>(first - reference.first);
    reference.first = first;
  };
  for (std::size_t i = 0; i < read->size(); ++i) {
    if (!emit(context, progress, read->record(i), read->body(i))) {
      advance_to(read->record(i).id);
      return Step::page_full;
    }
    ++node_.operations.log_gets;
  }
  // The scan may have stopped at its bytes: what it did not read stays on the reference.
  advance_to((read->size() == 0 ? last : read->record(read->size() - 1).id) + 1);
  if (reference.count == 0) ++catch_up.reference;
  return Step::again;
}

CatchUpReader::Step CatchUpReader::emit_copies(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  const bool user_queue = context.scan().kind == core::ScanKind::user_queue;
  for (; catch_up.copy_row < catch_up.copies.size(); ++catch_up.copy_row, catch_up.copy = 0) {
    const store::RecordBatch& row = catch_up.copies[catch_up.copy_row];
    for (; catch_up.copy < row.size(); ++catch_up.copy) {
      const core::Record& record = row.record(catch_up.copy);
      CatchUp::Progress* const progress = catch_up.find(record.channel);
      if (progress == nullptr) continue;
      if (record.id > (user_queue ? progress->queued : context.scan().up_to)) continue;
      const auto& gone = catch_up.redacted;
      const bool redacted =
          std::binary_search(gone.begin(), gone.end(), core::HeldUpTo{record.channel, record.id});
      core::Record stub = record;
      if (redacted) {
        stub.redacted = true;
        stub.has_about = false;
      }
      const auto body = redacted ? std::span<const std::byte>{} : row.body(catch_up.copy);
      // Checked like any other: what is not the channel's next id of an interval is passed over.
      if (!emit(context, *progress, stub, body)) return Step::page_full;
    }
  }
  return Step::again;
}

bool CatchUpReader::emit_gone(const Context& context) {
  CatchUp& catch_up = context.catch_up;
  for (; catch_up.told < catch_up.channels.size(); ++catch_up.told) {
    CatchUp::Progress& progress = catch_up.channels[catch_up.told];
    if (!emit_gone(context, progress, progress.kept_from - 1)) return false;
  }
  return true;
}

bool CatchUpReader::emit_gone(const Context& context, CatchUp::Progress& progress,
                              MessageId up_to) {
  const core::Intervals intervals = context.catch_up.intervals_of(progress);
  for (;;) {
    const auto next = next_of(context, progress);
    if (!next || *next > up_to) return true;
    if (!core::page_takes(limits_, context.page.items(), context.page.bytes(),
                          history_truncated_bytes)) {
      return false;
    }
    if (*next > progress.at + 1) {
      context.page.add(protocol::IntervalStart{progress.channel, *next});
    }
    const MessageId last = core::run_end(intervals, *next, up_to);
    context.page.add(protocol::HistoryTruncated{progress.channel, *next, last});
    node_.incidents.expired_deliveries += last - *next + 1;
    progress.at = last;
  }
}

bool CatchUpReader::emit_all(const Context& context, CatchUp::Progress& progress,
                             const bus::LogRead& read) {
  const bool by_reference = context.scan().kind != core::ScanKind::log &&
                            node_.settings.payload == QueuePayload::reference;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (!emit(context, progress, read.record(i), read.body(i))) return false;
    if (by_reference) ++node_.operations.log_gets;
  }
  return true;
}

bool CatchUpReader::emit(const Context& context, CatchUp::Progress& progress,
                         const core::Record& record, std::span<const std::byte> body) {
  const auto next = next_of(context, progress);
  if (!next || record.id != *next) return true;
  const protocol::Bytes shown = protocol::shown_body(record, body);
  const std::size_t bytes = protocol::record_header_bytes + shown.size();
  if (!core::page_takes(limits_, context.page.items(), context.page.bytes(), bytes)) return false;
  if (*next > progress.at + 1) {
    context.page.add(protocol::IntervalStart{progress.channel, *next});
  }
  context.page.add(protocol::RecordFrame{record, shown});
  progress.at = record.id;
  ++node_.operations.catch_up_deliveries;
  return true;
}

std::optional<MessageId> CatchUpReader::next_of(const Context& context,
                                                const CatchUp::Progress& progress) {
  return core::next_after(context.catch_up.intervals_of(progress), progress.at);
}

}  // namespace clamor::server
