#include "loadgen/app/child_process.hpp"

#include "loadgen/net/connections.hpp"
#include "server/host/clock.hpp"
#include "server/host/cores.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

constexpr int child_fd = 3;
constexpr int preferred_niceness = -10;

/// Our environment without what configures a `clamor` of the user's: CLAMOR_SECRET would override
/// the secret that we drew for our own server.
std::vector<char*> environment_of_child() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view{*entry}.starts_with("CLAMOR_")) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

/// Between fork and exec: calls that are safe after a fork only.
[[noreturn]] void become(const ChildProcess::Options& options, char* const* arguments,
                         char* const* environment, const cpu_set_t& cores, int output,
                         pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  if (!options.cores.empty()) sched_setaffinity(0, sizeof cores, &cores);
  if (options.preferred) setpriority(PRIO_PROCESS, 0, preferred_niceness);
  if (output >= 0) dup2(output, STDOUT_FILENO);
  if (!options.error_file.empty()) {
    const int file = open(options.error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file >= 0) dup2(file, STDERR_FILENO);
  }
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);
  unsigned first_to_close = child_fd;
  if (options.inherited_fd >= 0) {
    if (options.inherited_fd == child_fd) {
      fcntl(child_fd, F_SETFD, 0);
    } else {
      dup2(options.inherited_fd, child_fd);
    }
    ++first_to_close;
  }
  close_range(first_to_close, ~0U, 0);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) ::signal(number, SIG_DFL);
  execve(options.program.c_str(), arguments, environment);
  _exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const Options& options) {
  std::vector<std::string> words{options.program};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::vector<char*> environment = environment_of_child();
  int ends[2] = {-1, -1};
  if (options.capture_output && pipe2(ends, O_CLOEXEC) != 0) {
    throw std::system_error{errno, std::system_category(), "pipe2"};
  }
  output_.reset(ends[0]);
  const Descriptor write_end{ends[1]};
  const cpu_set_t cores = host::set_of(options.cores);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error{errno, std::system_category(), "fork"};
  if (pid_ == 0) {
    become(options, arguments.data(), environment.data(), cores, write_end.get(), parent);
  }
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      reaped_{other.reaped_},
      status_{other.status_},
      output_{std::move(other.output_)} {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || reaped_) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
}

std::optional<std::string> ChildProcess::ended() {
  if (!reaped_) {
    const pid_t got = waitpid(pid_, &status_, WNOHANG);
    if (got == 0) return std::nullopt;
    reaped_ = true;
  }
  if (WIFSIGNALED(status_)) {
    return "signal " + std::to_string(WTERMSIG(status_)) + " (" + strsignal(WTERMSIG(status_)) +
           ")";
  }
  return "exit code " + std::to_string(WEXITSTATUS(status_));
}

void ChildProcess::signal(int number) const {
  if (!reaped_) ::kill(pid_, number);
}

std::optional<std::string> ChildProcess::wait(Duration longest) {
  const Instant deadline = monotonic_now() + longest;
  for (;;) {
    if (auto how = ended()) return how;
    if (monotonic_now() >= deadline) return std::nullopt;
    poll(nullptr, 0, 5);  // A process's end is no descriptor without pidfd; 5 ms is soon enough.
  }
}

std::optional<ProcessSample> sample_process(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::ifstream statm{folder + "/statm"};
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  // The process's own clock counts nanoseconds; the ticks of /proc would make a short run's CPU
  // time 0 for one design and 10 ms for the next.
  clockid_t clock{};
  timespec cpu{};
  if (!(statm >> total_pages >> resident_pages) || clock_getcpuclockid(pid, &clock) != 0 ||
      clock_gettime(clock, &cpu) != 0) {
    return std::nullopt;
  }
  ProcessSample sample;
  sample.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;
  sample.resident_bytes = resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream io{folder + "/io"};
  for (std::string key; io >> key;) {
    std::uint64_t value = 0;
    io >> value;
    if (key == "write_bytes:") sample.written_bytes = value;
  }
  return sample;
}

}  // namespace clamor::loadgen
