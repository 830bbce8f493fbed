#pragma once

namespace clamor::loadgen {

/// Runs one worker process: takes orders from the coordinator on `control_fd`, stage by stage, and
/// returns the exit code. A coordinator that is gone ends it.
[[nodiscard]] int run_worker(int control_fd);

}  // namespace clamor::loadgen
