#pragma once

#include "loadgen/user/virtual_user.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/core/limits.hpp"

namespace clamor::loadgen {

static_assert(scenario::presence_subscribe_max <= core::presence_subscriptions_max);

/// Reads off a scenario how its virtual users behave, live and simulated alike.
[[nodiscard]] inline UserSettings user_settings(const scenario::Scenario& scenario) {
  UserSettings settings;
  settings.seed = scenario.seed;
  settings.reconnect = {
      .base = scenario.reconnect.base,
      .cap = scenario.reconnect.cap,
      .jitter = scenario.reconnect.full_jitter ? core::Jitter::full : core::Jitter::none};
  settings.heartbeat_interval = scenario.heartbeat.interval;
  settings.presence_partners = scenario.population.presence_subscribe;
  settings.sends_about = scenario::sends_about(scenario);
  return settings;
}

}  // namespace clamor::loadgen
