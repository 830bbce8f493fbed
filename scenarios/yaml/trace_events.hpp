#pragma once

#include "scenarios/model/scenario.hpp"
#include "scenarios/yaml/config_error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace clamor::scenario {

/// A trace's events in the trace's own time, beside a scenario as a CSV file:
///
///   seconds,user,event,bytes,mentions
///   0.000000000,0,online,,          every user once, at 0: online or offline when it begins
///   12.500000000,0,send,45,3 7      then what happened, ascending in time: send, connect,
///   13.000000000,0,disconnect,,     disconnect; mentions are users
struct TraceFile {
  std::uint32_t users = 0;
  std::vector<std::uint32_t> connected;  ///< Users online at the beginning.
  std::vector<TraceEvent> events;
};

/// Reads an events file, or gives its faults (at most ten) as `file:line:column: message`.
[[nodiscard]] Parsed<TraceFile> read_trace_file(const std::string& path);

/// The text of an events file; read_trace_file gives the same events back.
[[nodiscard]] std::string write_trace_file(const TraceFile& trace);

}  // namespace clamor::scenario
