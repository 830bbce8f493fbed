#include "loadgen/app/worker.hpp"

#include "loadgen/app/control.hpp"
#include "loadgen/app/part_file.hpp"
#include "loadgen/net/swarm.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "server/host/clock.hpp"
#include "server/token/token.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <sys/resource.h>
#include <utility>

namespace clamor::loadgen {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr Duration turn_max = 50ms;  // stage ends are looked at that often at least
constexpr Duration step_look = 1ms;  // a run in steps waits for little else
constexpr std::chrono::hours token_life{24 * 30};

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// One worker: the swarm, and the coordinator's orders.
class Worker {
 public:
  explicit Worker(int control_fd) : control_{Descriptor{control_fd}} {}

  int run() {
    const json begin = await_begin();
    if (begin.is_null()) return 0;
    plan_ = std::make_unique<scenario::Plan>(
        scenario::load_scenario(begin.at("scenario").get<std::string>()));
    swarm_ = std::make_unique<Swarm>(options_from(begin), *plan_);
    swarm_->watch(control_.fd(), [this] { take_orders(); });
    say("ready");
    take_orders();  // Those that came with the first word are read already: no event tells of them.
    while (!finished_ && !control_.closed()) {
      swarm_->turn(in_steps() && !told_ ? step_look : turn_max);
      report();
    }
    return 0;
  }

 private:
  enum class Stage {
    none,
    creating,
    filling,
    connecting,
    running,
    stepping,
    resting,
    settling,
    syncing
  };
  static const char* name_of(Stage stage) {
    constexpr std::array names{"none",     "creating", "filling",  "connecting", "running",
                               "stepping", "resting",  "settling", "syncing"};
    return names.at(static_cast<std::size_t>(stage));
  }

  json await_begin() {
    while (!control_.closed()) {
      if (auto message = control_.receive()) return std::move(*message);
      pollfd entry{control_.fd(), POLLIN, 0};
      poll(&entry, 1, -1);
    }
    return {};
  }

  static SwarmOptions options_from(const json& begin) {
    SwarmOptions options;
    std::string error;
    options.targets = parse_targets(begin.at("targets").get<std::string>(), error,
                                    begin.at("authority_file").get<std::string>());
    if (options.targets.empty()) throw std::runtime_error{error};
    options.worker = begin.at("worker");
    options.workers = begin.at("workers");
    options.first_client = begin.at("first_client");
    options.last_client = begin.at("last_client");
    const token::Key key = token::derive_key(begin.at("secret").get<std::string>());
    const auto now = std::chrono::system_clock::now() + token_life;
    const auto expires =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    options.token = [key, expires](UserId user) { return token::mint(key, user, expires); };
    return options;
  }

  void take_orders() {
    while (auto message = control_.receive()) take_order(*message);
  }

  void take_order(const json& order) {
    const auto name = order.at("order").get<std::string>();
    if (name == "create") {
      begin(Stage::creating);
      swarm_->begin_creating();
    } else if (name == "fill") {
      begin(Stage::filling);
      swarm_->begin_filling();
    } else if (name == "filled") {
      starts_ = read_heads(order.at("file").get<std::string>());
      swarm_->end_filling(starts_);
    } else if (name == "connect") {
      begin(Stage::connecting);
      swarm_->begin_connecting();
    } else if (name == "run") {
      begin(Stage::running);
      swarm_->begin_window(instant_from_ns(order.at("zero_ns").get<std::int64_t>()));
      cpu_at_start_ = own_cpu_seconds();
    } else if (name == "step") {
      begin(Stage::stepping);
      swarm_->step_to(instant_from_ns(order.at("until_ns").get<std::int64_t>()));
    } else if (name == "rest") {
      begin(Stage::resting);
      swarm_->begin_resting(read_heads(order.at("file").get<std::string>()));
    } else if (name == "cut") {
      swarm_->cut_window(monotonic_now());
    } else if (name == "settle") {
      end_window();
      begin(Stage::settling);
      swarm_->begin_settling();
    } else if (name == "heads") {
      part_.unsettled = swarm_->unsettled();
      write_heads(order.at("file").get<std::string>(), own_heads());
      say("heads");
    } else if (name == "sync") {
      begin(Stage::syncing);
      swarm_->begin_syncing(read_heads(order.at("file").get<std::string>()));
    } else if (name == "finish") {
      finish(order.at("file").get<std::string>());
    }
  }

