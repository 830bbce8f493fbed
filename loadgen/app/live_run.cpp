#include "loadgen/app/live_run.hpp"

#include "loadgen/net/connections.hpp"
#include "loadgen/net/target.hpp"
#include "reports/model/fault_marks.hpp"
#include "reports/model/region.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/render/environment.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/core/limits.hpp"
#include "server/core/placement.hpp"
#include "server/host/clock.hpp"
#include "server/host/cores.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <poll.h>
#include <sys/resource.h>
#include <utility>

namespace clamor::loadgen {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// A process has 20,000 descriptors; some are the process's own.
constexpr std::uint32_t clients_per_worker_max = 18'000;
/// More clients than this deserve another worker where there is a core for it.
constexpr std::uint32_t clients_per_worker = 5'000;
constexpr Duration create_timeout = 300s;
constexpr Duration fill_timeout = 1200s;
constexpr Duration queues_timeout = 120s;  // of the pre-fill, once all of it is accepted
constexpr Duration finish_timeout = 120s;

std::string cores_text(const std::vector<int>& cores) {
  return fmt::format("core{} {}", cores.size() == 1 ? "" : "s", fmt::join(cores, ", "));
}

/// As its process will find it: it inherits our limit and raises it as far as it may.
std::uint32_t sessions_of_a_server(std::uint32_t nodes) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return core::sessions_of_a_process(limit.rlim_max, nodes);
}

std::string servers_text(const std::vector<std::uint32_t>& nodes_of) {
  const std::uint32_t nodes = std::accumulate(nodes_of.begin(), nodes_of.end(), 0U);
  if (nodes == 1) return "server";
  return nodes_of.size() == 1 ? fmt::format("{} nodes in one process", nodes)
                              : fmt::format("{} nodes in {} processes", nodes, nodes_of.size());
}

}  // namespace

scenario::Scenario scenario_of(const LoadOptions& options) {
  scenario::Scenario scenario = scenario::scaled(options.scenario, options.scale);
  if (options.seed) scenario.seed = *options.seed;
  return scenario;
}

LiveRun::LiveRun(const LoadOptions& options)
    : options_{options}, scenario_{scenario_of(options)}, plan_{scenario_} {
  check_size();
  const std::vector<int> cores = host::usable_cores();
  if (!options.target && cores.size() > 1) {
    server_cores_ = {cores.front()};
    generator_cores_.assign(cores.begin() + 1, cores.end());
  } else if (options.target) {
    generator_cores_ = cores;
  }
}

void LiveRun::check_size() {
  connecting_clients_ = plan_.clients();
  for (std::uint32_t user = 0; user < plan_.users(); ++user) {
    if (plan_.dormant(user)) connecting_clients_ -= plan_.devices_of(user);
  }
  check_kills();
  if (!options_.target) place_nodes();
}

void LiveRun::place_nodes() {
  const std::uint32_t nodes = scenario::servers_of(plan_);
  const std::uint32_t of_a_node = scenario_.deployment.clients_per_server;
  if (nodes > core::nodes_max) {
    throw scenario::ConfigError{
        {fmt::format("{}: {} clients on servers of {} are {} nodes, but an embedded server has at "
                     "most {}; raise deployment.clients_per_server, or name running servers by "
                     "--target",
                     scenario_.name, plan_.clients(), of_a_node, nodes, core::nodes_max)}};
  }
  std::vector<std::uint32_t> sessions(nodes);
  for (std::uint32_t user = 0; user < plan_.users(); ++user) {
    if (plan_.dormant(user)) continue;
    sessions[target_of(scenario::Plan::user_id(user), nodes)] += plan_.devices_of(user);
  }
  std::uint32_t most = 0;  // Of a node of the process that is being filled: all have equal shares.
  for (const std::uint32_t own : sessions) {
    if (own > sessions_of_a_server(1)) {
      throw scenario::ConfigError{
          {fmt::format("{}: {} clients connect to one of {} nodes, but a server process holds {}; "
                       "lower deployment.clients_per_server (it is {}), use a smaller --scale, or "
                       "name running servers by --target",
                       scenario_.name, own, nodes, sessions_of_a_server(1), of_a_node)}};
    }
    most = std::max(most, own);
    const std::uint32_t together = nodes_of_.empty() ? 1 : nodes_of_.back() + 1;
    if (nodes_of_.empty() || scenario::kills_servers(scenario_) ||
        together > core::nodes_of_a_process_max ||
        most > sessions_of_a_server(together) / together) {
      nodes_of_.push_back(0);
      most = own;
    }
    ++nodes_of_.back();
  }
}

