#include "reports/render/interrupt.hpp"

#include "reports/model/thresholds.hpp"

#include <atomic>
#include <csignal>
#include <string_view>
#include <unistd.h>

namespace clamor::report {
namespace {

std::atomic<bool> noted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler may touch it

void handle_with(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace

void end_on_interrupt() {
  handle_with([](int) {
    constexpr std::string_view text = "\nclamor: interrupted before there was anything to report\n";
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) {
      // nobody reads it; the exit code says the same
    }
    _exit(exit_code_of(Verdict::interrupted));
  });
}

void note_interrupts() {
  handle_with([](int) { noted = true; });
}

bool interrupted() { return noted; }

}  // namespace clamor::report
