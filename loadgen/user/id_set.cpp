#include "loadgen/user/id_set.hpp"

#include <algorithm>

namespace clamor::loadgen {
namespace {

/// First range that ends at or after `id`.
template <class Ranges>
auto reaching(Ranges& ranges, MessageId id) {
  return std::lower_bound(ranges.begin(), ranges.end(), id,
                          [](const IdRange& range, MessageId at) { return range.last < at; });
}

}  // namespace

void IdSet::insert(MessageId first, MessageId last) {
  if (last < first) return;
  auto at = reaching(ranges_, first.value == 0 ? first : first - 1);  // adjacent ones merge
  auto end = at;
  IdRange merged{first, last};
  for (; end != ranges_.end() && end->first <= last + 1; ++end) {
    merged.first = std::min(merged.first, end->first);
    merged.last = std::max(merged.last, end->last);
  }
  if (at == end) {
    ranges_.insert(at, merged);
  } else {
    *at = merged;
    ranges_.erase(at + 1, end);
  }
}

bool IdSet::erase(MessageId id) {
  const auto at = reaching(ranges_, id);
  if (at == ranges_.end() || id < at->first) return false;
  if (at->first == at->last) {
    ranges_.erase(at);
  } else if (id == at->first) {
    ++at->first;
  } else if (id == at->last) {
    at->last = id - 1;
  } else {
    const IdRange upper{id + 1, at->last};
    at->last = id - 1;
    ranges_.insert(at + 1, upper);
  }
  return true;
}

bool IdSet::contains(MessageId id) const {
  const auto at = reaching(ranges_, id);
  return at != ranges_.end() && at->first <= id;
}

std::uint64_t IdSet::count() const {
  std::uint64_t ids = 0;
  for (const IdRange& range : ranges_) ids += range.last - range.first + 1;
  return ids;
}

}  // namespace clamor::loadgen