// --- processes -----------------------------------------------------------------------------------

void LiveRun::start_server() {
  std::string error;
  if (options_.target) {
    url_ = *options_.target;
    secret_ = options_.secret;
    authority_file_ = options_.authority_file;
  } else {
    server_.emplace(options_.program.string(), folder_.path(), scenario_, options_.design,
                    server_cores_, nodes_of_, options_.tls);
    url_ = server_->url();
    server_up_at_ = monotonic_now();
    secret_ = server_->secret();
    authority_file_ = server_->authority_file();
  }
  targets_ = parse_targets(url_, error, authority_file_);
  if (targets_.empty()) throw scenario::ConfigError{{"--" + error}};
  const auto servers = static_cast<std::uint32_t>(targets_.size());
  result_.deployment.servers = servers;
  result_.deployment.partitions = core::partition_count(servers);
  if (options_.target) check_target();
}

void LiveRun::start_workers() {
  const std::filesystem::path scenario_file = folder_.path() / "scenario.yaml";
  std::ofstream out{scenario_file};
  out << scenario::write_effective(scenario_);
  out.close();
  if (!out) throw LoadError{scenario_file.string() + ": cannot be written; is the disk full?"};

  const std::uint32_t clients = plan_.clients();
  const auto cores = static_cast<std::uint32_t>(std::max<std::size_t>(generator_cores_.size(), 1));
  std::uint32_t count = options_.workers;
  if (count == 0) count = std::min(cores, 1 + clients / clients_per_worker);
  count = std::max(count, (clients + clients_per_worker_max - 1) / clients_per_worker_max);
  count = std::clamp(count, 1U, clients);
  series_.emplace(count);
  for (std::uint32_t worker = 0; worker < count; ++worker) {
    auto [ours, theirs] = ControlChannel::make_pair();
    ChildProcess::Options child{.program = options_.program.string(),
                                .arguments = {"load-worker"},
                                .inherited_fd = theirs.get(),
                                .preferred = true};
    if (!generator_cores_.empty()) {
      child.cores = {generator_cores_[worker % generator_cores_.size()]};
    }
    workers_.push_back(
        {.process = ChildProcess{child}, .control = ControlChannel{std::move(ours)}});
    Worker& started = workers_.back();
    started.heads = folder_.path() / fmt::format("worker-{}.heads", worker);
    started.part = folder_.path() / fmt::format("worker-{}.part", worker);
    const auto bound = [clients, count](std::uint64_t of) {
      return static_cast<std::uint32_t>(of * clients / count);
    };
    started.control.send({{"scenario", scenario_file.string()},
                          {"targets", url_},
                          {"secret", secret_},
                          {"authority_file", authority_file_},
                          {"worker", worker},
                          {"workers", count},
                          {"first_client", bound(worker)},
                          {"last_client", bound(worker + 1ULL)}});
  }
}

void LiveRun::watch_processes() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].finished) continue;
    if (const auto how = workers_[i].process.ended()) {
      throw LoadError{
          fmt::format("load worker {} of {} ended with {}: what its clients received "
                      "is lost, so there is no result",
                      i + 1, workers_.size(), *how)};
    }
  }
  if (server_died_ || !server_) return;
  if (const auto how = server_->died()) {
    server_died_ = true;
    leave_open("the server ended with " + *how + " during the run");
    if (options_.progress)
      std::fprintf(stderr, "the server ended with %s%s\n", how->c_str(),
                   server_->last_words().c_str());
    if (running_) {
      result_.marks.emplace_back(to_seconds(monotonic_now() - zero_), "the server ended: " + *how);
    }
  }
}

// --- messages ------------------------------------------------------------------------------------

