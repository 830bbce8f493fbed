#pragma once

#include "server/token/token.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace clamor::test {

inline constexpr const char* test_secret = "integration tests";

/// A token for one user, valid for an hour.
inline std::string token_of(std::uint64_t user) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return token::mint(token::derive_key(test_secret), {user}, now.count() + 3600);
}

/// The load generator's target: gateways on these ports.
inline std::string url_of(const std::vector<std::uint16_t>& ports) {
  std::string urls;
  for (const std::uint16_t port : ports) {
    urls += (urls.empty() ? "ws://127.0.0.1:" : ",ws://127.0.0.1:") + std::to_string(port);
  }
  return urls;
}

/// A child process with its two outputs in files. Killed when the object goes.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& arguments, const std::string& log_path)
      : log_path_{log_path} {
    std::array<int, 2> out{};
    if (pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(out[1], STDOUT_FILENO);
      const int log = open(log_path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
      dup2(log, STDERR_FILENO);
      std::vector<char*> argv;
      for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));  // execv takes, but leaves, char*
      }
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    out_ = out[0];
  }
  ~ChildProcess() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// The next line of its standard output; empty at the end, or after `patience`.
  std::string read_line(std::chrono::milliseconds patience = std::chrono::seconds{30}) {
    const auto until = std::chrono::steady_clock::now() + patience;
    std::string line;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      pollfd ready{.fd = out_, .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return {};
      char c = 0;
      if (read(out_, &c, 1) != 1) return {};
      if (c == '\n') return line;
      line.push_back(c);
    }
  }

  void signal(int number) const { kill(pid_, number); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Exit code, or minus the signal that ended it; -1000 after 30 s without an end.
  int wait() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > until) return -1000;
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  /// What it wrote to its standard error so far.
  [[nodiscard]] std::string log() const {
    std::ifstream in{log_path_};
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
  }

 private:
  std::string log_path_;
  pid_t pid_ = -1;
  int out_ = -1;
};

/// A real `clamor serve` on free ports, with a data directory that outlives its restarts.
class ServerProcess {
 public:
  /// `settings` are further lines of the settings file; port 0 takes any free one at each start.
  explicit ServerProcess(std::string settings = "", std::uint16_t port = 0, std::uint32_t nodes = 1)
      : settings_{std::move(settings)},
        listen_{"127.0.0.1:" + std::to_string(port)},
        nodes_{nodes} {
    start();
  }
  ~ServerProcess() { look_for_reports(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  void start() {
    launch();
    await_ready();
  }
  /// Starts the process, and does not wait until it listens.
  void launch() {
    look_for_reports();
    std::ofstream{config()} << "listen: " << listen_ << "\ndata: " << (directory_ / "data")
                            << "\nsecret: " << test_secret << "\n"
                            << "nodes: " << nodes_ << "\n"
                            << settings_;
    process_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{CLAMOR_BINARY, "serve", "--config", config()},
        directory_ / "serve.log");
  }
  void await_ready() {
    ports_.clear();
    while (ports_.size() < nodes_) {
      const std::string line = process_->read_line();
      const std::string expected = "listening on 127.0.0.1:";
      if (line.rfind(expected, 0) != 0) {
        throw std::runtime_error("the server did not start: " + line + process_->log());
      }
      ports_.push_back(static_cast<std::uint16_t>(std::stoul(line.substr(expected.size()))));
    }
  }
  /// Ends it at once, as a crash would.
  void kill_hard() {
    process_->signal(SIGKILL);
    process_->wait();
  }
  /// Ends it as an operator would; its exit code.
  int stop() {
    process_->signal(SIGTERM);
    return process_->wait();
  }

  /// Of a node's gateway.
  [[nodiscard]] std::uint16_t port(std::size_t node = 0) const { return ports_.at(node); }
  /// Of all nodes' gateways.
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }
  [[nodiscard]] ChildProcess& process() { return *process_; }
  /// The settings file.
  [[nodiscard]] std::string config() const { return directory_ / "serve.yaml"; }
  [[nodiscard]] std::string data() const { return directory_ / "data"; }

 private:
  /// What a sanitizer reports fails the test, whatever becomes of the process.
  void look_for_reports() const {
    if (process_ == nullptr) return;
    const std::string log = process_->log();
    const bool reported = log.find("Sanitizer: ") != std::string::npos ||
                          log.find("runtime error: ") != std::string::npos;
    if (reported) ADD_FAILURE() << log;
  }

  TemporaryDirectory directory_;
  std::string settings_;
  std::string listen_;
  std::unique_ptr<ChildProcess> process_;
  std::uint32_t nodes_ = 1;
  std::vector<std::uint16_t> ports_;
};

}  // namespace clamor::test