  void begin(Stage stage) {
    stage_ = stage;
    told_ = false;
  }

  void end_window() {
    if (part_.cpu_seconds == 0) part_.cpu_seconds = own_cpu_seconds() - cpu_at_start_;
  }

  [[nodiscard]] std::vector<MessageId> own_heads() const {
    std::vector<MessageId> heads = starts_;
    heads.resize(plan_->channels(), MessageId{1});
    for (const Note& note : swarm_->ledger().notes()) {
      heads[note.channel] = std::max(heads[note.channel], MessageId{note.id});
    }
    return heads;
  }

  void finish(const std::string& file) {
    part_.unsynced = stage_ == Stage::syncing ? swarm_->unsynced() : swarm_->clients();
    part_.memory_bytes = swarm_->memory_bytes();
    swarm_->finish();
    part_.totals = swarm_->ledger().totals();
    part_.recording = swarm_->recording();
    part_.findings = swarm_->findings();
    part_.asked = swarm_->asked();
    part_.opened = swarm_->opened();
    write_part(file, part_, swarm_->ledger());
    say("done");
    finished_ = true;
  }

  /// Says what has changed: the end of a stage, an interval, and where things stand once a second.
  void report() {
    if (!swarm_->fatal().empty() && !fatal_told_) {
      fatal_told_ = true;
      control_.send({{"event", "fatal"},
                     {"why", swarm_->fatal()},
                     {"token_refused", swarm_->token_refused()}});
    }
    for (const IntervalRecord& interval : swarm_->take_intervals()) {
      control_.send(to_json(interval));
    }
    const Instant now = monotonic_now();
    if (now >= next_status_) {
      next_status_ = now + 500ms;
      say_status();
    }
    if (told_ || now < next_look_) return;
    next_look_ = now + (in_steps() ? step_look : 20ms);  // looking is O(clients)
    if (!stage_done(now)) return;
    told_ = true;
    if (stage_ == Stage::running) end_window();
    say_status();
    control_.send({{"event", "stage done"}, {"stage", name_of(stage_)}});
  }

  [[nodiscard]] bool in_steps() const {
    return stage_ == Stage::stepping || stage_ == Stage::resting;
  }

  [[nodiscard]] bool stage_done(Instant now) {
    switch (stage_) {
      case Stage::none:
        return false;
      case Stage::creating:
        return swarm_->created();
      case Stage::filling:
        return swarm_->filled();
      case Stage::connecting:
        return swarm_->all_connected();
      case Stage::running:
        return swarm_->window_over(now);
      case Stage::stepping:
        return swarm_->step_taken();
      case Stage::resting:
        return swarm_->at_rest();
      case Stage::settling:
        return swarm_->unsettled() == 0;
      case Stage::syncing:
        return swarm_->synced();
    }
    return false;
  }

  void say_status() {
    control_.send({{"event", "status"},
                   {"online", swarm_->online()},
                   {"filled", stage_ == Stage::filling ? swarm_->accepted() : 0}});
  }
  void say(const char* event) { control_.send({{"event", event}}); }

  ControlChannel control_;
  std::unique_ptr<scenario::Plan> plan_;
  std::unique_ptr<Swarm> swarm_;
  Stage stage_ = Stage::none;
  std::vector<MessageId> starts_;  ///< Heads after the pre-fill; empty: 1 everywhere.
  WorkerPart part_;
  double cpu_at_start_ = 0;
  Instant next_status_{};
  Instant next_look_{};
  bool told_ = true;
  bool fatal_told_ = false;
  bool finished_ = false;
};

}  // namespace

int run_worker(int control_fd) {
  std::signal(SIGINT, SIG_IGN);  // the coordinator decides when a run ends
  try {
    return Worker{control_fd}.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "clamor load-worker: %s\n", error.what());
    return 1;
  }
}

}  // namespace clamor::loadgen
