#include "scenarios/model/draws.hpp"
#include "scenarios/model/plan.hpp"
#include "server/base/assert.hpp"
#include "server/base/hash.hpp"
#include "server/base/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <tuple>

// Traffic: which member of which channel sends how much, when; and the plan's fingerprint.
namespace clamor::scenario {

namespace {

constexpr double sends_per_block = 65'536;
constexpr std::uint32_t tries_per_channel = 8;  // then another channel of the class
constexpr std::uint32_t channels_tried = 64;
constexpr double z_99 = 2.3263478740408408;  // 99th percentile of the standard normal

std::uint32_t draw_bytes(const MessageBytes& size, std::uint64_t seed, DrawPurpose purpose,
                         std::uint64_t index) {
  if (size.kind == MessageBytes::Kind::constant) return size.constant;
  // Box-Muller; 1 - u lies in (0, 1], where the logarithm is finite.
  const double u = 1.0 - unit_draw(seed, purpose, index, 0);
  const double v = unit_draw(seed, purpose, index, 1);
  const double z = std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  const double sigma = std::log(size.p99 / size.median) / z_99;
  const double bytes = size.median * std::exp(sigma * z);
  return static_cast<std::uint32_t>(std::clamp(std::round(bytes), 1.0, double{message_bytes_max}));
}

}  // namespace

bool Plan::Draft::operator<(const Draft& other) const {
  return std::tie(due, workload, arrival, copy) <
         std::tie(other.due, other.workload, other.arrival, other.copy);
}

void Plan::lay_out_sends() {
  double rate_per_second = 0;
  for (const Workload& workload : scenario_.workloads) {
    Mix mix;
    double sum = 0;
    for (const auto& [name, share] : workload.mix) {
      const auto in = std::find_if(classes_.begin(), classes_.end(),
                                   [&name](const ChannelClass& c) { return c.name == name; });
      CLAMOR_ASSERT(in != classes_.end());
      if (share <= 0) continue;
      mix.up_to.push_back(sum += share);
      mix.sends.push_back(share * planned_sends(workload, workload.duration));
      mix.class_index.push_back(static_cast<std::uint32_t>(in - classes_.begin()));
    }
    for (double& share : mix.up_to) share /= sum;
    mixes_.push_back(std::move(mix));
    rate_per_second += workload.rate / to_seconds(workload.time_unit);
  }
  if (is_trace(scenario_)) {
    rate_per_second = static_cast<double>(trace_sends_.size()) * classes_.front().count /
                      std::max(to_seconds(duration_), 1e-3);
  }
  // Whole milliseconds, at most a second: a block is what a consumer holds in memory.
  const double block_ms = sends_per_block / std::max(rate_per_second, 1.0) * 1000;
  block_ = std::chrono::milliseconds{static_cast<std::int64_t>(std::clamp(block_ms, 1.0, 1000.0))};
}

void Plan::lay_out_prefill() {
  if (scenario_.prefill_messages == 0) return;
  std::vector<double> weights(classes_.size());
  double all = 0;
  for (const Mix& mix : mixes_) {
    for (std::size_t i = 0; i < mix.sends.size(); ++i) {
      weights[mix.class_index[i]] += mix.sends[i];
      all += mix.sends[i];
    }
  }
  // The sums are rounded, not the shares: nothing is left over.
  double up_to = 0;
  std::uint64_t given = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    up_to += weights[c];
    const auto sum = static_cast<std::uint64_t>(
        std::llround(static_cast<double>(scenario_.prefill_messages) * (up_to / all)));
    classes_[c].prefill = sum - given;
    given = sum;
  }
}

