#include "tests/unit/server/gateway/live_gateway.hpp"
#include "tests/unit/server/gateway/raw_peer.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <string>
#include <vector>

// RFC 6455 frame by frame: what a peer sends, byte for byte, and all that it is answered. The
// gateway echoes messages.
namespace clamor::gateway {
namespace {

using namespace std::chrono_literals;
using Kind = protocol::FrameEvent::Kind;

constexpr unsigned fin = 0x80;
constexpr unsigned continuation = 0x0;
constexpr unsigned text = 0x1;
constexpr unsigned binary = 0x2;
constexpr unsigned close = 0x8;
constexpr unsigned ping = 0x9;
constexpr unsigned pong = 0xA;

Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// A frame with every header field as told; the length in the shortest form, or in `length_form`.
Buffer frame(unsigned first, std::string_view payload = {}, std::size_t length_form = 0,
             bool masked = true) {
  const std::size_t size = payload.size();
  const std::size_t least = size <= 125 ? size : size <= 0xFFFF ? 126 : 127;
  const std::size_t form = length_form == 0 ? least : length_form;
  Buffer out{static_cast<std::byte>(first), static_cast<std::byte>(form | (masked ? 0x80U : 0U))};
  const int length_bytes = form == 126 ? 2 : form == 127 ? 8 : 0;
  for (int i = length_bytes - 1; i >= 0; --i) {
    out.push_back(static_cast<std::byte>(size >> (8 * i) & 0xFFU));
  }
  const Buffer key{std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
  if (masked) out = out + key;
  for (std::size_t i = 0; i < size; ++i) {
    out.push_back(static_cast<std::byte>(payload[i]) ^ (masked ? key[i % 4] : std::byte{0}));
  }
  return out;
}

std::string close_payload(unsigned code, std::string_view reason = {}) {
  return std::string{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)} +
         std::string{reason};
}

struct Case {
  std::string name;
  Buffer sent;
  /// "message X", "pong X", or as the last one "close CODE REASON".
  std::vector<std::string> answers;
};

Case refused(const std::string& name, const Buffer& sent, const std::string& answer) {
  return {name,
          frame(fin | binary, "before") + sent + frame(fin | binary, "after"),
          {"message before", answer}};
}

/// 5.2: reserved bits, opcodes, lengths. 5.3 and 5.1: masks.
std::vector<Case> headers() {
  std::vector<Case> cases;
  for (const unsigned bit : {0x40U, 0x20U, 0x10U}) {
    for (const unsigned opcode : {binary, ping, close}) {
      cases.push_back(refused("reserved bit " + std::to_string(bit), frame(fin | bit | opcode),
                              "close 1002 reserved_bits"));
    }
  }
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 0xBU, 0xCU, 0xDU, 0xEU, 0xFU}) {
    cases.push_back(refused("opcode " + std::to_string(opcode), frame(fin | opcode, "x"),
                            "close 1002 reserved_opcode"));
  }
  for (const unsigned opcode : {continuation, binary, close, ping, pong}) {
    cases.push_back(refused("unmasked opcode " + std::to_string(opcode),
                            frame(fin | opcode, {}, 0, false), "close 1002 not_masked"));
  }
  for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U}) {
    const std::string payload(size, 'x');
    cases.push_back(
        {"length " + std::to_string(size), frame(fin | binary, payload), {"message " + payload}});
  }
  const std::string not_minimal = "close 1002 length_not_minimal";
  for (const std::size_t size : {0U, 1U, 125U}) {
    cases.push_back(refused("16 bits for " + std::to_string(size),
                            frame(fin | binary, std::string(size, 'x'), 126), not_minimal));
  }
  for (const std::size_t size : {0U, 126U, 65535U}) {
    cases.push_back(refused("64 bits for " + std::to_string(size),
                            frame(fin | binary, std::string(size, 'x'), 127), not_minimal));
  }
  Buffer negative = frame(fin | binary, {}, 127);
  negative[2] = std::byte{0x80};
  cases.push_back(refused("highest bit of a length", negative, "close 1002 length_too_large"));
  Buffer huge = frame(fin | binary, {}, 127);
  huge[2] = std::byte{0x7F};
  cases.push_back(refused("2^62 bytes, announced", huge, "close 1009 message_too_big"));
  cases.push_back(refused("one byte too many", frame(fin | binary, std::string(65537, 'x')),
                          "close 1009 message_too_big"));
  return cases;
}

