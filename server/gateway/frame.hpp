#pragma once

#include "server/protocol/websocket_frame.hpp"

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace clamor::gateway {

/// An encoded WebSocket message, header included: one allocation, encoded once, shared by all who
/// get it. Counts its owners without locks: belongs to one I/O thread.
class Frame {
 public:
  /// Makes one unmasked message or control frame. O(bytes).
  [[nodiscard]] static boost::intrusive_ptr<const Frame> make(protocol::Opcode opcode,
                                                              std::span<const std::byte> payload);

  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {reinterpret_cast<const std::byte*>(this + 1), size_};
  }
  [[nodiscard]] std::uint32_t owners() const { return owners_; }
  /// Whether it belongs to a message, and is no control frame.
  [[nodiscard]] bool is_data() const {
    return (static_cast<unsigned>(bytes().front()) & 0x08U) == 0;
  }

 private:
  explicit Frame(std::uint32_t size) : size_{size} {}
  ~Frame() = default;
  friend void intrusive_ptr_add_ref(const Frame* frame) noexcept { ++frame->owners_; }
  friend void intrusive_ptr_release(const Frame* frame) noexcept {
    if (--frame->owners_ == 0) destroy(frame);
  }
  static void destroy(const Frame* frame) noexcept;

  mutable std::uint32_t owners_ = 0;
  std::uint32_t size_;
};

using SharedFrame = boost::intrusive_ptr<const Frame>;

}  // namespace clamor::gateway
