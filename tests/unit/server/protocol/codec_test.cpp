#include "server/protocol/codec.hpp"

#include "server/protocol/about.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <rapidcheck.h>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace clamor::protocol {
namespace {

using Buffer = std::vector<std::byte>;

/// Owns what the generated messages point to.
struct Arena {
  std::string text;
  Buffer body;
  std::vector<Buffer> item_bodies;
};

template <class T>
T any() {
  return *rc::gen::arbitrary<T>();
}

Buffer any_bytes(int max_bytes) {
  const auto values = *rc::gen::resize(max_bytes, rc::gen::arbitrary<std::vector<std::uint8_t>>());
  Buffer bytes;
  for (const std::uint8_t value : values) bytes.push_back(std::byte{value});
  return bytes;
}

std::vector<HeldPosition> any_positions() {
  std::vector<HeldPosition> positions(*rc::gen::inRange<std::size_t>(0, 20));
  for (HeldPosition& position : positions) {
    position = {{any<std::uint64_t>()}, {any<std::uint32_t>(), {any<std::uint64_t>()}}};
  }
  return positions;
}

RecordFrame any_record(const Buffer& body) {
  RecordFrame frame;
  frame.record = {{any<std::uint64_t>()},
                  {any<std::uint64_t>()},
                  static_cast<core::RecordKind>(*rc::gen::inRange(1, 11)),
                  any<bool>(),
                  any<bool>(),
                  0,
                  {any<std::uint64_t>()},
                  {any<std::uint32_t>()},
                  any<std::uint32_t>(),
                  {any<std::uint64_t>()},
                  instant_from_ns(any<std::int64_t>()),
                  static_cast<std::uint32_t>(body.size())};
  frame.body = body;
  return frame;
}

Duration any_milliseconds() { return std::chrono::milliseconds{any<std::uint32_t>()}; }

ClientMessage any_client_message(Arena& arena) {
  switch (*rc::gen::inRange(0, 15)) {
    case 0:
      arena.text = any<std::string>();
      return Login{arena.text,           {any<std::uint32_t>()},
                   any<std::uint32_t>(), {any<std::uint64_t>()},
                   any_positions(),      any<bool>()};
    case 1:
      arena.body = any_bytes(300);
      return Send{{any<std::uint64_t>()}, {any<std::uint64_t>()}, arena.body};
    case 2:
      return DeviceAck{{any<std::uint64_t>()}, any_positions()};
    case 3:
      return Heartbeat{};
    case 4: {
      CreateChannel create{{any<std::uint64_t>()}, {}};
      for (const auto user : any<std::vector<std::uint64_t>>()) create.members.push_back({user});
      return create;
    }
    case 5:
      return Join{{any<std::uint64_t>()}};
    case 6:
      return Leave{{any<std::uint64_t>()}};
    case 7: {
      Send send{{any<std::uint64_t>()}, {any<std::uint64_t>()}, {}};
      send.kind = static_cast<core::RecordKind>(*rc::gen::element(1, 6, 7, 8, 9));
      send.target = {*rc::gen::inRange<std::uint64_t>(1, 1000)};
      if (send.kind == core::RecordKind::message) {
        for (const auto user : any<std::vector<std::uint64_t>>()) send.mentions.push_back({user});
      }
      if (send.kind != core::RecordKind::deletion) arena.body = any_bytes(300);
      send.body = arena.body;
      return send;
    }
    case 9:
      return Typing{{any<std::uint64_t>()}};
    case 10: {
      SubscribePresence subscribe{any<std::uint16_t>(), {}};
      for (const auto user : any<std::vector<std::uint64_t>>()) subscribe.users.push_back({user});
      return subscribe;
    }
    case 11: {
      UnsubscribePresence unsubscribe;
      for (const auto user : any<std::vector<std::uint64_t>>()) unsubscribe.users.push_back({user});
      return unsubscribe;
    }
    case 12:
      arena.text = any<std::string>();
      return Authenticate{{any<std::uint64_t>()}, arena.text};
    case 13:
      arena.text = any<std::string>();
      return SetAccount{arena.text, {any<std::uint64_t>()}, arena.text};
    case 8:
      return Read{{any<std::uint64_t>()}, {any<std::uint64_t>()}};
    default:
      return NextPage{};
  }
}

Page any_page(Arena& arena) {
  Page page{any<bool>(), {any<std::uint64_t>()}, {}};
  const auto count = *rc::gen::inRange<std::size_t>(0, 12);
  arena.item_bodies.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    switch (*rc::gen::inRange(0, 3)) {
      case 0:
        page.items.emplace_back(IntervalStart{{any<std::uint64_t>()}, {any<std::uint64_t>()}});
        break;
      case 1:
        page.items.emplace_back(HistoryTruncated{
            {any<std::uint64_t>()}, {any<std::uint64_t>()}, {any<std::uint64_t>()}});
        break;
      default:
        page.items.emplace_back(any_record(arena.item_bodies.emplace_back(any_bytes(80))));
    }
  }
  return page;
}

