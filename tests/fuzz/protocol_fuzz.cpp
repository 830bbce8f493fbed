// Protocol messages of both directions: whatever decodes is encoded to the very bytes it came from.

#include "server/protocol/codec.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <string>

namespace clamor::fuzz {
namespace {

constexpr std::byte from_client{0};
constexpr std::byte from_server{1};

template <class Message>
Buffer seed(std::byte direction, const Message& message) {
  Buffer out{direction};
  protocol::encode(message, out);
  return out;
}

template <class Decoded>
void check(const Decoded& decoded, std::span<const std::byte> bytes) {
  if (!decoded) {
    require(protocol::name_of(decoded.error()) != "?", "every error has a name");
    return;
  }
  Buffer again;
  protocol::encode(*decoded, again);
  require(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()),
          "a message has one encoding");
}

}  // namespace

void run(std::span<const std::byte> input) {
  if (input.empty()) return;
  // A copy of its own size: a read past the end is seen.
  const Buffer bytes{input.begin() + 1, input.end()};
  if (input.front() == from_client) {
    check(protocol::decode_client(bytes), bytes);
  } else {
    check(protocol::decode_server(bytes), bytes);
  }
}

std::vector<Buffer> seeds() {
  using namespace protocol;
  using namespace std::chrono_literals;
  const ChannelId channel{9};
  const std::vector<HeldPosition> positions{{channel, {1, MessageId{3}}},
                                            {ChannelId{10}, {1, MessageId{1}}}};
  const Buffer body = fuzz::bytes_of("hello");
  Login login;
  login.token = "42.1893456000.6def2874168655ea";
  login.device = DeviceId{1};
  login.queue_position = QueueSequence{5};
  login.positions = positions;
  core::Record record{};
  record.channel = channel;
  record.id = MessageId{4};
  record.kind = core::RecordKind::message;
  record.sender = UserId{17};
  record.device = DeviceId{1};
  record.client_message_id = ClientMessageId{1};
  const RecordFrame frame{record, body};
  Page page{.last = true, .queue_position = QueueSequence{12}, .items = {}};
  page.items.emplace_back(IntervalStart{channel, MessageId{4}});
  page.items.emplace_back(frame);
  page.items.emplace_back(HistoryTruncated{channel, MessageId{1}, MessageId{2}});
  Send reply{channel, ClientMessageId{2}, body};
  reply.target = MessageId{4};
  reply.mentions = {UserId{17}, everyone};
  Send edit{channel, ClientMessageId{3}, body};
  edit.kind = core::RecordKind::edit;
  edit.target = MessageId{4};
  return {
      seed(from_client, reply),
      seed(from_client, edit),
      seed(from_client, Typing{channel}),
      seed(from_client, Authenticate{UserId{42}, "correct horse"}),
      seed(from_client, SetAccount{"operator.1893456000.00", UserId{42}, "correct horse"}),
      seed(from_server, TokenGranted{"42.1893456000.00", 5s}),
      seed(from_server, AccountSet{UserId{42}}),
      seed(from_server, UserTyping{channel, UserId{17}}),
      seed(from_client, SubscribePresence{3, {UserId{17}}}),
      seed(from_client, UnsubscribePresence{{UserId{17}, UserId{18}}}),
      seed(from_server, Presence{{{UserId{17}, true, 0}, {UserId{18}, false, 90}}}),
      seed(from_client, Read{channel, MessageId{4}}),
      seed(from_server, Unread{{{channel, MessageId{2}, MessageId{4}, 2, 1}}}),
      seed(from_client, login),
      seed(from_client, Send{channel, ClientMessageId{1}, body}),
      seed(from_client, DeviceAck{QueueSequence{12}, positions}),
      seed(from_client, Heartbeat{}),
      seed(from_client, CreateChannel{channel, {UserId{1}, UserId{2}}}),
      seed(from_client, Join{channel}),
      seed(from_client, Leave{channel}),
      seed(from_client, NextPage{}),
      seed(from_server, LoginAccepted{UserId{42}, Term{1}, 5s}),
      seed(from_server, Ack{channel, ClientMessageId{1}, MessageId{5}}),
      seed(from_server, frame),
      seed(from_server, page),
      seed(from_server, ChannelChanged{channel, MessageId{1}}),
      seed(from_server, Refused{.code = RefusalCode::overloaded,
                                .retry_after = 250ms,
                                .channel = channel,
                                .detail = "later"}),
  };
}

}  // namespace clamor::fuzz
