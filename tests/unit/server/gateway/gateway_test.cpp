#include "server/gateway/gateway.hpp"

#include "tests/unit/server/gateway/live_gateway.hpp"
#include "tests/unit/server/gateway/raw_peer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <rapidcheck.h>
#include <string>
#include <sys/resource.h>
#include <vector>

// Every test talks to a real gateway over loopback through a peer that sends raw bytes, so that it
// can be as malformed, slow or rude as the case needs.
namespace clamor::gateway {
namespace {

using namespace std::chrono_literals;
using Kind = protocol::FrameEvent::Kind;
using protocol::CloseCode;
using protocol::FrameError;
using protocol::Opcode;

std::uint16_t code(CloseCode value) { return static_cast<std::uint16_t>(value); }

Buffer raw(std::initializer_list<unsigned> values) {
  Buffer bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// A masked frame whose first byte (FIN, reserved bits, opcode) is as told.
Buffer frame_with(unsigned first, std::string_view payload) {
  Buffer frame = client_frame(payload);
  frame[0] = static_cast<std::byte>(first);
  return frame;
}

TEST(Gateway, MessagesComeBackAndCountersTellOfThem) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  for (const std::size_t size : {0U, 1U, 125U, 126U, 60000U}) {
    const std::string payload(size, 'x');
    peer.send(client_frame(payload));
    EXPECT_EQ(peer.read_message(), payload);
  }
  const Operations operations = live.operations();
  EXPECT_EQ(operations.frames_in, 5U);
  EXPECT_EQ(operations.frames_out, 5U);
  EXPECT_EQ(operations.bytes_in, 60252U);
  EXPECT_EQ(operations.bytes_out, 60252U + 2 + 2 + 2 + 4 + 4);
  EXPECT_GT(operations.turns, 0U);
  EXPECT_GE(operations.flushes, 5U);
  EXPECT_GT(operations.turn_ns, 0U);
  EXPECT_EQ(live.sessions(), 1U);

  peer.send(client_frame("\x03\xE8", Opcode::close));
  EXPECT_EQ(peer.read_close(), 1000);
  EXPECT_TRUE(peer.reads_end());
  EXPECT_EQ(live.ended(EndReason::peer_closed), 1U);
  EXPECT_EQ(live.sessions(), 0U);
}

// Method: one peer stalls the handler, another sends meanwhile. Its message is as old as the stall
// was long from then on, whatever the machine does beside; after a sleep nothing is old.
TEST(Gateway, ATurnKnowsHowLongItsOldestInputHasWaited) {
  LiveGateway live;
  RawPeer staller = RawPeer::upgraded(live.port());
  RawPeer waiting = RawPeer::upgraded(live.port());
  EXPECT_TRUE(live.eventually([&](LiveGateway&) {
    waiting.send(client_frame("how old"));
    return waiting.read_message() == "0";
  }));
  staller.send(client_frame("stall"));
  live.handler().stalled.get_future().wait();
  waiting.send(client_frame("how old"));
  const auto sent = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds{60});  // the stall itself
  const Duration least = std::chrono::steady_clock::now() - sent;
  live.handler().stall_over.set_value();
  EXPECT_GE(std::stoll(waiting.read_message()), to_ns(least));
  EXPECT_EQ(staller.read_message(), "stall");
}

TEST(Gateway, CloseWithoutCodeIsAnsweredByOne) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  peer.send(client_frame("", Opcode::close));
  EXPECT_EQ(peer.read_close(), protocol::no_close_status);
  EXPECT_TRUE(peer.reads_end());
}

// Method: all answers of one segment's messages must leave in one write.
TEST(Gateway, WhatArrivesTogetherIsAnsweredByOneWrite) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  Buffer segment;
  for (int i = 0; i < 16; ++i) segment = segment + client_frame(i % 2 == 0 ? "hold" : "at once");
  peer.send(segment);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(peer.read_message(), i < 8 ? "at once" : "hold");
  const Operations operations = live.operations();
  EXPECT_EQ(operations.frames_out, 16U);
  EXPECT_EQ(operations.flushes, 1U);
}

