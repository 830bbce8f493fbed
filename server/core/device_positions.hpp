#pragma once

#include "server/base/compact_vector.hpp"
#include "server/base/id.hpp"

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace clamor::core {

/// A device holds every id of the channel up to here, or they are not its.
struct HeldUpTo {
  ChannelId channel;
  MessageId id;
  auto operator<=>(const HeldUpTo&) const = default;
};

/// What a device says of itself: at its login all it holds, later what has moved, at its end that
/// it was there.
struct DeviceReport {
  UserId user;
  DeviceId device;
  bool login = false;
  std::int64_t at_s = 0;        ///< Unix time, by the clock of whoever keeps the queues.
  std::vector<HeldUpTo> holds;  ///< By channel.
};

/// What the devices of users hold, as each said last. The least of a user's live devices is what
/// the user's queues need not keep. Not thread-safe.
///
/// A device is live from its first report until it expires. One that is only known from before a
/// restart holds nothing until it logs in: then its positions come with the login.
class DevicePositions {
 public:
  struct Device {
    DeviceId id;
    std::int64_t seen_s = 0;
    std::int64_t noted_s = 0;       ///< What outlives a restart of seen_s; 0: not even the device.
    CompactVector<HeldUpTo> holds;  ///< By channel; a channel that is missing: nothing of it.
  };
  using Devices = CompactVector<Device>;

  /// `resolution_s`: seen_s is noted anew once it has moved by so much.
  explicit DevicePositions(std::int64_t resolution_s) : resolution_s_{resolution_s} {}

  /// Takes a report. O(devices of the user + channels); a first one of a channel costs more.
  void take(const DeviceReport& report);
  /// Enters a device that was known before a restart.
  void remember(UserId user, DeviceId device, std::int64_t seen_s);

  /// The user's live devices, or nullptr where there is none. Valid until the next change.
  [[nodiscard]] const Devices* find(UserId user) const;
  /// Up to which id all the devices hold the channel. O(devices · log channels).
  [[nodiscard]] static MessageId least(const Devices& devices, ChannelId channel);
  /// Removes and returns the user's devices that were silent for longer than `silence_s`.
  [[nodiscard]] std::vector<DeviceId> expire(UserId user, std::int64_t now_s,
                                             std::int64_t silence_s);

  struct Note {
    UserId user;
    DeviceId device;
    std::int64_t seen_s = 0;
  };
  /// Devices whose notes are missing or old; they count as noted from now on.
  [[nodiscard]] std::vector<Note> take_due_notes();
  /// What was taken may be lost: all devices are due again.
  void forget_notes();

 private:
  std::int64_t resolution_s_;
  std::unordered_map<UserId, Devices> users_;
  std::vector<Note> due_;  ///< May name devices twice, or gone ones.
};

}  // namespace clamor::core
