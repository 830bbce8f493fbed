#pragma once

#include "server/gateway/gateway.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace clamor::gateway {

/// Answers every message at once with itself, except for three orders: "close me", "flood me"
/// (numbered messages until one is refused, and once the session has read them all how many there
/// were), "hold" (answer at the end of the turn only) and "stall" (wait for the test, then answer).
class EchoHandler final : public Handler {
 public:
  Gateway* gateway = nullptr;
  std::set<SessionId> open;
  std::vector<EndReason> ends;
  std::size_t turn_ends = 0;
  std::size_t floods = 0;   ///< Messages of floods that were taken.
  std::size_t refused = 0;  ///< Messages that were not, since the session was behind.
  std::size_t drained = 0;
  bool takes = true;              ///< Further sessions.
  Duration input_age{};           ///< As the present turn began.
  std::promise<void> stalled;     ///< Fulfilled by a stall.
  std::promise<void> stall_over;  ///< By the test.

  void on_turn_begin(const TurnStart& turn) override { input_age = turn.input_age; }
  bool takes_session() override { return takes; }
  void on_open(SessionId session, Instant /*now*/) override {
    EXPECT_TRUE(open.insert(session).second) << "opened twice";
    EXPECT_TRUE(slots_.insert(session.slot).second) << "a slot before on_end of the one before";
  }
  void on_message(SessionId session, std::span<const std::byte> payload, Instant /*now*/) override {
    EXPECT_TRUE(open.contains(session)) << "a message after the end";
    const std::string_view text{reinterpret_cast<const char*>(payload.data()), payload.size()};
    if (text == "close me") {
      gateway->close(session, protocol::CloseCode::superseded, "as ordered");
      EXPECT_TRUE(gateway->send(session, make_frame(payload))) << "to nobody";
      EXPECT_TRUE(open.contains(session)) << "on_end came from inside close()";
    } else if (text == "flood me") {
      flooded_ = session;
    } else if (text == "stall") {
      stalled.set_value();
      stall_over.get_future().wait();
      EXPECT_TRUE(gateway->send(session, make_frame(payload)));
    } else if (text == "how old") {
      const std::string age = std::to_string(to_ns(input_age));
      EXPECT_TRUE(gateway->send(session, make_frame(std::as_bytes(std::span{age}))));
    } else if (text == "hold") {
      held_.emplace_back(session, make_frame(payload));
    } else {
      refused += gateway->send(session, make_frame(payload)) ? 0 : 1;
    }
  }
  void on_end(SessionId session, EndReason reason, Instant /*now*/) override {
    EXPECT_EQ(open.erase(session), 1U) << "ended twice, or never opened";
    slots_.erase(session.slot);
    ends.push_back(reason);
    if (flooded_ == session) flooded_.reset();
  }
  void on_drained(SessionId session, Instant /*now*/) override {
    EXPECT_TRUE(open.contains(session)) << "drained after the end";
    ++drained;
    const std::string text = "flooded by " + std::to_string(floods);
    EXPECT_TRUE(gateway->send(session, make_frame(std::as_bytes(std::span{text}))));
  }
  void on_turn_end(Instant /*now*/) override {
    ++turn_ends;
    for (auto& [session, frame] : held_) {
      EXPECT_TRUE(gateway->send(session, std::move(frame)));
    }
    held_.clear();
    if (!flooded_) return;
    std::string text = std::to_string(floods);
    text.resize(16 * 1024, ' ');
    if (gateway->send(*flooded_, make_frame(std::as_bytes(std::span{text})))) {
      ++floods;
      boost::asio::post(*io, [this] { gateway->begin_turn(); });
    } else {
      EXPECT_FALSE(gateway->has_room(*flooded_));
      flooded_.reset();
      ++refused;
    }
  }
  HttpAnswer on_http_get(std::string_view target) override {
    if (target == "/missing") return {404, "text/plain", "nothing here"};
    return {200, "text/plain; version=0.0.4", "answer to " + std::string{target}};
  }

  boost::asio::io_context* io = nullptr;

 private:
  std::set<std::uint32_t> slots_;
  std::vector<std::pair<SessionId, SharedFrame>> held_;
  std::optional<SessionId> flooded_;
};

/// A gateway with an EchoHandler on a thread of its own.
class LiveGateway {
 public:
  explicit LiveGateway(GatewaySettings settings = {}) {
    std::promise<std::uint16_t> started;
    auto port = started.get_future();
    thread_ = std::thread{[this, settings, &started] {
      Gateway gateway{io_, settings, handler_};
      handler_.gateway = &gateway;
      handler_.io = &io_;
      started.set_value(gateway.port());
      // As a server runs: it says when it sleeps.
      while (!io_.stopped()) {
        if (io_.poll() != 0 || io_.stopped()) continue;
        gateway.idle();
        io_.run_one();
      }
      open_at_end_ = handler_.open.size();
    }};
    port_ = port.get();
  }
  ~LiveGateway() { stop(); }
  LiveGateway(const LiveGateway&) = delete;
  LiveGateway& operator=(const LiveGateway&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Runs `f(gateway, handler)` on the I/O thread and returns what it returns.
  template <class F>
  auto ask(F f) {
    std::packaged_task<decltype(f(*handler_.gateway, handler_))()> task{
        [this, &f] { return f(*handler_.gateway, handler_); }};
    auto result = task.get_future();
    boost::asio::post(io_, [&task] { task(); });
    return result.get();
  }
  [[nodiscard]] EchoHandler& handler() { return handler_; }
  GatewayCounters counters() {
    return ask([](Gateway& gateway, EchoHandler&) { return gateway.counters(); });
  }
  Operations operations() {
    return ask([](Gateway& gateway, EchoHandler&) { return gateway.operations(); });
  }
  std::size_t sessions() {
    return ask([](Gateway& gateway, EchoHandler&) { return gateway.sessions(); });
  }
  /// Asks until `condition(*this)` holds; false after ten seconds.
  template <class F>
  bool eventually(F condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!condition(*this)) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  [[nodiscard]] std::uint64_t ended(EndReason reason) {
    return counters().sessions_ended[static_cast<std::size_t>(reason)];
  }

  /// Stops the gateway and waits until its io_context has run out of work.
  void stop(Duration grace = std::chrono::milliseconds{200}) {
    if (!thread_.joinable()) return;
    boost::asio::post(
        io_, [this, grace] { handler_.gateway->stop(protocol::CloseCode::going_away, grace); });
    thread_.join();
    EXPECT_EQ(open_at_end_, 0U) << "every session was told to have ended";
  }

 private:
  boost::asio::io_context io_{1};
  EchoHandler handler_;
  std::thread thread_;
  std::uint16_t port_ = 0;
  std::size_t open_at_end_ = 0;
};

}  // namespace clamor::gateway
