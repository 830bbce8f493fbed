#pragma once

namespace clamor::report {

/// What SIGINT (Ctrl-C), SIGTERM and SIGHUP do, for the whole process; call from one thread.
/// From now on the first one is noted, so that the run ends early and what it did is reported; a
/// second one of the same kind ends the program.
void note_interrupts();
/// Whether one was noted.
[[nodiscard]] bool interrupted();

}  // namespace clamor::report
