#include "scenarios/model/metric.hpp"

#include "server/base/ledger_totals.hpp"
#include "server/base/operations.hpp"

namespace clamor::scenario {

const std::vector<MetricInfo>& threshold_metrics() {
  static const std::vector<MetricInfo> metrics = [] {
    std::vector<MetricInfo> all;
    for (const char* name : latency_metrics) all.push_back({name, MetricKind::latency});
    for (const LedgerCounter& counter : ledger_counters) {
      all.push_back({std::string{counter.name}, MetricKind::counter});
    }
    for (const OperationCounter& counter : operation_counters) {
      all.push_back({std::string{counter.name}, MetricKind::counter});
    }
    all.push_back({"reach", MetricKind::share});
    all.push_back({"sessions_opened", MetricKind::share});
    return all;
  }();
  return metrics;
}

}  // namespace clamor::scenario