void LiveRun::order_all(const char* order) {
  for (Worker& worker : workers_) worker.control.send({{"order", order}});
}

void LiveRun::take_messages() {
  for (Worker& worker : workers_) {
    while (const auto message = worker.control.receive()) take(worker, *message);
  }
}

void LiveRun::take(Worker& worker, const json& message) {
  const auto event = message.at("event").get<std::string>();
  if (event == "status") {
    worker.online = message.at("online");
    worker.filled = message.at("filled");
  } else if (event == "stage done") {
    worker.stage_done = message.at("stage").get<std::string>();
  } else if (event == "interval") {
    const IntervalRecord interval = interval_from(message);
    if (latest_.index != interval.index) latest_ = {.index = interval.index};
    latest_.merge(interval);
    if (series_->add(interval)) series_->complete(read_server(), scenario_.deployment.cores);
  } else if (event == "ready") {
    worker.ready = true;
  } else if (event == "heads") {
    worker.heads_written = true;
  } else if (event == "done") {
    worker.finished = true;
  } else if (event == "fatal") {
    break_off(message.at("why").get<std::string>(), message.at("token_refused").get<bool>());
  }
}

void LiveRun::break_off(const std::string& why, bool token_refused) {
  if (measured_) return leave_open(why);  // what was measured until then stays a result
  if (!token_refused || !options_.target) throw LoadError{why};
  throw scenario::ConfigError{{"--secret: " + url_ + " refuses the login tokens made with it (" +
                               why +
                               "); expected the `secret` of that server's settings, by "
                               "--secret or CLAMOR_SECRET"}};
}

template <class Done>
LiveRun::Waited LiveRun::await(std::string_view stage, Duration longest, Done done) {
  const Instant began = monotonic_now();
  next_progress_ = began;
  for (;;) {
    std::vector<pollfd> entries;
    for (const Worker& worker : workers_) {
      if (!worker.control.closed()) entries.push_back({worker.control.fd(), POLLIN, 0});
    }
    const Duration left = std::min(longest - (monotonic_now() - began), until_next_kill());
    const Duration look = std::clamp<Duration>(left, 0ms, 20ms);
    poll(entries.data(), entries.size(), static_cast<int>(to_ns(look) / 1'000'000));
    take_messages();
    run_kills();
    if (std::all_of(workers_.begin(), workers_.end(), done)) return Waited::done;
    watch_processes();
    const Instant now = monotonic_now();
    if (server_died_) return Waited::server_died;
    if (now - began >= longest) return Waited::timed_out;
    if (options_.interrupted && !result_.interrupted && options_.interrupted()) {
      result_.interrupted = true;
      return Waited::interrupted;
    }
    if (now >= next_progress_) tell_progress(stage, began);
  }
}

template <class Done>
void LiveRun::await_all(std::string_view stage, Done done) {
  const Instant deadline = monotonic_now() + finish_timeout;
  while (await(stage, deadline - monotonic_now(), done) != Waited::done) {
    if (monotonic_now() >= deadline) {
      throw LoadError{fmt::format("a load worker hangs in \"{}\"", stage)};
    }
  }
}

LiveRun::Waited LiveRun::await_stage(std::string_view stage, const char* worker_stage,
                                     Duration longest) {
  return await(stage, longest,
               [worker_stage](const Worker& worker) { return worker.stage_done == worker_stage; });
}

LiveRun::Waited LiveRun::pause(std::string_view stage, Duration longest) {
  return await(stage, longest, [](const Worker&) { return false; });
}

void LiveRun::tell_progress(std::string_view stage, Instant began) {
  const Instant now = monotonic_now();
  next_progress_ = now + 1s;
  if (!options_.progress) return;
  LoadProgress progress;
  progress.stage = stage;
  progress.elapsed_seconds = std::max(0.0, to_seconds(now - (running_ ? zero_ : began)));
  if (running_ && options_.step_timeout) progress.elapsed_seconds = to_seconds(plan_done_);
  progress.duration_seconds = running_ ? to_seconds(plan_.duration()) : 0;
  for (const Worker& worker : workers_) {
    progress.connected += worker.online;
    progress.filled += worker.filled;
  }
  progress.clients = connecting_clients_;
  progress.to_fill = stage == "pre-fill" ? plan_.prefill_count() : 0;
  progress.send_rate = static_cast<double>(latest_.sent);
  progress.delivery_rate = static_cast<double>(latest_.delivered);
  progress.delivery_p99_ms = static_cast<double>(latest_.delivery.quantile(0.99)) * 1e-6;
  options_.progress(progress);
}