TEST(Gateway, FragmentsArriveByteByByteAroundAPing) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  const Buffer stream = frame_with(0x02, "one ") + client_frame("beat", Opcode::ping) +
                        frame_with(0x00, "two ") + frame_with(0x80, "three") + client_frame("next");
  for (const std::byte byte : stream) peer.send(std::span{&byte, 1});
  const RawPeer::Event pong = peer.read_event();
  EXPECT_EQ(pong.kind, Kind::pong);
  EXPECT_EQ(pong.payload, "beat");
  EXPECT_EQ(peer.read_message(), "one two three");
  EXPECT_EQ(peer.read_message(), "next");
  EXPECT_EQ(live.counters().pings, 1U);
}

TEST(Gateway, FramesBehindTheHandshakeAreNotLost) {
  LiveGateway live;
  RawPeer peer{live.port()};
  const Buffer frames = client_frame("early") + client_frame("halved");
  const auto half = frames.size() - 3;
  peer.send(bytes_of(upgrade_request) + Buffer{frames.begin(), frames.begin() + 19});
  peer.send(std::span{frames}.subspan(19, half - 19));
  peer.send(std::span{frames}.subspan(half));
  EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 101");
  EXPECT_EQ(peer.read_message(), "early");
  EXPECT_EQ(peer.read_message(), "halved");
}

struct MalformedFrame {
  const char* name;
  Buffer stream;
  FrameError error;
  CloseCode close_code;
};

std::vector<MalformedFrame> malformed_frames() {
  const auto protocol_error = CloseCode::protocol_error;
  return {
      {"reserved bit", frame_with(0xC2, "x"), FrameError::reserved_bits, protocol_error},
      {"reserved opcode", frame_with(0x83, "x"), FrameError::reserved_opcode, protocol_error},
      {"unmasked", raw({0x82, 0x01, 'x'}), FrameError::not_masked, protocol_error},
      {"fragmented ping", frame_with(0x09, "x"), FrameError::control_fragmented, protocol_error},
      {"long ping", client_frame(std::string(126, 'x'), Opcode::ping), FrameError::control_too_long,
       protocol_error},
      {"long length form", raw({0x82, 0xFE, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 0}),
       FrameError::length_not_minimal, protocol_error},
      {"negative length", raw({0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}),
       FrameError::length_too_large, protocol_error},
      {"lone continuation", frame_with(0x80, "x"), FrameError::unexpected_continuation,
       protocol_error},
      {"nested message", frame_with(0x02, "x") + client_frame("y"),
       FrameError::expected_continuation, protocol_error},
      {"text", frame_with(0x81, "hello"), FrameError::text_not_supported,
       CloseCode::unsupported_data},
      {"oversize", client_frame(std::string(65537, 'x')), FrameError::message_too_big,
       CloseCode::too_big},
      {"oversize by announcement", raw({0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}),
       FrameError::message_too_big, CloseCode::too_big},
      {"oversize in fragments",
       frame_with(0x02, std::string(40000, 'x')) + frame_with(0x80, std::string(40000, 'x')),
       FrameError::message_too_big, CloseCode::too_big},
      {"close of one byte", client_frame("x", Opcode::close), FrameError::close_payload_invalid,
       protocol_error},
      {"close code 1006", client_frame("\x03\xEE", Opcode::close),
       FrameError::close_payload_invalid, protocol_error},
      {"close reason", client_frame("\x03\xE8\xFF", Opcode::close),
       FrameError::close_reason_not_utf8, CloseCode::invalid_payload},
  };
}

TEST(Gateway, EachMalformedFrameEndsItsSessionWithItsCodeAndDisturbsNobody) {
  LiveGateway live;
  RawPeer neighbour = RawPeer::upgraded(live.port());
  std::uint64_t errors = 0;
  for (const MalformedFrame& bad : malformed_frames()) {
    RawPeer peer = RawPeer::upgraded(live.port());
    const auto before = live.counters();
    peer.send(client_frame("fine") + bad.stream + client_frame("ignored"));
    EXPECT_EQ(peer.read_message(), "fine") << bad.name;
    EXPECT_EQ(peer.read_close(), code(bad.close_code)) << bad.name;
    EXPECT_TRUE(peer.reads_end()) << bad.name << ": the close frame must survive unread input";
    const auto kind = static_cast<std::size_t>(bad.error);
    EXPECT_EQ(live.counters().frame_errors[kind], before.frame_errors[kind] + 1) << bad.name;
    EXPECT_EQ(live.ended(EndReason::protocol_error), ++errors) << bad.name;

    neighbour.send(client_frame("still here"));
    EXPECT_EQ(neighbour.read_message(), "still here") << bad.name;
  }
}

