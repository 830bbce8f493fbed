#include "reports/render/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace clamor::report {
namespace {

std::atomic<bool> noted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler may touch it

}  // namespace

void note_interrupts() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = [](int) { noted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

bool interrupted() { return noted; }

}  // namespace clamor::report
