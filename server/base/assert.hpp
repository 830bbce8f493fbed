#pragma once

#include <cstdio>
#include <cstdlib>

namespace clamor {

/// Prints the broken invariant and ends the process: a bug must not become a wrong figure.
[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
  std::abort();
}

}  // namespace clamor

/// Checks an invariant in every build, release included. For bugs only, never for bad input.
#define CLAMOR_ASSERT(condition)                       \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::clamor::assertion_failed(#condition, __FILE__, __LINE__))
