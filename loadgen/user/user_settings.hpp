#pragma once

#include "loadgen/user/virtual_user.hpp"
#include "scenarios/model/scenario.hpp"

namespace clamor::loadgen {

/// Reads off a scenario how its virtual users behave, live and simulated alike.
[[nodiscard]] inline UserSettings user_settings(const scenario::Scenario& scenario) {
  UserSettings settings;
  settings.seed = scenario.seed;
  settings.reconnect = {
      .base = scenario.reconnect.base,
      .cap = scenario.reconnect.cap,
      .jitter = scenario.reconnect.full_jitter ? core::Jitter::full : core::Jitter::none};
  settings.heartbeat_interval = scenario.heartbeat.interval;
  return settings;
}

}  // namespace clamor::loadgen
