#include "server/bus/outgoing.hpp"

#include "server/base/assert.hpp"

#include <utility>

namespace clamor::bus {
namespace {

constexpr std::size_t kept_bytes = std::size_t{4} << 20U;

}  // namespace

void Outgoing::append(std::vector<std::byte>& bytes) {
  if (bytes_.empty()) {
    std::swap(bytes_, bytes);
  } else {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  release(bytes);
}

void Outgoing::pop(std::size_t count) {
  written_ += count;
  CLAMOR_ASSERT(written_ <= bytes_.size());
  if (written_ == bytes_.size()) {
    release(bytes_);
    written_ = 0;
  } else if (written_ > bytes_.size() / 2) {
    // Not more is moved than was written since the last time.
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
  }
}

void release(std::vector<std::byte>& buffer) {
  if (buffer.capacity() > kept_bytes) {
    buffer = std::vector<std::byte>{};  // `= {}` would keep the memory.
  } else {
    buffer.clear();
  }
}

}  // namespace clamor::bus
