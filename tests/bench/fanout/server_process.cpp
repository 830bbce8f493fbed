#include "tests/bench/fanout/server_process.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace clamor::bench {
namespace {

constexpr int server_core = 0;
constexpr std::chrono::seconds start_limit{30};
constexpr std::chrono::seconds end_limit{20};

Descriptor listen_anywhere(std::uint16_t& port) {
  Descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (listener.get() < 0 || ::bind(listener.get(), generic, size) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    throw_errno("cannot listen on loopback");
  }
  port = ntohs(address.sin_port);
  return listener;
}

/// In the child: gone when the parent is.
void settle_child(bool on_one_core) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (on_one_core) pin_to_core(server_core);
}

/// Reads a line `listening on ADDRESS:PORT` for each node.
std::vector<std::uint16_t> read_ready_lines(int fd, std::uint32_t nodes) {
  std::string text;
  const auto deadline = Clock::now() + start_limit;
  while (std::count(text.begin(), text.end(), '\n') < static_cast<std::ptrdiff_t>(nodes)) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    std::array<char, 256> part{};
    if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) {
      throw std::runtime_error("clamor serve said nothing within 30 s");
    }
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got <= 0) throw std::runtime_error("clamor serve ended before it listened");
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  std::vector<std::uint16_t> ports;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.rfind(':');
    if (!line.starts_with("listening on ") || colon == std::string::npos) {
      throw std::runtime_error("clamor serve said: " + line);
    }
    ports.push_back(static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1))));
  }
  return ports;
}

void write_settings(const std::string& directory, const std::string& more) {
  std::ofstream out{directory + "/serve.yaml"};
  out << "listen: \"127.0.0.1:0\"\n"
      << "data: " << directory << "/data\n"
      << "secret: " << server_secret << "\n"
      << "design: per_group\n"
      << "durability: os\n"
      << "heartbeat: {interval: 60s, offline_after: 150s}\n"
      << "log: {level: warning}\n"
      << more;
  if (!out.flush()) throw std::runtime_error("cannot write " + directory + "/serve.yaml");
}

}  // namespace

void pin_to_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (::sched_setaffinity(0, sizeof cores, &cores) != 0) {
    throw_errno("cannot run on core " + std::to_string(core));
  }
}

ServerProcess ServerProcess::yardstick(Writes writes) {
  ServerProcess process;
  Descriptor listener = listen_anywhere(process.ports_.emplace_back());
  process.pid_ = ::fork();
  if (process.pid_ < 0) throw_errno("cannot fork");
  if (process.pid_ == 0) {
    try {
      settle_child(true);
      run_yardstick(std::move(listener), writes);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "yardstick: %s\n", error.what());
    }
    ::_exit(1);
  }
  return process;
}

ServerProcess ServerProcess::clamor(const std::string& binary, const std::string& settings) {
  return started(binary, settings, 1, true);
}

ServerProcess ServerProcess::clamor_nodes(const std::string& binary, std::uint32_t nodes) {
  return started(binary, "threads: pinned\nnodes: " + std::to_string(nodes) + "\n", nodes, false);
}

ServerProcess ServerProcess::started(const std::string& binary, const std::string& settings,
                                     std::uint32_t nodes, bool on_one_core) {
  ServerProcess process;
  std::string pattern = std::filesystem::temp_directory_path() / "clamor-fanout-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno("cannot make " + pattern);
  process.directory_ = pattern;
  write_settings(pattern, settings);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("cannot make a pipe");
  const Descriptor reading{ends[0]};
  Descriptor writing{ends[1]};
  process.pid_ = ::fork();
  if (process.pid_ < 0) throw_errno("cannot fork");
  if (process.pid_ == 0) {
    try {
      settle_child(on_one_core);
      ::dup2(writing.get(), STDOUT_FILENO);
      const std::string file = pattern + "/serve.yaml";
      ::execl(binary.c_str(), binary.c_str(), "serve", "--config", file.c_str(), nullptr);
      throw_errno("cannot run " + binary);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "fanout: %s\n", error.what());
    }
    ::_exit(1);
  }
  writing = Descriptor{};
  process.ports_ = read_ready_lines(reading.get(), nodes);
  return process;
}

ServerProcess::ServerProcess(ServerProcess&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      ports_{std::move(other.ports_)},
      directory_{std::exchange(other.directory_, {})} {}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    const auto deadline = Clock::now() + end_limit;
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (Clock::now() > deadline) ::kill(pid_, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
  std::error_code ignored;  // nothing can be done about it here
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

double ServerProcess::cpu_seconds() const {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    throw std::runtime_error("the server is gone");
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::uint64_t ServerProcess::resident_bytes() const {
  std::ifstream in{"/proc/" + std::to_string(pid_) + "/statm"};
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  if (!(in >> total >> resident)) throw std::runtime_error("the server is gone");
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace clamor::bench
