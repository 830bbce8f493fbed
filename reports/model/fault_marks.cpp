#include "reports/model/fault_marks.hpp"

#include "server/base/time.hpp"

#include <cmath>

namespace clamor::report {

using scenario::Fault;

std::vector<std::pair<double, std::string>> fault_marks(const scenario::Scenario& scenario) {
  std::vector<std::pair<double, std::string>> marks;
  for (const Fault& fault : scenario.faults) {
    const std::string share = std::to_string(std::lround(fault.share * 100)) + " % of the ";
    if (fault.kind == Fault::Kind::kill) {
      marks.emplace_back(to_seconds(fault.at), "kill " + share + "servers");
      marks.emplace_back(to_seconds(fault.at + fault.restart_after), "start them again");
      continue;
    }
    const char* const mode = fault.mode == Fault::Mode::reset ? "reset" : "close";
    marks.emplace_back(to_seconds(fault.at), "disconnect " + share + "clients (" + mode + ")");
  }
  return marks;
}

}  // namespace clamor::report
