#include "reports/render/progress.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace clamor::report {
namespace {

constexpr std::chrono::seconds plain_interval{5};
constexpr std::chrono::milliseconds bar_interval{200};
constexpr int bar_width = 20;

std::string bar(double fraction) {
  const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * bar_width + 0.5);
  std::string text = "[";
  for (int i = 0; i < bar_width; ++i) text += i < full ? '=' : i == full ? '>' : ' ';
  return text + "]";
}

}  // namespace

ProgressLine::ProgressLine(std::FILE* out, bool plain)
    : out_{out}, terminal_{!plain && isatty(fileno(out)) == 1} {}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fputs("\r\033[K", out_);
}

void ProgressLine::show(std::string_view stage, double fraction, std::string_view details) {
  const auto now = Clock::now();
  const bool new_stage = stage != stage_;
  const Clock::duration interval = terminal_ ? Clock::duration{bar_interval} : plain_interval;
  if (!new_stage && now - last_ < interval) return;
  stage_ = stage;
  last_ = now;
  const std::string text = fmt::format("{}  {}", stage, details);
  if (terminal_) {
    const std::string done = fraction < 0 ? "" : bar(fraction) + " ";
    std::fputs(fmt::format("\r\033[K{}{}", done, text).c_str(), out_);
    drawn_ = true;
  } else {
    std::fputs((text + "\n").c_str(), out_);
  }
  std::fflush(out_);
}

void ProgressLine::print(std::string_view line) {
  std::fputs(fmt::format("{}{}\n", drawn_ ? "\r\033[K" : "", line).c_str(), out_);
  std::fflush(out_);
  drawn_ = false;
  stage_.clear();
}

}  // namespace clamor::report
