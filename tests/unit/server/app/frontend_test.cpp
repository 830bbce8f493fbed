// A frontend whose owners are played by the test: what they answer, and in which order.

#include "server/app/frontend.hpp"

#include "server/app/channels.hpp"
#include "server/protocol/close.hpp"
#include "tests/unit/server/gateway/raw_peer.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace clamor::server {
namespace {

constexpr std::string_view secret = "sixteen bytes and more";
constexpr NodeId self{0};
constexpr NodeId one{1};
constexpr NodeId two{2};

Settings settings() {
  Settings settings;
  settings.secret = secret;
  settings.catch_up_held_records = 1;
  settings.page.records = 3;
  return settings;
}

/// A frontend on an I/O thread of its own; what it says to owners is kept until the test takes it.
class PlayedOwners final : public gateway::Handler, private bus::Bus {
 public:
  PlayedOwners() {
    std::promise<std::uint16_t> started;
    auto port = started.get_future();
    thread_ = std::thread{[this, &started] {
      const gateway::GatewaySettings edge{.session_limits = {.buffer_bytes = 64 * 1024}};
      gateway::Gateway gateway{io_, edge, *this};
      gateway_ = &gateway;
      frontend_.attach(gateway);
      frontend_.on_node_up(one, {1});
      frontend_.on_node_up(two, {1});
      started.set_value(gateway.port());
      io_.run();
    }};
    port_ = port.get();
  }
  ~PlayedOwners() override {
    on_thread([&] { gateway_->stop(protocol::CloseCode::draining, std::chrono::seconds{1}); });
    thread_.join();
  }
  PlayedOwners(const PlayedOwners&) = delete;
  PlayedOwners& operator=(const PlayedOwners&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const directory::Directory& directory() const { return directory_; }

  /// An owner says something.
  template <class Message>
  void say(NodeId from, Message message) {
    on_thread([&] {
      context_.begin_turn();
      frontend_.handle(from, std::move(message));
    });
  }
  void lose(NodeId node) {
    on_thread([&] { frontend_.on_node_down(node); });
  }
  /// What the frontend has said to an owner, the oldest M; waits for it, ten seconds at most.
  template <class M>
  M take(NodeId owner) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    for (;;) {
      std::vector<M> found;
      on_thread([&] {
        const auto said = std::find_if(said_.begin(), said_.end(), [&](const auto& one_said) {
          return one_said.first == owner && std::holds_alternative<M>(one_said.second);
        });
        if (said == said_.end()) return;
        found.push_back(std::get<M>(std::move(said->second)));
        said_.erase(said);
      });
      if (!found.empty()) return std::move(found.front());
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("it is not said");
      std::this_thread::yield();
    }
  }
  /// As after long overload.
  void turn_away(core::MessageClass what) {
    on_thread([&] { context_.admission.gates.at(static_cast<std::size_t>(what)).closed = true; });
  }
  [[nodiscard]] Operations operations() {
    Operations operations;
    on_thread([&] { operations = context_.operations; });
    return operations;
  }
  [[nodiscard]] Incidents incidents() {
    Incidents incidents;
    on_thread([&] { incidents = context_.incidents; });
    return incidents;
  }
  template <class M>
  [[nodiscard]] bool has_said() {
    bool said = false;
    on_thread([&] {
      said = std::any_of(said_.begin(), said_.end(), [](const auto& one_said) {
        return std::holds_alternative<M>(one_said.second);
      });
    });
    return said;
  }

 private:
  template <class F>
  void on_thread(F f) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }

  void on_open(gateway::SessionId id, Instant) override { frontend_.on_open(id); }
  void on_message(gateway::SessionId id, std::span<const std::byte> payload, Instant) override {
    frontend_.on_message(id, payload);
  }
  void on_end(gateway::SessionId id, gateway::EndReason, Instant) override {
    frontend_.on_end(id, {});
  }
  void on_drained(gateway::SessionId id, Instant) override { frontend_.on_drained(id); }
  void on_turn_end(Instant) override { frontend_.end_turn(); }
  gateway::HttpAnswer on_http_get(std::string_view) override { return {}; }

