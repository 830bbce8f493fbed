#include "server/core/device_positions.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace clamor::core {
namespace {

bool before(const HeldUpTo& a, const HeldUpTo& b) { return a.channel < b.channel; }

DevicePositions::Device* device_of(DevicePositions::Devices& devices, DeviceId id) {
  const auto found = std::find_if(devices.begin(), devices.end(),
                                  [id](const auto& device) { return device.id == id; });
  return found == devices.end() ? nullptr : &*found;
}

void raise(CompactVector<HeldUpTo>& holds, const HeldUpTo& to) {
  const auto place = std::lower_bound(holds.begin(), holds.end(), to, before);
  if (place == holds.end() || place->channel != to.channel) {
    holds.insert(place, to);
  } else {
    place->id = std::max(place->id, to.id);
  }
}

}  // namespace

void DevicePositions::take(const DeviceReport& report) {
  Devices& devices = users_[report.user];
  Device* device = device_of(devices, report.device);
  if (device == nullptr) {
    devices.push_back(Device{.id = report.device, .holds = {}});
    device = &devices.back();
  }
  device->seen_s = std::max(device->seen_s, report.at_s);
  if (device->noted_s == 0 || device->seen_s - device->noted_s >= resolution_s_) {
    device->noted_s = device->seen_s;
    due_.push_back({report.user, report.device, device->seen_s});
  }
  if (report.login) {
    device->holds = report.holds;
    return;
  }
  for (const HeldUpTo& held : report.holds) raise(device->holds, held);
}

void DevicePositions::remember(UserId user, DeviceId device, std::int64_t seen_s) {
  users_[user].push_back({.id = device, .seen_s = seen_s, .noted_s = seen_s, .holds = {}});
}

const DevicePositions::Devices* DevicePositions::find(UserId user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? nullptr : &found->second;
}

MessageId DevicePositions::least(const Devices& devices, ChannelId channel) {
  MessageId least{std::numeric_limits<std::uint64_t>::max()};
  for (const Device& device : devices) {
    const auto place =
        std::lower_bound(device.holds.begin(), device.holds.end(), HeldUpTo{channel, {}}, before);
    if (place == device.holds.end() || place->channel != channel) return {};
    least = std::min(least, place->id);
  }
  return devices.empty() ? MessageId{} : least;
}

std::vector<DeviceId> DevicePositions::expire(UserId user, std::int64_t now_s,
                                              std::int64_t silence_s) {
  std::vector<DeviceId> expired;
  const auto found = users_.find(user);
  if (found == users_.end()) return expired;
  erase_if(found->second, [&](const Device& device) {
    if (now_s - device.seen_s <= silence_s) return false;
    expired.push_back(device.id);
    return true;
  });
  if (found->second.empty()) users_.erase(found);
  return expired;
}

std::vector<DevicePositions::Note> DevicePositions::take_due_notes() {
  std::vector<Note> notes = std::exchange(due_, {});
  // A device that has expired since must not be noted again.
  std::erase_if(notes, [&](const Note& note) {
    const auto found = users_.find(note.user);
    return found == users_.end() || device_of(found->second, note.device) == nullptr;
  });
  return notes;
}

void DevicePositions::forget_notes() {
  due_.clear();
  for (const auto& [user, devices] : users_) {
    for (const Device& device : devices) due_.push_back({user, device.id, device.seen_s});
  }
}

}  // namespace clamor::core