TEST(Gateway, NoisyPeersNeverHurtTheirNeighbour) {
  LiveGateway live;
  RawPeer neighbour = RawPeer::upgraded(live.port());
  EXPECT_TRUE(rc::check("noise", [&] {
    RawPeer peer = RawPeer::upgraded(live.port());
    Buffer noise = raw({0x82, 0x80U | *rc::gen::inRange(0U, 128U)});
    for (const auto value : *rc::gen::arbitrary<std::vector<std::uint8_t>>()) {
      noise.push_back(std::byte{value});
    }
    peer.send(noise);
    if (*rc::gen::arbitrary<bool>()) {
      peer.reset();
    } else {
      peer.shut_sending();
      peer.read_close();
    }
    neighbour.send(client_frame("still here"));
    RC_ASSERT(neighbour.read_message() == "still here");
  }));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 1; }));
}

GatewaySettings small_buffers() {
  GatewaySettings settings;
  settings.session_limits.buffer_bytes = 64 * 1024;
  return settings;
}

std::size_t refused(LiveGateway& live) {
  return live.ask([](Gateway&, EchoHandler& handler) { return handler.refused; });
}

/// Reads the messages of a flood up to the one that tells how many there were.
void read_flood(RawPeer& peer) {
  for (std::size_t count = 0;; ++count) {
    const std::string message = peer.read_message();
    if (message.size() < 16 * 1024) {
      ASSERT_EQ(message, "flooded by " + std::to_string(count));
      return;
    }
    ASSERT_EQ(message.substr(0, message.find(' ')), std::to_string(count));
  }
}

TEST(Gateway, SlowReaderIsRefusedFramesWhileOthersGoOnAndHearsAllThatWasTaken) {
  LiveGateway live{small_buffers()};
  RawPeer neighbour = RawPeer::upgraded(live.port());
  RawPeer slow = RawPeer::upgraded(live.port(), 4096);
  slow.send(client_frame("flood me"));
  EXPECT_TRUE(live.eventually([&](LiveGateway& l) {
    neighbour.send(client_frame("meanwhile"));
    EXPECT_EQ(neighbour.read_message(), "meanwhile");
    return refused(l) == 1;
  }));
  slow.send(client_frame("refused too"));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return refused(l) == 2; }));
  read_flood(slow);
  slow.send(client_frame("on"));
  EXPECT_EQ(slow.read_message(), "on");
  EXPECT_EQ(live.sessions(), 2U);
  EXPECT_EQ(live.ask([](Gateway&, EchoHandler& handler) { return handler.drained; }), 1U);
}

TEST(Gateway, PingsOfASlowReaderPileUpNoPongsAndTheLatestIsAnswered) {
  LiveGateway live{small_buffers()};
  RawPeer slow = RawPeer::upgraded(live.port(), 4096);
  slow.send(client_frame("flood me"));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return refused(l) == 1; }));
  for (const char* beat : {"first", "second", "third"}) {
    slow.send(client_frame(beat, Opcode::ping));
  }
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.counters().pings == 3; }));
  RawPeer::Event event = slow.read_event();
  while (event.kind == Kind::message && event.payload.size() == 16 * 1024) {
    event = slow.read_event();
  }
  EXPECT_EQ(event.kind, Kind::pong);
  EXPECT_EQ(event.payload, "third");
  EXPECT_EQ(slow.read_message().substr(0, 11), "flooded by ");
}

