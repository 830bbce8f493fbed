#include "server/gateway/frame.hpp"

#include "server/base/assert.hpp"

#include <algorithm>
#include <limits>
#include <new>

namespace clamor::gateway {

SharedFrame Frame::make(protocol::Opcode opcode, std::span<const std::byte> payload) {
  const protocol::FrameHeader header = protocol::server_header(opcode, payload.size());
  const std::size_t size = header.size + payload.size();
  CLAMOR_ASSERT(size <= std::numeric_limits<std::uint32_t>::max());
  void* const memory = ::operator new(sizeof(Frame) + size);
  auto* const frame = new (memory) Frame{static_cast<std::uint32_t>(size)};
  auto* const bytes = reinterpret_cast<std::byte*>(frame + 1);
  std::copy_n(header.bytes.begin(), header.size, bytes);
  std::copy(payload.begin(), payload.end(), bytes + header.size);
  return SharedFrame{frame};
}

void Frame::destroy(const Frame* frame) noexcept {
  frame->~Frame();
  ::operator delete(const_cast<Frame*>(frame));
}

}  // namespace clamor::gateway