std::optional<ServerReading> LiveRun::read_server() {
  ServerReading reading;
  reading.at = monotonic_now();
  const auto metrics = sample_servers(400ms);
  if (metrics) {
    last_sample_ = metrics;
    reading.cpu_seconds = metrics->cpu_seconds;
    reading.resident_bytes = metrics->resident_bytes;
    reading.fan_out_lag = metrics->fan_out_lag_records;
  }
  if (server_) {
    const auto process = server_->sample();
    if (!process) return std::nullopt;
    reading.cpu_seconds = process->cpu_seconds;
    reading.resident_bytes = process->resident_bytes;
  } else if (!metrics) {
    return std::nullopt;
  }
  result_.server.rss_max_bytes = std::max(result_.server.rss_max_bytes, reading.resident_bytes);
  result_.server.fan_out_lag_max = std::max(result_.server.fan_out_lag_max, reading.fan_out_lag);
  return reading;
}

// --- the run -------------------------------------------------------------------------------------

report::RunResult LiveRun::run() {
  const Instant began = monotonic_now();
  describe();
  // The coordinator leaves the server's core alone, and takes its own placement back at the end.
  const std::vector<int> placement = host::usable_cores();
  host::pin_to(generator_cores_);
  start_server();
  start_workers();
  if (await("starting", 60s, [](const Worker& w) { return w.ready; }) == Waited::timed_out) {
    throw LoadError{"the load workers did not start within a minute"};
  }
  result_.ledger_complete = true;
  if (!result_.interrupted) create_channels();
  if (!result_.interrupted && plan_.prefill_count() > 0) fill();
  if (!result_.interrupted) {
    order_all("connect");
    (void)await_stage("connecting", "connecting", options_.connect_timeout);
    if (options_.step_timeout && !result_.interrupted) (void)come_to_rest("connecting");
    if (server_died_) throw LoadError{result_.ledger_unknown_because};
    if (scenario_.population.presence_subscribe > 0 && !result_.interrupted) await_presence();
  }
  if (result_.interrupted) {
    leave_open("interrupted before the measured window began");
  } else {
    run_window();
    call_roll();
  }
  collect_parts();
  result_.wall_seconds = to_seconds(monotonic_now() - began);
  if (server_) {
    const auto wrong = server_->stop(30s);
    if (wrong && !server_died_) result_.ledger_findings.push_back(*wrong);
  }
  host::pin_to(placement);
  result_.thresholds = report::evaluate_thresholds(scenario_.thresholds, result_);
  return std::move(result_);
}

void LiveRun::create_channels() {
  order_all("create");
  const Waited created = await_stage("channels", "creating", create_timeout);
  if (created == Waited::timed_out) {
    throw LoadError{fmt::format("creating {} channels took longer than {}", plan_.channels(),
                                scenario::format_duration(create_timeout))};
  }
  if (server_died_) throw LoadError{result_.ledger_unknown_because};
  if (result_.interrupted) return;
  // To a login that is ahead of the news of a channel, its creation would come as a record.
  created_ = settled_sample("channels");
}

