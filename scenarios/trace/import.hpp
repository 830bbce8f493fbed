#pragma once

#include "scenarios/yaml/trace_events.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace clamor::scenario {

/// What an import found, for the user.
struct TraceFacts {
  std::uint32_t users = 0;
  std::uint32_t messages = 0;
  std::uint32_t mentions = 0;
  std::uint32_t sessions = 0;          ///< Connected at the beginning, or by a connect.
  std::uint32_t joins = 0;             ///< Lines.
  std::uint32_t leaves = 0;            ///< Lines.
  std::uint32_t renames = 0;           ///< Lines.
  std::uint32_t reconnects = 0;        ///< Joins of somebody connected.
  std::uint32_t implied_connects = 0;  ///< Somebody spoke after leaving, without joining.
  std::uint32_t ignored_leaves = 0;    ///< Of somebody already gone.
  std::uint32_t shortened = 0;         ///< Messages beyond message_bytes_max, cut to it.
  std::uint32_t out_of_order = 0;      ///< Stamps before the one above, read as that one.
  Duration span{};                     ///< From the first event to the last.
  std::map<std::string, int> other_lines;
  int lines = 0;
};

struct ImportedTrace {
  TraceFile trace;  ///< In the log's own time, from 0.
  TraceFacts facts;
};

/// Turns a channel's log into events. Members are everybody who did anything; nicks that renames
/// link are one user. A join or leave is a session's connect or disconnect; who never joins is
/// connected throughout, who first appears leaving was connected before; a join while connected
/// reconnects. Events of one stamp are spread evenly over the minute or second that it means.
/// Faults: no format known, or no message in it.
[[nodiscard]] Parsed<ImportedTrace> import_chat_log(std::string_view text, const std::string& file);

/// How a trace is replayed.
struct Replay {
  double speed = 1;  ///< How many times faster than it was.
  Duration duration{};
};

/// Replays the whole trace within `duration`.
[[nodiscard]] Replay compressed_to(Duration duration, const ImportedTrace& trace);
/// Replays it `speed` times faster.
[[nodiscard]] Replay at_speed(double speed, const ImportedTrace& trace);

/// A scenario that replays the events file, as a user would write it.
[[nodiscard]] std::string replay_scenario(const std::string& name, const std::string& source,
                                          const std::string& events_file, const Replay& replay,
                                          std::uint32_t copies, const ImportedTrace& trace);

}  // namespace clamor::scenario
