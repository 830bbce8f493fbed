// A client that stops reading: it misses nothing, hears nothing twice, and others do not wait for
// it. Method: it takes little that it does not read, the server buffers little, and somebody talks
// until the server says that the session is behind.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace clamor::test {
namespace {

const std::string long_text(15'000, 'x');

std::string settings(const std::string& age, const std::string& design = "per_user") {
  return "durability: os\ndesign: " + design +
         "\nlimits: {session_buffer_bytes: 65536, session_buffer_age: " + age + "}\n";
}

constexpr const char* fell_behind = "clamor_fell_behind_total";
constexpr const char* closed_slow = "clamor_gateway_sessions_ended_total{reason=\"slow_consumer\"}";

/// Two channels; the reader of both is at one gateway, the talker at the other.
struct Hall {
  explicit Hall(const std::string& settings) : server{settings, 0, 2} {
    reader.receive_little();
    reader.come_online(server.ports()[0]);
    talker.come_online(server.ports()[1]);
    for (const std::uint64_t channel : {10U, 11U}) {
      talker.create(channel, {1, 2});
      talker.say(channel, "hello");
    }
    while (reader.position(10) < head(10) || reader.position(11) < head(11)) reader.take_any();
  }
  /// The talker's position is the channel's last id: it waits for its acks.
  [[nodiscard]] std::uint64_t head(std::uint64_t channel) { return talker.position(channel); }
  /// Talks until the metric is reached.
  void talk_until(const char* name, double value) {
    const auto until = std::chrono::steady_clock::now() + TestClient::patience;
    while (metric(server, name) < value) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << name;
      for (int i = 0; i < 20; ++i) talker.say(10U + static_cast<unsigned>(i) % 2, long_text);
    }
  }

  ServerProcess server;
  TestDevice reader{1, 1};
  TestDevice talker{2, 1};
};

class SlowConsumers : public testing::TestWithParam<const char*> {};

TEST_P(SlowConsumers, CatchesUpOnWhatItMissedAndGoesOnLive) {
  Hall hall{settings("60s", GetParam())};
  for (int time = 0; time < 2; ++time) {
    const std::size_t pages = hall.reader.pages();
    // It may fall behind again when answers find no room behind a last page.
    hall.talk_until(fell_behind, metric(hall.server, fell_behind) + 1);
    hall.reader.say_without_waiting(10, "from behind");
    hall.talker.take_any();  // The reader's message; others do not wait for it.
    hall.talker.say(11, "last");
    const auto acks = hall.reader.acknowledged().size();
    while (hall.reader.position(10) < hall.head(10) || hall.reader.position(11) < hall.head(11) ||
           hall.reader.acknowledged().size() == acks) {
      hall.reader.take_any();  // Throws where a channel's ids are not dense.
    }
    EXPECT_GT(hall.reader.pages(), pages);
    hall.talker.say(10, "live again");
    EXPECT_EQ(hall.reader.hear().body, "live again");
  }
  EXPECT_EQ(metric(hall.server, closed_slow), 0);
  EXPECT_EQ(metric(hall.server, "clamor_logins_total"), 2);
  EXPECT_EQ(metric(hall.server, "clamor_catch_up_failures_total"), 0);
}

INSTANTIATE_TEST_SUITE_P(Designs, SlowConsumers,
                         testing::Values("per_user", "per_member", "per_group"),
                         [](const auto& parameter) { return std::string{parameter.param}; });

TEST(SlowConsumer, ThatReadsNothingIsClosedAndMissesNothingWhenItComesBack) {
  Hall hall{settings("100ms")};
  hall.talk_until(closed_slow, 1);
  EXPECT_GE(metric(hall.server, fell_behind), 1) << "more where the sockets take in something yet";
  EXPECT_THROW(
      {
        for (;;) hall.reader.take_any();
      },
      std::runtime_error)
      << "its session has ended";
  EXPECT_LT(hall.reader.position(10), hall.head(10));
  hall.reader.come_online(hall.server.ports()[0]);
  EXPECT_EQ(hall.reader.position(10), hall.head(10));
  EXPECT_EQ(hall.reader.position(11), hall.head(11));
}

}  // namespace
}  // namespace clamor::test