ServerMessage any_server_message(Arena& arena) {
  switch (*rc::gen::inRange(0, 11)) {
    case 0:
      return LoginAccepted{{any<std::uint64_t>()},
                           {any<std::uint32_t>()},
                           any_milliseconds(),
                           arena.text = any<std::string>()};
    case 1:
      return Ack{{any<std::uint64_t>()}, {any<std::uint64_t>()}, {any<std::uint64_t>()}};
    case 2:
      arena.body = any_bytes(300);
      return any_record(arena.body);
    case 3:
      return any_page(arena);
    case 4:
      return ChannelChanged{{any<std::uint64_t>()}, {any<std::uint64_t>()}};
    case 8:
      arena.text = any<std::string>();
      return TokenGranted{arena.text, any_milliseconds()};
    case 9:
      return AccountSet{{any<std::uint64_t>()}};
    case 6:
      return UserTyping{{any<std::uint64_t>()}, {any<std::uint64_t>()}};
    case 7: {
      Presence presence{std::vector<PresenceState>(*rc::gen::inRange<std::size_t>(0, 20))};
      for (PresenceState& state : presence.users) {
        state = {{any<std::uint64_t>()}, any<bool>(), any<std::uint32_t>()};
        if (state.online) state.silent_seconds = 0;
      }
      return presence;
    }
    case 5: {
      Unread unread{std::vector<UnreadState>(*rc::gen::inRange<std::size_t>(0, 20))};
      for (UnreadState& state : unread.channels) {
        state = {{any<std::uint64_t>()},
                 {any<std::uint64_t>()},
                 {any<std::uint64_t>()},
                 any<std::uint32_t>(),
                 any<std::uint32_t>()};
      }
      return unread;
    }
    default:
      arena.text = any<std::string>();
      return Refused{static_cast<RefusalCode>(any<std::uint16_t>()),
                     any_milliseconds(),
                     {any<std::uint64_t>()},
                     {any<std::uint64_t>()},
                     {any<std::uint64_t>()},
                     arena.text};
  }
}

template <class Message>
Buffer encoded(const Message& message) {
  Buffer bytes;
  encode(message, bytes);
  return bytes;
}

template <class F>
void hold(const char* what, F property) {
  EXPECT_TRUE(rc::check(what, property));
}

// Method: bytes are compared, since encoding is injective; a field that decoding drops or swaps
// changes the second encoding.
TEST(Codec, DecodedMessageEncodesToTheSameBytes) {
  hold("client", [] {
    Arena arena;
    const ClientMessage message = any_client_message(arena);
    const Buffer bytes = encoded(message);
    const auto decoded = decode_client(bytes);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->index() == message.index());
    RC_ASSERT(encoded(*decoded) == bytes);
  });
  hold("server", [] {
    Arena arena;
    const ServerMessage message = any_server_message(arena);
    const Buffer bytes = encoded(message);
    const auto decoded = decode_server(bytes);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->index() == message.index());
    RC_ASSERT(encoded(*decoded) == bytes);
  });
}

