#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace clamor::report {

/// Shows how a long job goes: one line redrawn with a bar on a terminal; elsewhere plain lines, at
/// a change of stage and every five seconds. Results go to stdout, this to stderr.
class ProgressLine {
 public:
  /// Bars where `out` is a terminal, unless `plain`.
  explicit ProgressLine(std::FILE* out, bool plain = false);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

  /// Shows `stage` with `details`; `fraction` in [0, 1] is how much of it is done, negative when
  /// that is not known.
  void show(std::string_view stage, double fraction, std::string_view details);
  /// Prints a line that stays.
  void print(std::string_view line);

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* out_;
  bool terminal_;
  bool drawn_ = false;  ///< A bar stands on the current line.
  std::string stage_;
  Clock::time_point last_{};
};

}  // namespace clamor::report
