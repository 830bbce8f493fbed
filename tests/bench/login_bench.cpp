// Question: server CPU of a login by token, resume token and password, and of TLS beside it?
#include "loadgen/net/target.hpp"
#include "server/operator/client.hpp"
#include "server/protocol/codec.hpp"
#include "server/tls/dev_certificate.hpp"
#include "server/token/token.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <variant>
#include <vector>

// Server on core 0, 32 client threads on core 1, each in a closed loop: connect, log in, read the
// last page, close. Per login: the server's CPU time, TCP, WebSocket handshake and close included.
// Memory: what the server's resident memory grows by as so many users of no channel log in and
// stay. A report, never an assertion.
namespace clamor::bench {
namespace {

constexpr int client_core = 1;
constexpr std::uint32_t client_threads = 32;
constexpr std::chrono::seconds patience{60};
constexpr std::string_view password = "correct horse battery staple";

struct Options {
  double seconds = 2;
  std::uint32_t sessions = 4000;
  std::string clamor = CLAMOR_BINARY;
};

/// What a client knows of itself: a thread's own.
struct Visitor {
  loadgen::Target target;
  UserId user;
  std::string token;         ///< To log in with.
  tls::Ticket ticket;        ///< Of the last connection.
  bool resumes_tls = false;  ///< Uses it.
};

loadgen::Target target_of(const ServerProcess& server, const std::string& authority) {
  std::string error;
  auto target =
      loadgen::parse_target((authority.empty() ? "ws" : "wss") + std::string{"://127.0.0.1:"} +
                                std::to_string(server.port()),
                            error, authority);
  if (!target) throw std::runtime_error(error);
  return std::move(*target);
}

template <class Message>
void say(server::Client& client, const Message& message) {
  std::vector<std::byte> bytes;
  protocol::encode(message, bytes);
  client.send(bytes);
}

/// The next message, which must be a T.
template <class T, class Then>
void expect(server::Client& client, Then then) {
  const auto message = protocol::decode_server(client.receive());
  if (!message) throw std::runtime_error("the server sent what is no message");
  if (const auto* const refused = std::get_if<protocol::Refused>(&*message)) {
    throw std::runtime_error("refused: " + std::string{refused->detail});
  }
  then(std::get<T>(*message));
}

void log_in(server::Client& client, const std::string& token, std::string* resume = nullptr) {
  say(client, protocol::Login{.token = token, .device = {1}});
  expect<protocol::LoginAccepted>(client, [&](const protocol::LoginAccepted& accepted) {
    if (resume != nullptr) *resume = accepted.resume_token;
  });
  expect<protocol::Page>(client, [](const protocol::Page& page) {
    if (!page.last) throw std::runtime_error("a page too many");
  });
}

void by_token(Visitor& visitor) {
  server::Client client{visitor.target, patience, visitor.ticket};
  log_in(client, visitor.token);
  if (visitor.resumes_tls) visitor.ticket = client.ticket();
}

void by_password(Visitor& visitor) {
  server::Client client{visitor.target, patience};
  say(client, protocol::Authenticate{visitor.user, password});
  std::string token;
  expect<protocol::TokenGranted>(
      client, [&](const protocol::TokenGranted& granted) { token = granted.token; });
  log_in(client, token);
}

/// Server CPU of one `visit`, in microseconds.
double measure(const ServerProcess& server, double seconds,
               const std::function<Visitor(std::uint32_t)>& make, void (*visit)(Visitor&)) {
  std::atomic<bool> counting{false};
  std::atomic<bool> ended{false};
  std::atomic<std::uint64_t> visits{0};
  std::atomic<std::uint32_t> began{0};
  std::atomic<std::uint32_t> failed{0};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < client_threads; ++i) {
    threads.emplace_back([&, i] {
      try {
        Visitor visitor = make(i);
        visit(visitor);
        ++began;
        while (!ended) {
          visit(visitor);
          if (counting) ++visits;
        }
      } catch (const std::exception& error) {
        std::fprintf(stderr, "login: %s\n", error.what());
        ++failed;
      }
    });
  }
  while (began + failed < client_threads) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  const double before = server.cpu_seconds();
  counting = true;
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  counting = false;
  const double spent = server.cpu_seconds() - before;
  ended = true;
  for (std::thread& thread : threads) thread.join();
  if (failed != 0 || visits == 0) throw std::runtime_error("not every client could log in");
  return spent * 1e6 / static_cast<double>(visits);
}

/// Bytes that a session adds to the server's memory.
double session_bytes(const ServerProcess& server, const std::string& authority,
                     const token::Key& key, std::uint32_t sessions) {
  const loadgen::Target target = target_of(server, authority);
  const std::int64_t expires = std::time(nullptr) + 3600;
  std::vector<std::unique_ptr<server::Client>> clients;
  const auto add = [&](std::uint32_t count) {
    for (; count != 0; --count) {
      clients.push_back(std::make_unique<server::Client>(target, std::chrono::minutes{10}));
      log_in(*clients.back(), token::mint(key, UserId{clients.size()}, expires));
    }
  };
  add(100);  // What the first ones make the server allocate for all.
  const auto before = static_cast<double>(server.resident_bytes());
  add(sessions);
  return (static_cast<double>(server.resident_bytes()) - before) / sessions;
}

/// A folder that goes at the end.
class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "clamor-login-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw_errno("cannot make " + pattern);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void report(const char* what, double microseconds) {
  std::printf("%-46s %10.0f %12.0f\n", what, microseconds, 1e6 / microseconds);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Server CPU of a login by token, resume token and password, and of TLS beside it"};
  app.add_option("--seconds", options.seconds, "Length of a measured window")
      ->check(CLI::Range(0.1, 60.0));
  app.add_option("--sessions", options.sessions, "Sessions whose memory is measured")
      ->check(CLI::Range(100, 15'000));
  app.add_option("--clamor", options.clamor, "The clamor binary");
  CLI11_PARSE(app, argc, argv);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  pin_to_core(client_core);

  const Folder folder;
  const auto files = tls::write_dev_certificate(folder.path(), {"127.0.0.1"}, 1);
  const std::string over_tls =
      "tls: {certificate: " + files.certificate.string() + ", key: " + files.key.string() + "}\n";
  const std::string authority = files.authority.string();
  const token::Key key = token::derive_key(server_secret);
  const std::int64_t expires = std::time(nullptr) + 3600;
  const auto visitor = [&](const ServerProcess& server, const std::string& ca, bool by_resume,
                           bool resumes_tls) {
    return [&, ca, by_resume, resumes_tls](std::uint32_t i) {
      const UserId user{i + 1};
      return Visitor{.target = target_of(server, ca),
                     .user = user,
                     .token = by_resume ? token::mint_resume(key, user, {1}, expires)
                                        : token::mint(key, user, expires),
                     .ticket = {},
                     .resumes_tls = resumes_tls};
    };
  };

  std::printf("%-46s %10s %12s\n", "connect, log in, close", "CPU us", "per CPU-s");
  {
    const ServerProcess server = ServerProcess::clamor(options.clamor);
    report("login token",
           measure(server, options.seconds, visitor(server, "", false, false), &by_token));
    report("resume token",
           measure(server, options.seconds, visitor(server, "", true, false), &by_token));
    server::Client client{target_of(server, ""), patience};
    for (std::uint32_t i = 0; i < client_threads; ++i) {
      say(client, protocol::SetAccount{token::mint_operator(key, expires), {i + 1}, password});
      expect<protocol::AccountSet>(client, [](const protocol::AccountSet&) {});
    }
    report("password (argon2id, 64 MiB, 2 passes)",
           measure(server, options.seconds, visitor(server, "", false, false), &by_password));
  }
  {
    const ServerProcess server = ServerProcess::clamor(options.clamor, over_tls);
    report("resume token, TLS 1.3, full handshake",
           measure(server, options.seconds, visitor(server, authority, true, false), &by_token));
    report("resume token, TLS 1.3, resumed by ticket",
           measure(server, options.seconds, visitor(server, authority, true, true), &by_token));
  }
  double plain = 0;
  double encrypted = 0;
  {
    const ServerProcess server = ServerProcess::clamor(options.clamor);
    plain = session_bytes(server, "", key, options.sessions);
  }
  {
    const ServerProcess server = ServerProcess::clamor(options.clamor, over_tls);
    encrypted = session_bytes(server, authority, key, options.sessions);
  }
  std::printf("\n%-46s %10s\n%-46s %10.2f\n%-46s %10.2f\n",
              "resident memory of a session without channels", "KiB", "plain", plain / 1024,
              "TLS 1.3", encrypted / 1024);
  return 0;
}

}  // namespace
}  // namespace clamor::bench

int main(int argc, char** argv) {
  try {
    return clamor::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "login: %s\n", error.what());
    return 1;
  }
}