  void send(NodeId to, bus::Message message) override {
    said_.emplace_back(to, std::move(message));
  }
  void flush() override {}
  [[nodiscard]] bool is_up(NodeId) const override { return true; }
  [[nodiscard]] std::uint64_t frames() const override { return 0; }

  boost::asio::io_context io_{1};
  gateway::Gateway* gateway_ = nullptr;
  const Settings settings_ = settings();
  const directory::Directory directory_{{self, one, two}, 16};
  NodeContext context_{.self = self,
                       .term = {1},
                       .settings = settings_,
                       .directory = directory_,
                       .bus = *this,
                       .begin_turn = [this] { gateway_->begin_turn(); }};
  Frontend frontend_{io_, context_};
  std::vector<std::pair<NodeId, bus::Message>> said_;
  std::thread thread_;
  std::uint16_t port_ = 0;
};

class FrontendAsksOwners : public testing::Test {
 protected:
  using Ids = std::vector<std::uint64_t>;

  FrontendAsksOwners() : peer_{gateway::RawPeer::upgraded(owners_.port(), 4096)} {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const std::string token = token::mint(token::derive_key(secret), user_, now.count() + 3600);
    send(protocol::Login{.token = token, .device = {1}, .queue_position = {}, .positions = {}});
    session_ = owners_.take<bus::UserLogin>(self).session;
  }

  /// The first id above `after` that the node owns.
  template <class Which>
  [[nodiscard]] Which of(NodeId node, Which after = {}) const {
    Which id{after.value + 1};
    while (owners_.directory().owner(id) != node) ++id.value;
    return id;
  }
  template <class Message>
  void send(const Message& message) {
    std::vector<std::byte> payload;
    protocol::encode(message, payload);
    peer_.send(gateway::client_frame(gateway::text_of(payload)));
  }