TEST(Codec, EveryProperPrefixIsTruncatedAndEveryExtensionTrailing) {
  hold("client", [] {
    Arena arena;
    Buffer bytes = encoded(any_client_message(arena));
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      RC_ASSERT(decode_client(Bytes{bytes}.first(size)).error() == DecodeError::truncated);
    }
    bytes.push_back(std::byte{0});
    RC_ASSERT(decode_client(bytes).error() == DecodeError::trailing_bytes);
  });
  hold("server", [] {
    Arena arena;
    Buffer bytes = encoded(any_server_message(arena));
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      RC_ASSERT(decode_server(Bytes{bytes}.first(size)).error() == DecodeError::truncated);
    }
    bytes.push_back(std::byte{0});
    RC_ASSERT(decode_server(bytes).error() == DecodeError::trailing_bytes);
  });
}

// Goal: hostile bytes never crash (asan watches) and what decodes is canonical.
TEST(Codec, MutatedBytesAreRefusedOrDecodeToThemselves) {
  hold("mutation", [] {
    Arena arena;
    Buffer bytes = *rc::gen::arbitrary<bool>() ? encoded(any_client_message(arena))
                                               : encoded(any_server_message(arena));
    for (int i = 0; i < 30; ++i) {  // mutations pile up; early ones leave the bytes decodable
      const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
      bytes[at] = std::byte{*rc::gen::element<std::uint8_t>(0, 1, 2, 0x7F, 0x80, 0x84, 0xFF)};
      if (const auto client = decode_client(bytes)) RC_ASSERT(encoded(*client) == bytes);
      if (const auto server = decode_server(bytes)) RC_ASSERT(encoded(*server) == bytes);
    }
  });
}

TEST(Codec, WhatARecordIsAboutReadsBackFromItsBody) {
  const Buffer text = {std::byte{'h'}, std::byte{'i'}};
  const std::vector<UserId> mentions{{3}, everyone};
  Buffer body;
  append_about({7}, mentions, text, body);
  const auto about = read_about(body);
  ASSERT_TRUE(about);
  EXPECT_EQ(about->target, MessageId{7});
  EXPECT_EQ(about->mentions, mentions);
  EXPECT_TRUE(std::equal(about->text.begin(), about->text.end(), text.begin(), text.end()));
  for (std::size_t size = 0; size < body.size() - text.size(); ++size) {
    EXPECT_FALSE(read_about(Bytes{body}.first(size))) << "cut to " << size;
  }
}

TEST(Codec, HugeCountsAreRefusedWithoutReservingForThem) {
  Buffer bytes = encoded(DeviceAck{});
  for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = std::byte{0xFF};
  EXPECT_EQ(decode_client(bytes).error(), DecodeError::truncated);
  bytes = encoded(Page{});
  for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = std::byte{0xFF};
  EXPECT_EQ(decode_server(bytes).error(), DecodeError::truncated);
}