/// 5.4
std::vector<Case> fragments() {
  const Buffer begin = frame(binary, "one ");
  Buffer letters = frame(binary, "a");
  for (const char* letter : {"b", "c", "d", "e"}) letters = letters + frame(continuation, letter);
  return {
      {"two fragments", begin + frame(fin | continuation, "two"), {"message one two"}},
      {"many fragments", letters + frame(fin | continuation, "f"), {"message abcdef"}},
      {"empty fragments",
       frame(binary) + frame(continuation) + frame(continuation, "x") + frame(fin | continuation),
       {"message x"}},
      {"nothing but empty fragments", frame(binary) + frame(fin | continuation), {"message "}},
      {"control frames between fragments",
       begin + frame(fin | ping, "p") + frame(continuation, "two ") + frame(fin | pong, "q") +
           frame(fin | ping) + frame(fin | continuation, "three"),
       {"pong p", "pong ", "message one two three"}},
      {"close between fragments", begin + frame(fin | close, close_payload(1000)), {"close 1000 "}},
      {"two messages, one after another",
       begin + frame(fin | continuation, "two") + frame(binary, "three ") +
           frame(fin | continuation, "four"),
       {"message one two", "message three four"}},
      refused("continuation of nothing", frame(fin | continuation, "x"),
              "close 1002 unexpected_continuation"),
      refused("unfinished continuation of nothing", frame(continuation, "x"),
              "close 1002 unexpected_continuation"),
      {"continuation after the last fragment",
       frame(binary, "x") + frame(fin | continuation) + frame(fin | continuation),
       {"message x", "close 1002 unexpected_continuation"}},
      refused("a message in a message", begin + frame(fin | binary, "x"),
              "close 1002 expected_continuation"),
      refused("a fragment in a message", begin + frame(binary, "x"),
              "close 1002 expected_continuation"),
      refused("text in a message", begin + frame(fin | text, "x"),
              "close 1002 expected_continuation"),
      refused("fragments of too many bytes",
              frame(binary, std::string(40'000, 'x')) +
                  frame(fin | continuation, std::string(25'537, 'x')),
              "close 1009 message_too_big"),
  };
}

/// 5.5 and 7: control frames, the closing handshake, codes and reasons.
std::vector<Case> control_frames() {
  const std::string longest(125, 'p');
  std::vector<Case> cases{
      {"pings",
       frame(fin | ping) + frame(fin | ping, "x") + frame(fin | ping, longest),
       {"pong ", "pong x", "pong " + longest}},
      {"pongs that nobody asked for", frame(fin | pong) + frame(fin | pong, longest), {}},
      refused("long ping", frame(fin | ping, std::string(126, 'p')), "close 1002 control_too_long"),
      refused("long pong", frame(fin | pong, std::string(126, 'p')), "close 1002 control_too_long"),
      refused("long close", frame(fin | close, close_payload(1000, std::string(124, 'r'))),
              "close 1002 control_too_long"),
      refused("ping in fragments", frame(ping, "x"), "close 1002 control_fragmented"),
      refused("pong in fragments", frame(pong, "x"), "close 1002 control_fragmented"),
      refused("close in fragments", frame(close), "close 1002 control_fragmented"),
      {"close without a code", frame(fin | close), {"close 1005 "}},
      {"what follows a close",
       frame(fin | close, close_payload(1000)) + frame(fin | ping, "x") + frame(fin | binary, "y"),
       {"close 1000 "}},
      refused("close of one byte", frame(fin | close, "x"), "close 1002 close_payload_invalid"),
      {"close with the longest reason",
       frame(fin | close, close_payload(1000, std::string(123, 'r'))),
       {"close 1000 "}},
      {"close with a reason in UTF-8",
       frame(fin | close, close_payload(1000, "gr\xC3\xBC\xC3\x9F")),
       {"close 1000 "}},
  };
  for (const char* bad : {"\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80"}) {
    cases.push_back(refused("close reason that is not UTF-8",
                            frame(fin | close, close_payload(1000, bad)),
                            "close 1007 close_reason_not_utf8"));
  }
  for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U,
                              1013U, 1014U, 3000U, 3999U, 4000U, 4999U}) {
    cases.push_back({"close " + std::to_string(code),
                     frame(fin | close, close_payload(code)),
                     {"close " + std::to_string(code) + " "}});
  }
  for (const unsigned code :
       {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U}) {
    cases.push_back(refused("close " + std::to_string(code),
                            frame(fin | close, close_payload(code)),
                            "close 1002 close_payload_invalid"));
  }
  return cases;
}

/// 5.6: text is not spoken here, well-formed or not.
std::vector<Case> texts() {
  const std::string unsupported = "close 1003 text_not_supported";
  return {
      refused("text", frame(fin | text, "{}"), unsupported),
      refused("empty text", frame(fin | text), unsupported),
      refused("text in fragments", frame(text, "{"), unsupported),
      refused("text that is not UTF-8", frame(fin | text, "\xFF"), unsupported),
  };
}

std::string described(const RawPeer::Event& event) {
  switch (event.kind) {
    case Kind::message:
      return "message " + event.payload;
    case Kind::pong:
      return "pong " + event.payload;
    case Kind::close:
      return "close " + std::to_string(event.close_code) + " " + event.payload;
    case Kind::need_more:
      return "nothing";
    default:
      return "a frame that a server may not send";
  }
}

/// Sends the case in pieces of `piece_bytes` and hears the answers; a session that is not closed
/// must go on.
void expect_answers(std::uint16_t port, const Case& one, std::size_t piece_bytes) {
  SCOPED_TRACE(one.name + ", in pieces of " + std::to_string(piece_bytes));
  RawPeer peer = RawPeer::upgraded(port);
  for (std::span<const std::byte> rest{one.sent}; !rest.empty();) {
    const auto piece = rest.first(std::min(piece_bytes, rest.size()));
    if (!peer.send(piece)) break;  // The session is closed already.
    rest = rest.subspan(piece.size());
  }
  for (const std::string& answer : one.answers) {
    ASSERT_EQ(described(peer.read_event()).substr(0, 200), answer.substr(0, 200));
  }
  const bool closes = !one.answers.empty() && one.answers.back().starts_with("close");
  if (closes) {
    EXPECT_TRUE(peer.reads_end()) << "nothing follows a close frame";
  } else {
    peer.send(frame(fin | binary, "still here"));
    EXPECT_EQ(described(peer.read_event()), "message still here");
  }
}

void expect_conformance(const std::vector<Case>& cases) {
  LiveGateway live;
  for (const Case& one : cases) {
    expect_answers(live.port(), one, one.sent.size());
    if (one.sent.size() < 300) expect_answers(live.port(), one, 1);
  }
}

TEST(Conformance, HeadersOfFrames) { expect_conformance(headers()); }
TEST(Conformance, Fragmentation) { expect_conformance(fragments()); }
TEST(Conformance, ControlFramesAndTheClosingHandshake) { expect_conformance(control_frames()); }
TEST(Conformance, Text) { expect_conformance(texts()); }

TEST(Conformance, SixteenMebibytesAreRefusedByTheirHeaderAndReadToTheEnd) {
  LiveGateway live;
  RawPeer neighbour = RawPeer::upgraded(live.port());
  RawPeer peer = RawPeer::upgraded(live.port());
  // All of it leaves before a byte is read: a server that closed over unread input would reset the
  // connection, and the close frame with it.
  ASSERT_TRUE(peer.send(frame(fin | binary, std::string(std::size_t{16} << 20U, 'x'))));
  EXPECT_EQ(described(peer.read_event()), "close 1009 message_too_big");
  EXPECT_TRUE(peer.reads_end());
  neighbour.send(frame(fin | binary, "still here"));
  EXPECT_EQ(described(neighbour.read_event()), "message still here");
  EXPECT_LT(live.operations().bytes_in, 1000U) << "no handler has seen any of it";
}

TEST(Conformance, HalfFramesThenSilenceEndAsSilentAndDisturbNobody) {
  GatewaySettings settings;
  settings.offline_after = 200ms;
  LiveGateway live{settings};
  const Buffer whole = frame(fin | binary, std::string(1000, 'x'));
  std::vector<RawPeer> halves;
  for (const std::size_t size : {1U, 2U, 3U, 7U, 8U, 500U, 1007U}) {
    halves.push_back(RawPeer::upgraded(live.port()));
    halves.back().send(std::span{whole}.first(size));
  }
  halves.push_back(RawPeer::upgraded(live.port()));
  halves.back().send(frame(binary, "a fragment"));
  for (RawPeer& half : halves) {
    EXPECT_EQ(described(half.read_event()), "close 4101 no frame for too long");
    EXPECT_TRUE(half.reads_end());
  }
  EXPECT_EQ(live.ended(EndReason::silent), halves.size());
}

}  // namespace
}  // namespace clamor::gateway