  void say_channels(std::vector<ChannelId> channels) {
    owners_.say(self, bus::UserChannels{session_, std::move(channels)});
  }
  /// Answers a registration: the user is in the channel from `join` on.
  void say_registered(NodeId owner, bus::Ticket session, std::uint32_t round, ChannelId channel,
                      MessageId head, MessageId join = {1}, MessageId kept_from = {1}) {
    owners_.say(owner, bus::Registered{.session = session,
                                       .round = round,
                                       .channels = {{.channel = channel,
                                                     .head = head,
                                                     .kept_from = kept_from,
                                                     .design = core::ChannelDesign::per_group,
                                                     .registered = join <= head,
                                                     .intervals_end = 1}},
                                       .intervals = {{.join = join}}});
  }
  /// Answers the round's registration with one owner.
  void answer_registration(NodeId owner, ChannelId channel, MessageId head) {
    const auto asked = owners_.take<bus::Register>(owner);
    ASSERT_EQ(asked.channels, std::vector{channel});
    say_registered(owner, session_, asked.round, channel, head);
  }
  /// A record comes live.
  void publish(NodeId owner, ChannelId channel, MessageId id,
               core::RecordKind kind = core::RecordKind::message) {
    publish(owner, record(channel, id, kind), body());
  }
  void publish(NodeId owner, const core::Record& record, const std::vector<std::byte>& body) {
    auto commit = std::make_shared<store::Commit>();
    commit->add(record, body, {});
    owners_.say(owner, bus::Published{.term = {1},
                                      .number = ++published_[owner],
                                      .commit = std::move(commit),
                                      .entries = {{.live = true, .answer = {}}}});
  }
  /// Publishes long records of the first channel, above `head`, until the session, which does not
  /// read, is behind; returns the id of the first one that it was not sent.
  MessageId overrun(MessageId head) {
    const std::vector<std::byte> body(16 * 1024);
    const std::uint64_t before = owners_.incidents().fell_behind;
    for (int records = 0; owners_.incidents().fell_behind == before; ++records) {
      if (records == 10'000) throw std::runtime_error("the session never falls behind");
      publish(one, record(first_, ++head, core::RecordKind::message), body);
    }
    return head;
  }
  /// Logs in with both channels, of one record each, and catches up.
  void go_live() {
    say_channels({first_, second_});
    expect_login();
    answer_registration(one, first_, {1});
    answer_registration(two, second_, {1});
    EXPECT_EQ(answer_read(one), Ids{1});
    EXPECT_EQ(answer_read(two), Ids{1});
    EXPECT_TRUE(read_page().last);
  }
  /// The next message, which is a live record.
  std::pair<ChannelId, std::uint64_t> read_record() {
    const std::string payload = peer_.read_message();
    const auto message = protocol::decode_server(std::as_bytes(std::span{payload}));
    const auto* const frame = std::get_if<protocol::RecordFrame>(&message.value());
    if (frame == nullptr) {
      ADD_FAILURE() << "no record";
      return {};
    }
    return {frame->record.channel, frame->record.id.value};
  }
  /// Reads live records of the first channel.
  void read_records(MessageId from, MessageId to) {
    for (MessageId id = from; id <= to; ++id) {
      ASSERT_EQ(read_record(), std::pair(first_, id.value));
    }
  }

  /// Answers a read of a log that begins at `kept_from`; its records are returned.
  std::vector<std::uint64_t> answer_read(NodeId owner, std::size_t body_bytes = 8,
                                         MessageId kept_from = {1}) {
    const auto asked = owners_.take<bus::ReadLog>(owner);
    bus::LogRead read{.session = asked.session,
                      .reading = asked.reading,
                      .channel = asked.channel,
                      .kept_from = kept_from,
                      .tail = {},
                      .batch = {},
                      .failure = {}};
    std::vector<std::uint64_t> ids;
    for (MessageId id = std::max(asked.after + 1, kept_from); id <= asked.up_to; ++id) {
      if (read.batch.size() == asked.records_max) break;
      read.batch.add(record(asked.channel, id, core::RecordKind::message),
                     std::vector<std::byte>(body_bytes));
      ids.push_back(id.value);
    }
    owners_.say(owner, std::move(read));
    return ids;
  }
  void expect_login() {
    const std::string payload = peer_.read_message();
    const auto message = protocol::decode_server(std::as_bytes(std::span{payload}));
    EXPECT_TRUE(std::holds_alternative<protocol::LoginAccepted>(message.value()));
  }
  /// Channel and id of the next page's records; whether it is the last.
  struct Page {
    bool last = false;
    std::vector<std::pair<ChannelId, std::uint64_t>> records;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> gone;
  };
  Page read_page() {
    const std::string payload = peer_.read_message();
    const auto message = protocol::decode_server(std::as_bytes(std::span{payload}));
    const auto* const page = std::get_if<protocol::Page>(&message.value());
    if (page == nullptr) {
      ADD_FAILURE() << "no page";
      return {};
    }
    Page read{page->last, {}, {}};
    for (const protocol::PageItem& item : page->items) {
      if (const auto* const gone = std::get_if<protocol::HistoryTruncated>(&item)) {
        read.gone.emplace_back(gone->from.value, gone->to.value);
      }
      const auto* const found = std::get_if<protocol::RecordFrame>(&item);
      if (found == nullptr) continue;
      read.records.emplace_back(found->record.channel, found->record.id.value);
    }
    return read;
  }

  PlayedOwners owners_;
  const UserId user_ = of<UserId>(self);
  const ChannelId first_ = of<ChannelId>(one);
  const ChannelId second_ = of<ChannelId>(two, first_);  ///< Read after the first.
  gateway::RawPeer peer_;
  bus::Ticket session_;

 protected:
  [[nodiscard]] static core::Record record(ChannelId channel, MessageId id, core::RecordKind kind) {
    return {.channel = channel, .id = id, .kind = kind, .sender = {99}, .device = {1}};
  }
  /// The user: what a join or leave of it says.
  [[nodiscard]] std::vector<std::byte> body() const {
    std::vector<std::byte> body;
    append_user(user_, body);
    return body;
  }
  std::map<NodeId, std::uint64_t> published_;  ///< Commits so far, by owner.
};

TEST_F(FrontendAsksOwners, AnAnswerThatBelongsToNoRoundDoesNotStandForOneOfTheNext) {
  say_channels({first_});
  expect_login();
  answer_registration(one, first_, {1});
  // The session is planned for: what it hears of the second channel is outside the round.
  owners_.say(self, bus::Joined{session_, second_, {}});
  const auto late = owners_.take<bus::Register>(two);
  publish(one, first_, {2});
  publish(one, first_, {3});
  EXPECT_EQ(answer_read(one), Ids{1});
  // Two records were one too many to hold: another round.
  EXPECT_EQ(owners_.take<bus::UserLogin>(self).session, session_);
  say_registered(two, session_, late.round, second_, {1});
  const auto third = of<ChannelId>(self, second_);
  say_channels({first_, third});
  answer_registration(one, first_, {3});
  EXPECT_FALSE(owners_.has_said<bus::ReadLog>()) << "a plan without the third channel";
  answer_registration(self, third, {1});
  EXPECT_EQ(answer_read(one), (Ids{2, 3}));
  EXPECT_FALSE(read_page().last);
  send(protocol::NextPage{});
  EXPECT_EQ(answer_read(two), Ids{1});
  EXPECT_EQ(answer_read(self), Ids{1});
  const Page last = read_page();
  EXPECT_TRUE(last.last);
  const std::uint64_t id = 1;
  EXPECT_EQ(last.records, (std::vector{std::pair{second_, id}, std::pair{third, id}}));
}

TEST_F(FrontendAsksOwners, APlanWaitsForTheUsersListOfChannels) {
  owners_.say(self, bus::Joined{session_, second_, {1}});
  answer_registration(two, second_, {1});
  EXPECT_FALSE(owners_.has_said<bus::ReadLog>()) << "a plan without the other channels";
  say_channels({first_, second_});
  expect_login();
  answer_registration(one, first_, {1});
  answer_registration(two, second_, {1});
  EXPECT_EQ(answer_read(one), Ids{1});
  EXPECT_EQ(answer_read(two), Ids{1});
  const Page page = read_page();
  EXPECT_TRUE(page.last);
  EXPECT_EQ(page.records.size(), 2U);
}

TEST_F(FrontendAsksOwners, NothingAfterALeaveThatCameBeforeThePlanIsRead) {
  say_channels({first_, second_});
  expect_login();
  answer_registration(one, first_, {1});
  publish(one, first_, {2}, core::RecordKind::leave);
  publish(one, first_, {3});
  answer_registration(two, second_, {});
  EXPECT_EQ(answer_read(one), (Ids{1, 2}));
  EXPECT_TRUE(read_page().last);
}

TEST_F(FrontendAsksOwners, WhatARepairBringsBeforeThePlanIsRead) {
  say_registered(one, bus::no_session, 0, first_, {1});
  say_channels({first_, second_});
  expect_login();
  // The user has joined by a record that was lost on its way here.
  const auto asked = owners_.take<bus::Register>(one);
  say_registered(one, session_, asked.round, first_, {3}, {2});
  EXPECT_EQ(answer_read(one), (Ids{2, 3}));
  answer_registration(two, second_, {});
  EXPECT_EQ(answer_read(one), (Ids{2, 3})) << "nothing is held before the plan";
  EXPECT_TRUE(read_page().last);
}

TEST_F(FrontendAsksOwners, ASessionBetweenTwoPagesIsClosedWhenANodeGoes) {
  say_channels({first_});
  expect_login();
  answer_registration(one, first_, {9});
  EXPECT_EQ(answer_read(one).size(), 3U);
  EXPECT_FALSE(read_page().last);
  owners_.lose(one);
  EXPECT_EQ(peer_.read_close(), static_cast<std::uint16_t>(protocol::CloseCode::internal_error));
}

TEST_F(FrontendAsksOwners, WhoFellBehindCatchesUpFromWhatItWasSentOnceItHasReadThat) {
  go_live();
  const MessageId missed = overrun({1});
  publish(one, first_, missed + 1);
  publish(two, second_, {2});
  EXPECT_FALSE(owners_.has_said<bus::Register>()) << "it has not read what is on its way";
  read_records({2}, missed - 1);
  answer_registration(one, first_, missed + 1);
  publish(two, second_, {3});  // Not planned for yet: not held either.
  answer_registration(two, second_, {3});
  EXPECT_EQ(answer_read(one), (Ids{missed.value, missed.value + 1}));
  EXPECT_EQ(answer_read(two), Ids{2});
  const Page page = read_page();
  EXPECT_FALSE(page.last) << "three records a page";
  EXPECT_EQ(page.records,
            (std::vector{std::pair{first_, missed.value}, std::pair{first_, missed.value + 1},
                         std::pair{second_, std::uint64_t{2}}}));
  publish(two, second_, {4});
  send(protocol::NextPage{});
  EXPECT_EQ(answer_read(two), Ids{3});
  EXPECT_TRUE(read_page().last);
  EXPECT_EQ(read_record(), std::pair(second_, std::uint64_t{4})) << "held for the pages' end";
  publish(one, first_, missed + 2);
  EXPECT_EQ(read_record(), std::pair(first_, missed.value + 2)) << "live again";
  EXPECT_FALSE(owners_.has_said<bus::UserLogin>());
  EXPECT_EQ(owners_.incidents().fell_behind, 1U);
}

TEST_F(FrontendAsksOwners, WhatWaitedForALastPageAndFindsNoRoomBehindItIsReadAgain) {
  go_live();
  const MessageId missed = overrun({1});
  read_records({2}, missed - 1);
  answer_registration(one, first_, missed);
  answer_registration(two, second_, {1});
  publish(one, first_, missed + 1);  // It waits for the page that is being read.
  EXPECT_EQ(answer_read(one, 80 * 1024), Ids{missed.value});
  EXPECT_TRUE(read_page().last);
  EXPECT_EQ(owners_.incidents().fell_behind, 2U);
  answer_registration(one, first_, missed + 1);
  answer_registration(two, second_, {1});
  EXPECT_EQ(answer_read(one), Ids{missed.value + 1});
  const Page page = read_page();
  EXPECT_TRUE(page.last);
  EXPECT_EQ(page.records, (std::vector{std::pair{first_, missed.value + 1}}));
}

TEST_F(FrontendAsksOwners, AnswersOfWhoIsBehindFollowThePages) {
  go_live();
  const MessageId missed = overrun({1});
  const std::vector<std::byte> too_large(17 * 1024);
  send(protocol::Send{first_, {1}, {}});
  const auto asked = owners_.take<bus::SendRequest>(one);
  owners_.say(one, bus::LateAck{asked.device_ticket, asked.device_incarnation, first_,
                                asked.client_message_id, missed + 1});
  publish(one, first_, missed + 1);
  send(protocol::Send{second_, {1}, too_large});
  read_records({2}, missed - 1);
  answer_registration(one, first_, missed + 1);
  answer_registration(two, second_, {1});
  EXPECT_EQ(answer_read(one), (Ids{missed.value, missed.value + 1}));
  EXPECT_TRUE(read_page().last);
  const std::string ack = peer_.read_message();
  const auto acknowledged = protocol::decode_server(std::as_bytes(std::span{ack}));
  EXPECT_EQ(std::get<protocol::Ack>(*acknowledged).message_id, missed + 1);
  const std::string refusal = peer_.read_message();
  const auto refused = protocol::decode_server(std::as_bytes(std::span{refusal}));
  EXPECT_EQ(std::get<protocol::Refused>(*refused).code, protocol::RefusalCode::body_too_large);
}

// A handshake is refused before; this one was done when the load came.
TEST_F(FrontendAsksOwners, ALoginUnderLoadIsRefusedWithATimeToComeAgain) {
  gateway::RawPeer late = gateway::RawPeer::upgraded(owners_.port());
  owners_.turn_away(core::MessageClass::login);
  std::vector<std::byte> payload;
  protocol::encode(
      protocol::Login{.token = "any", .device = {1}, .queue_position = {}, .positions = {}},
      payload);
  late.send(gateway::client_frame(gateway::text_of(payload)));
  const std::string refusal = late.read_message();
  const auto refused = protocol::decode_server(std::as_bytes(std::span{refusal}));
  EXPECT_EQ(std::get<protocol::Refused>(*refused).code, protocol::RefusalCode::overloaded);
  EXPECT_EQ(std::get<protocol::Refused>(*refused).retry_after, std::chrono::seconds{1});
  const gateway::RawPeer::Event close = late.read_event();
  EXPECT_EQ(close.close_code, static_cast<std::uint16_t>(protocol::CloseCode::overloaded));
  EXPECT_EQ(protocol::return_window_of(close.payload).from, std::chrono::seconds{1});
  EXPECT_EQ(owners_.operations().logins_refused, 1U);
}

TEST_F(FrontendAsksOwners, ASendUnderLoadReachesNoOwner) {
  go_live();
  owners_.turn_away(core::MessageClass::message);
  send(protocol::Send{first_, {1}, {}});
  const std::string refusal = peer_.read_message();
  const auto refused = protocol::decode_server(std::as_bytes(std::span{refusal}));
  EXPECT_EQ(std::get<protocol::Refused>(*refused).code, protocol::RefusalCode::overloaded);
  EXPECT_EQ(std::get<protocol::Refused>(*refused).client_message_id.value, 1U);
  EXPECT_FALSE(owners_.has_said<bus::SendRequest>());
}

TEST_F(FrontendAsksOwners, WhatLeavesTheLogAfterThePlanIsToldInThePages) {
  say_channels({first_});
  expect_login();
  const auto asked = owners_.take<bus::Register>(one);
  say_registered(one, session_, asked.round, first_, {9}, {1}, {3});
  EXPECT_EQ(answer_read(one, 8, {6}).front(), 6U) << "it was to be read from 3 on";
  EXPECT_EQ(answer_read(one, 8, {6}), Ids{6}) << "a page has three items";
  const Page page = read_page();
  EXPECT_EQ(page.gone, (std::vector{std::pair{std::uint64_t{1}, std::uint64_t{2}},
                                    std::pair{std::uint64_t{3}, std::uint64_t{5}}}));
  EXPECT_EQ(page.records, (std::vector{std::pair{first_, std::uint64_t{6}}}));
  send(protocol::NextPage{});
  EXPECT_EQ(answer_read(one, 8, {6}), (Ids{7, 8, 9}));
  EXPECT_TRUE(read_page().last);
  EXPECT_EQ(owners_.incidents().expired_deliveries, 5U);
}

TEST_F(FrontendAsksOwners, AGapOfRecordsThatAreGoneIsToldInPagesAndLiveRecordsGoOn) {
  go_live();
  publish(one, first_, {6});  // 2 to 5 were lost on their way here.
  EXPECT_EQ(answer_read(one, 8, {4}), (Ids{4, 5, 6}));
  const auto asked = owners_.take<bus::Register>(one);
  EXPECT_EQ(asked.channels, std::vector{first_});
  say_registered(one, session_, asked.round, first_, {6}, {1}, {4});
  answer_registration(two, second_, {1});
  EXPECT_EQ(answer_read(one, 8, {4}), (Ids{4, 5}));
  Page page = read_page();
  EXPECT_EQ(page.gone, (std::vector{std::pair{std::uint64_t{2}, std::uint64_t{3}}}));
  EXPECT_FALSE(page.last);
  send(protocol::NextPage{});
  EXPECT_EQ(answer_read(one, 8, {4}), Ids{6});
  page = read_page();
  EXPECT_TRUE(page.last);
  EXPECT_EQ(page.records, (std::vector{std::pair{first_, std::uint64_t{6}}}));
  publish(one, first_, {7});
  EXPECT_EQ(read_record(), std::pair(first_, std::uint64_t{7}));
}

TEST_F(FrontendAsksOwners, WhoIsBehindAndAddedToAChannelIsClosedAndComesBack) {
  go_live();
  const MessageId missed = overrun({1});
  owners_.say(self, bus::Joined{session_, of<ChannelId>(one, second_), {7}});
  read_records({2}, missed - 1);
  const gateway::RawPeer::Event close = peer_.read_event();
  EXPECT_EQ(close.close_code, static_cast<std::uint16_t>(protocol::CloseCode::slow_consumer));
  EXPECT_EQ(protocol::return_window_of(close.payload).from, std::chrono::seconds{1});
}

}  // namespace
}  // namespace clamor::server
