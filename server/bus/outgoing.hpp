#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace clamor::bus {

/// Bytes on their way into a socket, that takes them as it has room: appended behind, written from
/// the front. Holds at most twice what waits, and a few MiB once nothing does.
class Outgoing {
 public:
  /// Takes the bytes, and leaves `bytes` empty. O(their number), amortised.
  void append(std::vector<std::byte>& bytes);
  /// What is to be written next; valid until the next call.
  [[nodiscard]] std::span<const std::byte> waiting() const {
    return std::span{bytes_}.subspan(written_);
  }
  /// The first `count` of those that wait were written.
  void pop(std::size_t count);
  /// Bytes of memory.
  [[nodiscard]] std::size_t held_bytes() const { return bytes_.capacity(); }

 private:
  std::vector<std::byte> bytes_;
  std::size_t written_ = 0;  ///< Of `bytes_`.
};

/// Empties a buffer; gives its memory back where a burst has made it large.
void release(std::vector<std::byte>& buffer);

}  // namespace clamor::bus
