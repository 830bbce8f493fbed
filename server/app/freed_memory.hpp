#pragma once

#include <cstddef>
#include <cstdint>

namespace clamor::server {

/// Gives what bursts have freed back to the system in quiet seconds; the allocator would keep it.
/// A storm of logins or a busy hour leaves a process as large as it was at its worst otherwise.
class FreedMemory {
 public:
  /// Call once a second; `turns` since the start tell whether it was a quiet one. A look takes
  /// microseconds, giving back a millisecond per some ten MiB.
  void tick(std::uint64_t turns);

 private:
  std::uint64_t turns_ = 0;
  std::size_t known_free_ = 0;  ///< Of what is free now, so much was given back.
};

}  // namespace clamor::server
