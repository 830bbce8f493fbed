#pragma once

#include "loadgen/net/descriptor.hpp"
#include "loadgen/net/recorder.hpp"

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>

namespace clamor::loadgen {

/// One end of the stream between coordinator and worker: JSON messages, each behind its length in
/// four bytes. Both ends are this program, so a message that does not parse is a bug and throws.
class ControlChannel {
 public:
  explicit ControlChannel(Descriptor fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Blocks until it is written. False where the other end is gone.
  bool send(const nlohmann::json& message);
  /// The next message if one has arrived whole; reads what there is, never blocks.
  [[nodiscard]] std::optional<nlohmann::json> receive();
  /// The other end is gone, and every message was taken.
  [[nodiscard]] bool closed() const { return closed_; }

  /// Two connected ends. Throws std::system_error.
  [[nodiscard]] static std::pair<Descriptor, Descriptor> make_pair();

 private:
  Descriptor fd_;
  std::string in_;
  bool closed_ = false;
};

[[nodiscard]] nlohmann::json to_json(const IntervalRecord& interval);
[[nodiscard]] IntervalRecord interval_from(const nlohmann::json& message);

}  // namespace clamor::loadgen
