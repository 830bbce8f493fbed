#include "scenarios/model/plan.hpp"
#include "sim/world/world.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace clamor::sim {

/// Deliberate errors: a wait that nobody waited, an input that nobody sent, a time that is lost.
struct WorldPeer {
  static void add_wait(World& world) { ++world.nodes_[0].waited_ns; }
  static void add_input(World& world) { ++world.arrived_; }
  static void add_commit_time(World& world) { ++world.nodes_[0].committer_sojourn_ns; }
  static void add_queue_time(World& world) { ++world.nodes_[0].writer_sojourn_ns; }
  static void add_delivery(World& world) { ++world.delivered_by_class_[0]; }
};

namespace {

scenario::Scenario talkative_pairs() {
  scenario::Scenario scenario;
  scenario.name = "talkative-pairs";
  scenario.seed = 7;
  scenario.population.users = 40;
  scenario.population.contacts = 2;
  scenario.deployment = {.cores = 1, .clients_per_server = 1000};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 20;
  chat.duration = std::chrono::seconds{2};
  chat.mix = {{"direct", 1.0}};
  scenario.workloads = {chat};
  return scenario;
}

TEST(World, ABrokenInvariantEndsTheRunWithSeedVirtualTimeAndTheLastEvents) {
  const std::vector<std::pair<void (*)(World&), std::string>> errors{
      {WorldPeer::add_wait, "integral of a node's queue = sum of waits"},
      {WorldPeer::add_input, "inputs that arrived at nodes = inputs taken by turns"},
      {WorldPeer::add_commit_time, "integral of a committer's backlog"},
      {WorldPeer::add_queue_time, "integral of a queue writer's backlog"},
      {WorldPeer::add_delivery, "deliveries expected = delivered in direct"}};
  const scenario::Plan plan{talkative_pairs()};
  const Topology topology{plan};
  for (const auto& [make_error, law] : errors) {
    SCOPED_TRACE(law);
    WorldSettings settings;
    settings.design = {QueueDesign::per_user};
    settings.costs.commit_batch_ns = 1000;
    World world{topology, settings};
    make_error(world);
    try {
      world.run();
      ADD_FAILURE() << "the run ended as if nothing were wrong";
    } catch (const InvariantBroken& error) {
      const std::string what = error.what();
      for (const std::string& part : {law, std::string{"seed 7,"}, std::string{"virtual time "},
                                      std::string{"the last ones (time ns, kind, index):\n  "}}) {
        EXPECT_NE(what.find(part), std::string::npos) << part << " in " << what;
      }
    }
  }
}

}  // namespace
}  // namespace clamor::sim