std::uint32_t Plan::prefill_in(std::uint32_t channel) const {
  const ChannelClass& in = classes_[class_of(channel)];
  const std::uint64_t more = channel - in.first < in.prefill % in.count ? 1 : 0;
  const std::uint64_t messages = in.prefill / in.count + more;
  CLAMOR_ASSERT(messages < std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint32_t>(messages);
}

std::uint32_t Plan::prefill_sender(std::uint32_t channel) const {
  return member_at(seat_of(channel), 0);
}

std::uint32_t Plan::prefill_bytes(std::uint32_t channel, std::uint32_t number) const {
  const std::uint64_t seed = scenario_.seed;
  const std::uint64_t index = (std::uint64_t{channel} << 32U) | number;
  const std::uint32_t wanted = class_of(channel);
  const auto sends_of = [wanted](const Mix& mix) {
    double sends = 0;
    for (std::size_t i = 0; i < mix.sends.size(); ++i) {
      if (mix.class_index[i] == wanted) sends += mix.sends[i];
    }
    return sends;
  };
  double all = 0;
  for (const Mix& mix : mixes_) all += sends_of(mix);
  double left = all * unit_draw(seed, DrawPurpose::prefill_workload, index, 0);
  std::size_t workload = 0;
  for (std::size_t i = 0; i < mixes_.size(); ++i) {
    const double sends = sends_of(mixes_[i]);
    if (sends <= 0) continue;
    workload = i;
    if (left < sends) break;
    left -= sends;
  }
  return draw_bytes(scenario_.workloads[workload].message_bytes, seed, DrawPurpose::prefill_bytes,
                    index);
}

std::uint32_t Plan::send_blocks() const {
  return static_cast<std::uint32_t>((duration_ + block_ - Duration{1}) / block_);
}

Instant Plan::block_start(std::uint32_t block) const {
  return Instant{std::min(block_ * block, duration_)};
}

std::uint64_t Plan::arrivals_before(const Workload& workload, Instant at) const {
  const Duration elapsed =
      std::clamp(at.time_since_epoch() - workload.start_time, Duration{}, workload.duration);
  return static_cast<std::uint64_t>(planned_sends(workload, elapsed));
}

std::uint64_t Plan::sends_before(Instant at) const {
  std::uint64_t count = 0;
  if (is_trace(scenario_)) {
    for (std::uint32_t copy = 0; copy < classes_.front().count; ++copy) {
      count += trace_sends_before(copy, at);
    }
    return count;
  }
  for (const Workload& workload : scenario_.workloads) count += arrivals_before(workload, at);
  return count;
}

std::uint64_t Plan::send_count() const { return sends_before(Instant{duration_}); }

void Plan::draft_arrivals(std::uint32_t index, Instant from, Instant until,
                          std::vector<Draft>& out) const {
  const Workload& workload = scenario_.workloads[index];
  const Instant starts{workload.start_time};
  from = std::max(from, starts);
  until = std::min(until, starts + workload.duration);
  if (from >= until) return;
  const std::uint64_t first = arrivals_before(workload, from);
  const std::uint64_t end = arrivals_before(workload, until);
  for (std::uint64_t arrival = first; arrival < end; ++arrival) {
    out.push_back(draft_in(index, arrival, from, until));
  }
}

Plan::Draft Plan::draft_in(std::uint32_t index, std::uint64_t arrival, Instant from,
                           Instant until) const {
  const Workload& workload = scenario_.workloads[index];
  Duration offset;
  if (workload.arrivals == Arrivals::even) {
    const double gap_ns = static_cast<double>(workload.time_unit.count()) / workload.rate;
    const double at_ns = (static_cast<double>(arrival) + 0.5) * gap_ns;
    offset = Instant{workload.start_time} + Duration{static_cast<std::int64_t>(at_ns)} - from;
  } else {
    // A Poisson process, given its count, is so many independent uniform times.
    const std::uint64_t bits =
        draw_bits(scenario_.seed, DrawPurpose::send_time, draw_index(index, arrival));
    offset = Duration{static_cast<std::int64_t>(
        below_from_bits(bits, static_cast<std::uint64_t>((until - from).count())))};
  }
  const Duration last_ns = until - from - Duration{1};
  return {from + std::clamp(offset, Duration{}, last_ns), arrival, index, 0};
}

Plan::Draft Plan::draft_of(std::uint32_t index, std::uint64_t arrival) const {
  CLAMOR_ASSERT(arrival < kinds_[index].arrivals);
  const Workload& workload = scenario_.workloads[index];
  const double gap_ns = static_cast<double>(workload.time_unit.count()) / workload.rate;
  const auto elapsed = Duration{static_cast<std::int64_t>(static_cast<double>(arrival) * gap_ns)};
  auto block = static_cast<std::uint32_t>((workload.start_time + elapsed) / block_);
  // By the rate it lies there or next to it; the counts have the last word.
  while (block > 0 && arrivals_before(workload, block_start(block)) > arrival) --block;
  while (arrivals_before(workload, block_start(block + 1)) <= arrival) ++block;
  const Instant starts{workload.start_time};
  return draft_in(index, arrival, std::max(block_start(block), starts),
                  std::min(block_start(block + 1), starts + workload.duration));
}

std::uint64_t Plan::draw_index(std::uint32_t workload, std::uint64_t arrival) {
  return (std::uint64_t{workload} << 48U) | arrival;
}

Send Plan::complete(const Draft& draft) const {
  const auto other = about(draft);
  Send send = other ? *other : message(draft);
  if (send.kind == SendKind::message && draft.arrival % 2 == 0 && has_pair(draft, send)) {
    send.pair = pair_of(draft);
  }
  if (send.kind <= SendKind::reply) add_mention(draft, send);
  return send;
}

Send Plan::message(const Draft& draft) const {
  const std::uint64_t index = draw_index(draft.workload, draft.arrival);
  Send send;
  send.due = draft.due;
  std::uint32_t user = 0;
  if (is_trace(scenario_)) {
    const TraceEvent& event = trace_sends_[draft.arrival];
    send.channel = draft.copy;
    send.bytes = event.bytes;
    user = draft.copy * classes_.front().members + event.user;
  } else {
    const Mix& mix = mixes_[draft.workload];
    const double share = unit_draw(scenario_.seed, DrawPurpose::send_class, index);
    const auto drawn = std::upper_bound(mix.up_to.begin(), mix.up_to.end() - 1, share);
    const ChannelClass& in =
        classes_[mix.class_index[static_cast<std::size_t>(drawn - mix.up_to.begin())]];
    std::tie(send.channel, user) = draw_sender(in, index, draft.due);
    send.bytes = draw_send_bytes(draft);
  }
  send.client = client_of(user, draw_device(user, index, draft.copy));
  return send;
}

std::uint32_t Plan::draw_send_bytes(const Draft& draft) const {
  return draw_bytes(scenario_.workloads[draft.workload].message_bytes, scenario_.seed,
                    DrawPurpose::send_bytes, draw_index(draft.workload, draft.arrival));
}

std::uint32_t Plan::draw_device(std::uint32_t user, std::uint64_t index, std::uint32_t copy) const {
  const std::uint32_t devices = devices_of(user);
  return devices == 1
             ? 1
             : 1 + draw_below(scenario_.seed, DrawPurpose::send_device, index, devices, copy);
}

std::pair<std::uint32_t, std::uint32_t> Plan::draw_sender(const ChannelClass& in,
                                                          std::uint64_t index, Instant due) const {
  const std::uint64_t seed = scenario_.seed;
  std::pair<std::uint32_t, std::uint32_t> first{};
  for (std::uint32_t attempt = 0; attempt < tries_per_channel * channels_tried; ++attempt) {
    const std::uint32_t channel = in.first + draw_below(seed, DrawPurpose::send_channel, index,
                                                        in.count, attempt / tries_per_channel);
    const std::uint32_t slot =
        draw_below(seed, DrawPurpose::send_member, index, in.members, attempt);
    const std::uint32_t user = member_at(seat_in(in, channel), slot);
    if (attempt == 0) first = {channel, user};
    if (!absent(user, due)) return {channel, user};
  }
  // Nearly everybody is away. One pass over the first channel finds whoever is there; if nobody
  // is, the send waits in its sender's outbox.
  const Seat seat = seat_in(in, first.first);
  for (std::uint32_t slot = 0; slot < in.members; ++slot) {
    const std::uint32_t user = member_at(seat, slot);
    if (!absent(user, due)) return {first.first, user};
  }
  return first;
}

std::uint64_t Plan::trace_sends_before(std::uint32_t copy, Instant at) const {
  if (at >= Instant{duration_}) return trace_sends_.size();
  const Duration offset = copy_offset(copy);
  const auto end = std::partition_point(
      trace_sends_.begin(), trace_sends_.end(),
      [&](const TraceEvent& event) { return Instant{event.at + offset} < at; });
  return static_cast<std::uint64_t>(end - trace_sends_.begin());
}

void Plan::trace_sends(Instant from, Instant until, std::vector<Draft>& out) const {
  for (std::uint32_t copy = 0; copy < classes_.front().count; ++copy) {
    const std::uint64_t end = trace_sends_before(copy, until);
    for (std::uint64_t i = trace_sends_before(copy, from); i < end; ++i) {
      const Instant due{trace_sends_[i].at + copy_offset(copy)};
      out.push_back({std::min(due, Instant{duration_ - Duration{1}}), i, 0, copy});
    }
  }
}

void Plan::sends(std::uint32_t block, std::vector<Send>& out) const {
  const Instant from = block_start(block);
  const Instant until = block_start(block + 1);
  std::vector<Draft> drafts;
  if (is_trace(scenario_)) {
    trace_sends(from, until, drafts);
  } else {
    for (std::uint32_t i = 0; i < scenario_.workloads.size(); ++i) {
      draft_arrivals(i, from, until, drafts);
    }
  }
  std::sort(drafts.begin(), drafts.end());
  std::uint64_t ordinal = sends_before(from);
  out.reserve(out.size() + drafts.size());
  for (const Draft& draft : drafts) {
    out.push_back(complete(draft));
    out.back().ordinal = ordinal++;
  }
}

std::uint64_t Plan::fingerprint() const {
  std::uint64_t hash = combine64(users_, clients_);
  std::vector<Absence> away;
  std::vector<std::uint32_t> channels;
  for (std::uint32_t user = 0; user < users_; ++user) {
    away.clear();
    channels.clear();
    absences(user, away);
    channels_of(user, channels);
    hash = combine64(hash, devices_of(user));
    for (const Absence& absence : away) {
      hash = combine64(hash, static_cast<std::uint64_t>(to_ns(absence.from)));
      hash = combine64(hash, static_cast<std::uint64_t>(to_ns(absence.until)));
    }
    for (const std::uint32_t channel : channels) hash = combine64(hash, channel);
  }
  for (std::uint32_t fault = 0; fault < fault_orders_.size(); ++fault) {
    for (std::uint32_t client = 0; client < clients_; ++client) {
      hash = combine64(hash, hits(fault, client) ? 1 : 0);
    }
  }
  for (std::uint32_t channel = 0; channel < channels_; ++channel) {
    hash = combine64(hash, (std::uint64_t{members_in(channel)} << 32U) | prefill_in(channel));
  }
  std::vector<Send> block;
  for (std::uint32_t i = 0; i < send_blocks(); ++i) {
    block.clear();
    sends(i, block);
    for (const Send& send : block) {
      hash = combine64(hash, static_cast<std::uint64_t>(to_ns(send.due)));
      hash = combine64(hash, (std::uint64_t{send.client} << 32U) | send.channel);
      hash = combine64(hash, send.bytes);
      hash = combine64(
          hash, (std::uint64_t{send.mentioned} << 32U) | static_cast<std::uint64_t>(send.kind));
      hash = combine64(hash, send.pair);
    }
  }
  return hash;
}

}  // namespace clamor::scenario
