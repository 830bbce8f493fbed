#include "scenarios/app/starting_scenario.hpp"

#include "scenarios/yaml/values.hpp"

namespace clamor::scenario {

std::string starting_scenario(const std::string& name) {
  return "# A chat system's users, their traffic and what goes wrong. One file drives\n"
         "#   clamor load    real connections against a real server\n"
         "#   clamor sim     the server's own code in virtual time, at `simulate.scale` times the "
         "users\n"
         "#   clamor compare both, for every design, in one report\n"
         "name: " +
         quoted_yaml(name) + R"(
description: What this scenario is to find out.
seed: 1                                    # the same seed gives the same users, sends and faults

population:
  users: 500
  devices: {1: 0.9, 2: 0.1}                # share of the users with that many devices
  contacts: 5                              # one-to-one channels a user, called `direct` below
  typing: 0s                               # a typing notice so long before each text; 0s: none
  away:                                    # planned absences, by share of the users
    - {share: 0.1, once: 10s, within: 5s}  # leave once, at a drawn time in the first 5 s, for 10 s
    - {share: 0.1, for: 3s, every: 8s}     # come and go
  presence: {subscribe: 0}                 # so many direct partners each session hears come and go

groups:                                    # classes of groups: so many, of so many members
  - {name: team,     count: 50, members: 20}
  - {name: everyone, count: 1,  members: 400, online: 0.5}  # half of them never connect

deployment: {cores: 1, clients_per_server: 20000, memory_mib: 192}   # memory: of a server's store
designs: [per_user, per_group]             # also: per_member, {hybrid: {threshold: 500}}, adaptive
durability: os                             # fsync: acknowledge only what is on the disk
ack_after: log                             # fanout: also only what is in the sync queues
payload: reference                         # copy: queue entries carry the message, no look-up later

scenarios:
  chat:
    executor: constant-arrival-rate        # open loop: messages come whether or not the last did
    rate: 50                               # messages a timeUnit, over all users
    timeUnit: 1s
    duration: 20s
    arrivals: poisson                      # or even
    mix: {direct: 0.5, team: 0.45, everyone: 0.05}           # where they go; sums to 1
    message_bytes: {lognormal: {median: 80, p99: 900}}       # or one number
    kinds: {message: 1}                    # also: reply, reaction, edit, deletion; sums to 1
    mentions: 0                            # share of messages that mention another member

prefill: {messages: 0}                     # history before the window; scales with the users

heartbeat: {interval: 5s, offline_after: 30s, offline_delay: 5s}
reconnect: {base: 500ms, cap: 5s, jitter: full}

faults:
  - {at: 10s, kind: disconnect, target: clients, share: 0.3, mode: reset}   # mode: reset or close
  - {at: 15s, kind: kill, target: servers, share: 0.1, restart_after: 3s}   # at least one server

simulate: {scale: 100}                     # a simulated run has 100 times the users and groups

thresholds:                                # k6's syntax; latencies in milliseconds
  delivery_latency: ['p(99)<250', 'avg<100']
  delivery_latency{group:everyone}: ['p(99)<500']
  # lost, duplicated, reordered, replaced: count==0 is demanded of every run
)";
}

}  // namespace clamor::scenario
