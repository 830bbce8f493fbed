#include "server/app/tail.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

std::size_t bytes_of(const core::Record& record) { return sizeof(record) + record.body_bytes; }

}  // namespace

void Tail::add(ChannelIndex channel, std::shared_ptr<const store::Commit> commit, std::size_t i,
               Instant now) {
  if (channel >= last_.size()) last_.resize(std::max<std::size_t>(channel + 1, last_.size() * 2));
  bytes_ += bytes_of(commit->batch.record(i));
  const std::uint64_t number = first_ + entries_.size();
  entries_.push_back({std::move(commit), static_cast<std::uint32_t>(i), false,
                      std::exchange(last_[channel], number), now});
}

void Tail::expire(Instant now) {
  while (!entries_.empty() &&
         (now - entries_.front().at > settings_.age || bytes_ > settings_.bytes_max)) {
    bytes_ -= bytes_of(entries_.front().commit->batch.record(entries_.front().index));
    entries_.pop_front();
    ++first_;
  }
}

void Tail::redact(ChannelIndex channel, MessageId id) {
  // Beyond records_per_channel nothing is read.
  std::uint64_t number = last_of(channel);
  for (std::size_t steps = 0; steps < settings_.records_per_channel; ++steps) {
    if (number < first_) return;
    Entry& found = entries_[number - first_];
    if (found.commit->batch.record(found.index).id == id) found.redacted = true;
    number = found.previous;
  }
}

void Tail::clear() {
  first_ += entries_.size();
  entries_.clear();
  last_.clear();
  bytes_ = 0;
}

const Tail::Entry* Tail::entry(std::uint64_t number) const {
  return number < first_ ? nullptr : &entries_[number - first_];
}

bool Tail::read(ChannelIndex channel, MessageId after, MessageId up_to,
                std::vector<store::SharedRecord>& out) const {
  out.clear();
  std::uint64_t number = last_of(channel);
  MessageId lowest = up_to + 1;
  for (std::size_t steps = 0; lowest > after + 1 && steps < settings_.records_per_channel;
       ++steps) {
    const Entry* const found = entry(number);
    if (found == nullptr) return false;
    number = found->previous;
    const MessageId id = found->commit->batch.record(found->index).id;
    if (id > up_to) continue;
    if (id + 1 != lowest || found->redacted) return false;
    lowest = id;
    out.push_back({found->commit, found->index});
  }
  std::reverse(out.begin(), out.end());
  return lowest <= after + 1;
}

}  // namespace clamor::server
