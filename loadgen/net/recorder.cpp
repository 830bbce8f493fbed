#include "loadgen/net/recorder.hpp"

#include <algorithm>

namespace clamor::loadgen {

void IntervalRecord::merge(const IntervalRecord& other) {
  connected += other.connected;
  sent += other.sent;
  acknowledged += other.acknowledged;
  delivered += other.delivered;
  delivery.merge(other.delivery);
  lag.merge(other.lag);
  turn_max_ns = std::max(turn_max_ns, other.turn_max_ns);
}

bool IntervalRecord::marked() const {
  return lag.quantile(0.99) > static_cast<std::uint64_t>(to_ns(lag_bound)) ||
         turn_max_ns > static_cast<std::uint64_t>(to_ns(turn_bound));
}

void Recording::merge(const Recording& other) {
  if (by_class.size() < other.by_class.size()) by_class.resize(other.by_class.size());
  for (std::size_t c = 0; c < other.by_class.size(); ++c) {
    for (std::size_t p = 0; p < delivery_path_names.size(); ++p) {
      by_class[c].delivery[p].merge(other.by_class[c].delivery[p]);
      by_class[c].service[p].merge(other.by_class[c].service[p]);
    }
    by_class[c].ack.merge(other.by_class[c].ack);
  }
  catch_up.merge(other.catch_up);
  recovery.merge(other.recovery);
  connect.merge(other.connect);
  offline_notice.merge(other.offline_notice);
  presence_notices += other.presence_notices;
  lag.merge(other.lag);
  turn.merge(other.turn);
}

}  // namespace clamor::loadgen