/// The history that the channels begin with, sent by their members one after the other before
/// anybody stays online: real messages, but none that the ledger waits for. Afterwards every device
/// holds all of it, by its positions, as it holds a channel's creation.
void LiveRun::fill() {
  order_all("fill");
  const Waited waited = await_stage("pre-fill", "filling", fill_timeout);
  if (server_died_) throw LoadError{result_.ledger_unknown_because};
  if (waited == Waited::interrupted) return;
  if (waited == Waited::timed_out) {
    std::uint64_t filled = 0;
    for (const Worker& worker : workers_) filled += worker.filled;
    throw LoadError{fmt::format(
        "{} of {} messages of the pre-fill were accepted within {}; expected all, lower "
        "prefill.messages",
        filled, plan_.prefill_count(), scenario::format_duration(fill_timeout))};
  }
  starts_ = collect_heads();
  for (std::uint32_t channel = 0; channel < plan_.channels(); ++channel) {
    const MessageId filled = MessageId{1} + plan_.prefill_in(channel);
    // Who logs in to fill another channel may have read this one often: a record of modes came in.
    const bool modes = options_.design.design == QueueDesign::adaptive && starts_[channel] > filled;
    if (modes || starts_[channel] == filled) continue;
    throw LoadError{fmt::format(
        "the pre-fill of channel_id {} ends at message_id {}, not at {}: the server refused some "
        "of it for good, or accepted some of it twice",
        scenario::Plan::channel_id(channel).value, starts_[channel].value,
        1 + plan_.prefill_in(channel))};
  }
  const std::filesystem::path file = folder_.path() / "starts";
  write_heads(file, starts_);
  for (Worker& worker : workers_) {
    worker.control.send({{"order", "filled"}, {"file", file.string()}});
  }
  (void)settled_sample("pre-fill");
}

/// What the servers say once every record has its queue entries; nothing where the run ends before,
/// or a target does not say.
std::optional<ServerSample> LiveRun::settled_sample(const std::string& after) {
  if (options_.step_timeout) {
    const Waited rested = rest_servers(after);
    if (server_died_) throw LoadError{result_.ledger_unknown_because};
    return rested == Waited::done ? last_sample_ : std::nullopt;
  }
  const Instant deadline = monotonic_now() + queues_timeout;
  for (;;) {
    const auto sample = scrape(targets_, 5s);
    if (sample && sample->fan_out_lag_records == 0) return sample;
    if (!sample && options_.target) return std::nullopt;
    const Waited waited = pause(after + ": queues", 100ms);
    if (server_died_) throw LoadError{result_.ledger_unknown_because};
    if (waited == Waited::interrupted) return std::nullopt;
    if (monotonic_now() >= deadline) {
      throw LoadError{fmt::format("{}: the sync queues lag {} records behind {} later", after,
                                  sample ? sample->fan_out_lag_records : 0,
                                  scenario::format_duration(queues_timeout))};
    }
  }
}

std::vector<MessageId> LiveRun::collect_heads() {
  for (Worker& worker : workers_) {
    worker.heads_written = false;
    worker.control.send({{"order", "heads"}, {"file", worker.heads.string()}});
  }
  await_all("heads", [](const Worker& worker) { return worker.heads_written; });
  std::vector<MessageId> heads(plan_.channels(), MessageId{1});
  for (const Worker& worker : workers_) {
    const std::vector<MessageId> seen = read_heads(worker.heads);
    for (std::size_t c = 0; c < heads.size(); ++c) heads[c] = std::max(heads[c], seen[c]);
  }
  return heads;
}

void LiveRun::run_window() {
  before_ = scrape(targets_, 5s);
  last_sample_ = before_;
  if (before_ && created_ && plan_.prefill_count() > 0) {
    const Operations filled = difference(before_->operations, created_->operations);
    result_.prefill = {filled.records, filled.queue_entries, filled.log_bytes + filled.queue_bytes};
  }
  if (before_) result_.budget = {before_->block_cache_bytes, before_->write_buffers_bytes};
  const auto process_before = server_ ? server_->sample() : std::nullopt;
  plan_kills();
  running_ = true;
  measured_ = true;
  zero_ = monotonic_now() + 200ms;
  for (Worker& worker : workers_) {
    worker.control.send({{"order", "run"}, {"zero_ns", to_ns(zero_)}});
  }
  const Waited waited = options_.step_timeout
                            ? run_steps()
                            : await_stage("running", "running", plan_.duration() + 30s);
  const double ran = to_seconds(monotonic_now() - zero_);
  if (waited != Waited::done) order_all("cut");
  running_ = false;
  // The stage ends within a worker's turn of the plan's end, unless the generator lagged so far
  // behind that it went on: then the server's costs are of that longer time.
  const double planned = to_seconds(plan_.duration());
  result_.duration_seconds = ran > planned && ran < planned + 0.5 ? planned : std::max(ran, 0.0);

  const auto process_after = server_ ? server_->sample() : std::nullopt;
  const auto after = sample_servers(2s);
  if (process_before && process_after) {
    result_.server.cpu_seconds = process_after->cpu_seconds - process_before->cpu_seconds;
    result_.server.device_write_bytes =
        process_after->written_bytes - process_before->written_bytes;
    result_.server.rss_max_bytes =
        std::max(result_.server.rss_max_bytes, process_after->resident_bytes);
  } else if (before_ && after && after->process_id == before_->process_id) {
    result_.server.cpu_seconds = after->cpu_seconds - before_->cpu_seconds;
    result_.server.device_write_bytes = after->written_bytes - before_->written_bytes;
  }
}