TEST(Codec, EachKindOfBadBytesHasItsError) {
  EXPECT_EQ(decode_client({}).error(), DecodeError::empty);
  EXPECT_EQ(decode_server({}).error(), DecodeError::empty);
  const Buffer unknown{std::byte{0x7F}};
  EXPECT_EQ(decode_client(unknown).error(), DecodeError::unknown_type);
  EXPECT_EQ(decode_server(unknown).error(), DecodeError::unknown_type);
  EXPECT_EQ(decode_client(encoded(Ack{})).error(), DecodeError::unknown_type)
      << "a server message is none of a client's";

  Buffer login = encoded(Login{});
  login[1] = std::byte{version + 1};
  login.push_back(std::byte{});  // another version may be longer: only its number is judged
  EXPECT_EQ(decode_client(login).error(), DecodeError::unsupported_version);

  for (const unsigned kind : {0U, 11U, 0x40U, 0x80U, 255U}) {
    Buffer record = encoded(RecordFrame{});
    record[1] = static_cast<std::byte>(kind);
    EXPECT_EQ(decode_server(record).error(), DecodeError::bad_value) << kind;
  }
  Buffer page = encoded(Page{});
  page[1] = std::byte{2};
  EXPECT_EQ(decode_server(page).error(), DecodeError::bad_value);

  Buffer wants = encoded(Login{});
  wants.back() = std::byte{2};
  EXPECT_EQ(decode_client(wants).error(), DecodeError::bad_value);

  // A send_about that is a plain message, a record of the server's, a stub, an edit that mentions
  // users, a deletion with a text.
  Send about{{9}, {1}, {}};
  about.kind = core::RecordKind::edit;
  for (const unsigned kind : {1U, 2U, 5U, 10U, 0x86U, 0x46U}) {
    Buffer bad = encoded(about);
    bad[1] = static_cast<std::byte>(kind);
    EXPECT_EQ(decode_client(bad).error(), DecodeError::bad_value) << kind;
  }
  about.mentions = {{1}};
  EXPECT_EQ(decode_client(encoded(about)).error(), DecodeError::bad_value);
  about.mentions.clear();
  about.kind = core::RecordKind::deletion;
  EXPECT_TRUE(decode_client(encoded(about)));
  const Buffer text{std::byte{'x'}};
  about.body = text;
  EXPECT_EQ(decode_client(encoded(about)).error(), DecodeError::bad_value);

  Buffer nested = encoded(Page{});
  nested[10] = std::byte{1};
  const Buffer inner = encoded(Page{.last = true, .queue_position = {}, .items = {}});
  nested.insert(nested.end(), inner.begin(), inner.end());
  nested.resize(nested.size() + 3);  // a page item has at least 17 bytes
  EXPECT_EQ(decode_server(nested).error(), DecodeError::unknown_type) << "a page in a page";

  Buffer token = encoded(Login{});
  token[18] = std::byte{0xFF};
  token[19] = std::byte{0xFF};
  EXPECT_EQ(decode_client(token).error(), DecodeError::bad_value) << "a token of 65,535 bytes";
}

TEST(Codec, DurationsAreRoundedUpAndHeldWithin32Bits) {
  const auto interval = [](Duration sent) {
    const Buffer bytes = encoded(LoginAccepted{{}, {}, sent, {}});
    return std::get<LoginAccepted>(*decode_server(bytes)).heartbeat_interval;
  };
  using namespace std::chrono_literals;
  EXPECT_EQ(interval(1ns), 1ms);
  EXPECT_EQ(interval(5ms), 5ms);
  EXPECT_EQ(interval(-1s), 0ms);
  EXPECT_EQ(interval(24h * 365), std::chrono::milliseconds{0xFFFFFFFF});
}

TEST(Codec, PageOfEncodedItemsEqualsThePageOfTheirStructs) {
  hold("page", [] {
    Arena arena;
    const Page page = any_page(arena);
    Buffer item_by_item{std::byte{0xAB}};  // the page may begin anywhere in a buffer
    PageWriter writer{item_by_item};
    for (const PageItem& item : page.items) {
      if (const auto* record = std::get_if<RecordFrame>(&item)) {
        writer.add_encoded(encoded(*record));
      } else {
        std::visit([&writer](const auto& other) { writer.add(other); }, item);
      }
    }
    writer.finish(page.last, page.queue_position);
    RC_ASSERT(writer.items() == page.items.size());
    RC_ASSERT(writer.bytes() == item_by_item.size() - 1);
    item_by_item.erase(item_by_item.begin());
    RC_ASSERT(item_by_item == encoded(page));
  });
}

}  // namespace
}  // namespace clamor::protocol
