#pragma once

#include "server/base/operations.hpp"

#include <string>
#include <vector>

namespace clamor::parity {

/// The counters that differ and are not physical, one line each.
inline std::vector<std::string> differences(const Operations& a, const Operations& b) {
  std::vector<std::string> out;
  for (const OperationCounter& counter : operation_counters) {
    if (counter.counter_class == CounterClass::physical) continue;
    if (a.*counter.member == b.*counter.member) continue;
    out.push_back(std::string{counter.name} + ": " + std::to_string(a.*counter.member) +
                  " != " + std::to_string(b.*counter.member));
  }
  return out;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace clamor::parity