/// An interrupted user waits no longer than that for a ledger that is known.
Duration LiveRun::roll_call_timeout() const {
  return result_.interrupted ? std::min<Duration>(options_.roll_call_timeout, 5s)
                             : options_.roll_call_timeout;
}

void LiveRun::call_roll() {
  if (!server_died_) {
    order_all("settle");
    (void)await_stage("roll call: outboxes", "settling", roll_call_timeout());
  }
  const std::vector<MessageId> heads = collect_heads();
  if (server_died_) return;
  const std::filesystem::path merged = folder_.path() / "heads";
  write_heads(merged, heads);
  for (Worker& worker : workers_) {
    worker.control.send({{"order", "sync"}, {"file", merged.string()}});
  }
  (void)await_stage("roll call: devices", "syncing", roll_call_timeout());
  if (options_.step_timeout && !server_died_ && !result_.interrupted) {
    (void)rest_servers("roll call");
    return;
  }
  if (const auto after = sample_servers(5s)) last_sample_ = after;
}

void LiveRun::collect_parts() {
  for (Worker& worker : workers_) {
    worker.control.send({{"order", "finish"}, {"file", worker.part.string()}});
  }
  await_all("ledger", [](const Worker& worker) { return worker.finished; });
  result_.series = series_->points();
  std::vector<std::filesystem::path> parts;
  for (const Worker& worker : workers_) parts.push_back(worker.part);
  add_parts(parts, plan_, starts_, result_);
  if (before_ && last_sample_) {
    result_.operations = difference(last_sample_->operations, before_->operations);
    if (options_.target && last_sample_->process_id != before_->process_id) {
      result_.ledger_findings.emplace_back(
          "a target was started again during the run and counted anew: operations, CPU and bytes "
          "written are not those of the whole run");
    }
  }
  result_.operations.expected_deliveries = result_.ledger.expected;
}

void LiveRun::describe() {
  result_.scenario = scenario_.name;
  result_.description = scenario_.description;
  result_.engine = report::Engine::live;
  result_.design = options_.design;
  result_.seed = scenario_.seed;
  result_.scale = options_.scale;
  result_.durability = scenario_.durability == scenario::Durability::fsync ? "fsync" : "os";
  result_.ack_after = name_of(scenario_.ack_after);
  result_.payload = name_of(scenario_.payload);
  report::describe_population(plan_, result_.deployment);
  result_.deployment.cores_per_server = scenario_.deployment.cores;
  result_.region = report::region_of(plan_);
  result_.environment = report::current_environment();
  result_.marks = report::fault_marks(scenario_);
  if (options_.target) {
    result_.environment.placement = "target " + *options_.target;
  } else if (server_cores_.empty()) {
    result_.environment.placement = "server and generator share one core";
  } else {
    result_.environment.placement = servers_text(nodes_of_) + " on " + cores_text(server_cores_) +
                                    ", generator on " + cores_text(generator_cores_);
  }
  if (options_.tls) result_.environment.placement += ", TLS between them";
}

void LiveRun::leave_open(const std::string& why) {
  result_.ledger_complete = false;
  if (!result_.ledger_unknown_because.empty()) result_.ledger_unknown_because += "; ";
  result_.ledger_unknown_because += why;
}

report::RunResult run_load(const LoadOptions& options) { return LiveRun{options}.run(); }

}  // namespace clamor::loadgen
