#include "server/protocol/codec.hpp"
#include "server/protocol/websocket_frame.hpp"

#include <gtest/gtest.h>

#include <charconv>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

// Holds PROTOCOL.md to the codec: its dumps, its tables of codes and types.
namespace clamor::protocol {
namespace {

using Buffer = std::vector<std::byte>;

std::string document() {
  std::ifstream in{CLAMOR_ROOT "/server/protocol/PROTOCOL.md"};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Block {
  std::string kind;  ///< What stands behind the fence: client, server, frame.
  Buffer bytes;
};

/// The fenced dumps in their order; text after '#' is a comment.
std::vector<Block> dumps() {
  std::vector<Block> blocks;
  std::istringstream lines{document()};
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside && line.size() > 3;
      if (inside) blocks.push_back({line.substr(3), {}});
    } else if (inside) {
      std::istringstream words{line.substr(0, line.find('#'))};
      for (std::string word; words >> word;) {
        unsigned value = 0;
        const auto [end, error] =
            std::from_chars(word.data(), word.data() + word.size(), value, 16);
        EXPECT_TRUE(error == std::errc{} && word.size() == 2) << "no hex byte: " << word;
        blocks.back().bytes.push_back(static_cast<std::byte>(value));
      }
    }
  }
  return blocks;
}

Buffer bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

template <class Message>
Buffer encoded(const Message& message) {
  Buffer bytes;
  encode(message, bytes);
  return bytes;
}

RecordFrame record(std::uint64_t id, std::uint64_t client_message_id, std::int64_t accepted_at_ns,
                   const Buffer& body) {
  RecordFrame frame;
  frame.record = {{9},
                  {id},
                  core::RecordKind::message,
                  false,
                  false,
                  0,
                  {17},
                  {1},
                  3,
                  {client_message_id},
                  instant_from_ns(accepted_at_ns),
                  static_cast<std::uint32_t>(body.size())};
  frame.body = body;
  return frame;
}

// Method: the exchange as its prose tells it is encoded and must give the printed bytes.
TEST(ProtocolDocument, DumpsAreWhatTheCodecMakesOfTheStory) {
  const std::string token =
      "42.1893456000.6def2874168655ea5708fae0b8ac5b2dc8afb5dd2b2049f5d4a913b3021ca877";
  const std::string resume =
      "resume.42.1.1893456000.e1ea4a823bdcf5080"
      "c925885942a6cadcc12839e93c9bd4097fc174d6769d973";
  const Buffer question = bytes_of("anybody here?"), hello = bytes_of("hello"), hi = bytes_of("hi");
  const Buffer send = encoded(Send{{9}, {1}, hello});
  Buffer send_frame;
  append_client_frame(Opcode::binary, send, 0x3D21FA37, send_frame);
  const std::vector<Block> expected{
      {"client", encoded(Login{token, {1}, 7, {0}, {{{9}, {1, {3}}}}, true})},
      {"server", encoded(LoginAccepted{{42}, {1}, std::chrono::seconds{5}, resume})},
      {"server", encoded(Page{true, {12}, {record(4, 1, 5'000'000'000, question)}})},
      {"server", encoded(Unread{{{{9}, {2}, {4}, 2, 0}}})},
      {"client", encoded(DeviceAck{{12}, {{{9}, {1, {4}}}}})},
      {"client", send},
      {"frame", send_frame},
      {"server", encoded(Ack{{9}, {1}, {5}})},
      {"server", encoded(record(6, 2, 6'250'000'000, hi))},
      {"server", encoded(Refused{RefusalCode::client_message_id_gap, {}, {9}, {3}, {2}, {}})},
  };
  const std::vector<Block> printed = dumps();
  ASSERT_EQ(printed.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(printed[i].kind, expected[i].kind) << "dump " << i;
    EXPECT_EQ(printed[i].bytes, expected[i].bytes) << "dump " << i;
  }
  EXPECT_NE(document().find("\n    " + token + "\n"), std::string::npos);
}

// Goal: the prose cannot drift from the enumerators, nor lack one.
TEST(ProtocolDocument, EveryCodeAndTypeStandsInItsTable) {
  const std::string text = document();
  const auto has_row = [&text](const std::string& row) {
    return text.find("\n| " + row) != std::string::npos;
  };
  const std::vector<std::pair<MessageType, std::string>> types{
      {MessageType::login, "login"},
      {MessageType::send, "send"},
      {MessageType::device_ack, "device_ack"},
      {MessageType::heartbeat, "heartbeat"},
      {MessageType::create_channel, "create_channel"},
      {MessageType::join, "join"},
      {MessageType::leave, "leave"},
      {MessageType::next_page, "next_page"},
      {MessageType::authenticate, "authenticate"},
      {MessageType::set_account, "set_account"},
      {MessageType::token_granted, "token_granted"},
      {MessageType::account_set, "account_set"},
      {MessageType::login_accepted, "login_accepted"},
      {MessageType::ack, "ack"},
      {MessageType::record, "record"},
      {MessageType::page, "page"},
      {MessageType::channel_changed, "channel_changed"},
      {MessageType::refused, "refused"},
      {MessageType::interval_start, "interval_start"},
      {MessageType::history_truncated, "history_truncated"},
  };
  for (const auto& [type, name] : types) {
    std::array<char, 8> hex{};
    std::snprintf(hex.data(), hex.size(), "0x%02x", static_cast<unsigned>(type));
    EXPECT_TRUE(has_row(std::string{hex.data()} + " | " + name + " |")) << name;
  }
  const std::vector<std::pair<RefusalCode, std::string>> refusals{
      {RefusalCode::malformed, "malformed"},
      {RefusalCode::not_logged_in, "not_logged_in"},
      {RefusalCode::bad_token, "bad_token"},
      {RefusalCode::unsupported_version, "unsupported_version"},
      {RefusalCode::already_logged_in, "already_logged_in"},
      {RefusalCode::no_such_channel, "no_such_channel"},
      {RefusalCode::not_member, "not_member"},
      {RefusalCode::already_member, "already_member"},
      {RefusalCode::channel_exists, "channel_exists"},
      {RefusalCode::body_too_large, "body_too_large"},
      {RefusalCode::group_too_large, "group_too_large"},
      {RefusalCode::client_message_id_gap, "client_message_id_gap"},
      {RefusalCode::client_message_id_too_old, "client_message_id_too_old"},
      {RefusalCode::too_many_pending, "too_many_pending"},
      {RefusalCode::overloaded, "overloaded"},
      {RefusalCode::shutting_down, "shutting_down"},
      {RefusalCode::store_failed, "store_failed"},
      {RefusalCode::unavailable, "unavailable"},
      {RefusalCode::wrong_password, "wrong_password"},
  };
  for (const auto& [code, name] : refusals) {
    EXPECT_TRUE(has_row(std::to_string(static_cast<unsigned>(code)) + " | " + name + " |")) << name;
  }
  for (const CloseCode code :
       {CloseCode::normal, CloseCode::going_away, CloseCode::protocol_error,
        CloseCode::unsupported_data, CloseCode::invalid_payload, CloseCode::policy,
        CloseCode::too_big, CloseCode::internal_error, CloseCode::slow_consumer, CloseCode::silent,
        CloseCode::draining, CloseCode::malformed, CloseCode::unauthorized,
        CloseCode::superseded}) {
    EXPECT_TRUE(has_row(std::to_string(static_cast<unsigned>(code)) + " |"));
  }
}

}  // namespace
}  // namespace clamor::protocol