TEST(Gateway, PeerThatReadsNothingIsClosedAndToldWhenToComeBack) {
  GatewaySettings settings = small_buffers();
  settings.session_limits.buffer_age = 100ms;
  settings.close_grace = 30s;
  LiveGateway live{settings};
  RawPeer neighbour = RawPeer::upgraded(live.port());
  RawPeer deaf = RawPeer::upgraded(live.port(), 4096);
  deaf.send(client_frame("flood me"));
  EXPECT_TRUE(live.eventually([&](LiveGateway& l) {
    neighbour.send(client_frame("meanwhile"));
    EXPECT_EQ(neighbour.read_message(), "meanwhile");
    return l.ended(EndReason::slow_consumer) == 1;
  }));
  EXPECT_EQ(refused(live), 1U) << "first it is behind, only then closed";
  EXPECT_EQ(live.sessions(), 1U);
  // Reading on in time, it finds whole frames only, and the reason last.
  RawPeer::Event event = deaf.read_event();
  while (event.kind == Kind::message) event = deaf.read_event();
  EXPECT_EQ(event.kind, Kind::close);
  EXPECT_EQ(event.close_code, code(CloseCode::slow_consumer));
  EXPECT_EQ(event.payload, "retry_after=1000; reads nothing");
}

TEST(Gateway, PeerThatReadsNothingIsClosedAlsoWhereNothingMoreIsSent) {
  GatewaySettings settings;
  settings.session_limits.buffer_bytes = std::size_t{64} << 20U;
  settings.session_limits.buffer_age = 100ms;
  LiveGateway live{settings};
  RawPeer deaf = RawPeer::upgraded(live.port(), 4096);
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 1; }));
  live.ask([](Gateway& gateway, EchoHandler& handler) {
    for (int i = 0; i < 512; ++i) {
      EXPECT_TRUE(gateway.send(*handler.open.begin(), make_frame(Buffer(16 * 1024))));
    }
  });
  EXPECT_TRUE(
      live.eventually([](LiveGateway& l) { return l.ended(EndReason::slow_consumer) == 1; }));
}

TEST(Gateway, PeerThatNeverReadsItsCloseIsReset) {
  GatewaySettings settings = small_buffers();
  settings.session_limits.buffer_age = 50ms;
  settings.close_grace = 50ms;
  LiveGateway live{settings};
  RawPeer deaf = RawPeer::upgraded(live.port(), 4096);
  deaf.send(client_frame("flood me"));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.counters().close_timeouts == 1; }));
  EXPECT_TRUE(deaf.reads_reset());
}

TEST(Gateway, HalfClosedPeerStillGetsItsAnswers) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  peer.send(client_frame("last words"));
  peer.shut_sending();
  EXPECT_EQ(peer.read_message(), "last words");
  EXPECT_TRUE(peer.reads_end());
  EXPECT_EQ(live.ended(EndReason::peer_closed), 1U);
}

TEST(Gateway, ResetPeerEndsItsSession) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 1; }));
  peer.reset();
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.ended(EndReason::peer_reset) == 1; }));
  EXPECT_EQ(live.sessions(), 0U);
}

TEST(Gateway, ClosedSessionHearsTheReasonAndNothingAfterIt) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  peer.send(client_frame("before") + client_frame("close me") + client_frame("after"));
  EXPECT_EQ(peer.read_message(), "before");
  const RawPeer::Event close = peer.read_event();
  EXPECT_EQ(close.kind, Kind::close);
  EXPECT_EQ(close.close_code, code(CloseCode::superseded));
  EXPECT_EQ(close.payload, "as ordered");
  EXPECT_TRUE(peer.reads_end());
  EXPECT_EQ(live.ended(EndReason::closed_by_us), 1U);
}

TEST(Gateway, SilentSessionIsClosed) {
  GatewaySettings settings;
  settings.offline_after = 100ms;
  LiveGateway live{settings};
  RawPeer peer = RawPeer::upgraded(live.port());
  EXPECT_EQ(peer.read_close(), code(CloseCode::silent));
  EXPECT_EQ(live.ended(EndReason::silent), 1U);
}

TEST(Gateway, TalkingSessionOutlivesASilentOne) {
  GatewaySettings settings;
  settings.offline_after = 1s;
  LiveGateway live{settings};
  RawPeer silent = RawPeer::upgraded(live.port());
  RawPeer talking = RawPeer::upgraded(live.port());
  EXPECT_TRUE(live.eventually([&](LiveGateway& l) {
    talking.send(client_frame("x"));
    EXPECT_EQ(talking.read_message(), "x");
    return l.ended(EndReason::silent) > 0;
  }));
  EXPECT_EQ(live.sessions(), 1U);
  EXPECT_EQ(silent.read_close(), code(CloseCode::silent));
}

// Method: the I/O thread is held while many sessions are reset and as many handshakes completed, so
// that one turn sees both; EchoHandler checks that no slot is given away before its on_end.
TEST(Gateway, LeaversAndNewcomersOfOneTurnShareNoSlot) {
  LiveGateway live;
  std::vector<RawPeer> leavers;
  std::vector<RawPeer> newcomers;
  const std::string_view last = upgrade_request.substr(upgrade_request.size() - 1);
  for (int i = 0; i < 200; ++i) {
    leavers.push_back(RawPeer::upgraded(live.port()));
    newcomers.emplace_back(live.port());
    newcomers.back().send(upgrade_request.substr(0, upgrade_request.size() - 1));
  }
  EXPECT_TRUE(live.eventually(
      [](LiveGateway& l) { return l.counters().connections == 400 && l.sessions() == 200; }));
  live.ask([&](Gateway&, EchoHandler&) {
    for (std::size_t i = 0; i < leavers.size(); ++i) {
      newcomers[i].send(last);
      leavers[i].reset();
    }
  });
  for (RawPeer& peer : newcomers) {
    EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 101");
    peer.send(client_frame("x"));
    EXPECT_EQ(peer.read_message(), "x");
  }
  EXPECT_EQ(live.sessions(), 200U);
  EXPECT_EQ(live.ended(EndReason::peer_reset), 200U);
  // Were a slot free twice, those who come now would meet in it.
  for (int i = 0; i < 20; ++i) newcomers.push_back(RawPeer::upgraded(live.port()));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 220; }));
}

TEST(Gateway, SlotsAreReusedUnderNewNames) {
  LiveGateway live;
  const auto name_of_only_session = [&live] {
    return live.ask([](Gateway&, EchoHandler& handler) { return *handler.open.begin(); });
  };
  std::optional<SessionId> before;
  for (int i = 0; i < 5; ++i) {
    RawPeer peer = RawPeer::upgraded(live.port());
    peer.send(client_frame("x"));
    EXPECT_EQ(peer.read_message(), "x");
    const SessionId name = name_of_only_session();
    if (before) {
      EXPECT_EQ(name.slot, before->slot);
      EXPECT_NE(name.generation, before->generation);
    }
    before = name;
    peer.send(client_frame("", Opcode::close));
    peer.read_close();
    peer.close();
    // The socket is freed a moment after the session's end: ask by way of another connection.
    EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 0; }));
    live.ask([&](Gateway& gateway, EchoHandler&) {
      EXPECT_TRUE(gateway.send(name, make_frame(bytes_of("to nobody"))));
      gateway.close(name, CloseCode::normal, "");
    });
  }
}

TEST(Gateway, StopTellsEverySessionAndLetsTheLoopEnd) {
  LiveGateway live;
  std::vector<RawPeer> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(RawPeer::upgraded(live.port()));
  RawPeer unfinished{live.port()};
  unfinished.send("GET /ws HT");
  EXPECT_TRUE(live.eventually(
      [](LiveGateway& l) { return l.counters().connections == 21 && l.sessions() == 20; }));
  std::thread readers{[&peers] {
    for (RawPeer& peer : peers) {
      EXPECT_EQ(peer.read_close(), code(CloseCode::going_away));
      peer.close();
    }
  }};
  live.stop(10s);
  readers.join();
}

TEST(Gateway, StopDoesNotWaitForPeersThatIgnoreIt) {
  LiveGateway live;
  RawPeer peer = RawPeer::upgraded(live.port());
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 1; }));
  live.stop(20ms);  // returns, though the peer has not closed its half
  EXPECT_EQ(peer.read_close(), code(CloseCode::going_away));
}

}  // namespace
}  // namespace clamor::gateway
