// WebSocket frames of both directions: no verdict depends on where the stream is cut, no message is
// over its limit, nothing follows an error.

#include "server/protocol/websocket_frame.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <algorithm>

namespace clamor::fuzz {
namespace {

using protocol::FrameError;
using protocol::FrameEvent;
using protocol::Opcode;
using protocol::Side;
using Kind = FrameEvent::Kind;

constexpr std::uint32_t message_bytes_max = 70'000;

struct Seen {
  Kind kind = Kind::need_more;
  FrameError error = FrameError::none;
  std::uint16_t close_code = 0;
  Buffer payload;
  bool operator==(const Seen&) const = default;
};

/// Feeds the stream in pieces of `piece_bytes`, each in memory of its own, and collects the events.
std::vector<Seen> decode(Side side, std::span<const std::byte> stream, std::size_t piece_bytes) {
  protocol::FrameDecoder decoder{side, message_bytes_max};
  std::vector<Seen> events;
  while (!stream.empty()) {
    const auto taken = stream.first(std::min(piece_bytes, stream.size()));
    stream = stream.subspan(taken.size());
    Buffer piece{taken.begin(), taken.end()};
    std::span<std::byte> input{piece};
    for (FrameEvent event = decoder.next(input); event.kind != Kind::need_more;
         event = decoder.next(input)) {
      require(events.empty() || events.back().kind != Kind::error, "nothing follows an error");
      require(event.payload.size() <= message_bytes_max, "no message is over the limit");
      events.push_back({event.kind, event.error, event.close_code,
                        Buffer{event.payload.begin(), event.payload.end()}});
    }
    require(input.empty(), "all input is taken");
  }
  return events;
}

Buffer client_seed(std::initializer_list<std::pair<Opcode, std::string_view>> frames) {
  Buffer out{std::byte{0}, std::byte{3}};
  for (const auto& [opcode, payload] : frames) {
    protocol::append_client_frame(opcode, bytes_of(payload), 0x5EED1234, out);
  }
  return out;
}

Buffer server_seed(Opcode opcode, std::size_t payload_bytes) {
  Buffer out{std::byte{1}, std::byte{200}};
  protocol::append_server_frame(opcode, Buffer(payload_bytes, std::byte{0x5A}), out);
  return out;
}

/// A message in two fragments around a ping.
Buffer fragmented_seed() {
  Buffer out = client_seed({{Opcode::binary, "one "}});
  out[2] &= std::byte{0x7F};
  protocol::append_client_frame(Opcode::ping, bytes_of("beat"), 7, out);
  protocol::append_client_frame(Opcode::continuation, bytes_of("two"), 0, out);
  return out;
}

}  // namespace

/// The first byte is the side, the second the size of the pieces.
void run(std::span<const std::byte> input) {
  if (input.size() < 2) return;
  const Side side = (input[0] & std::byte{1}) == std::byte{0} ? Side::server : Side::client;
  const std::size_t piece_bytes = std::to_integer<std::size_t>(input[1]) + 1;
  const auto stream = input.subspan(2);
  require(decode(side, stream, stream.size()) == decode(side, stream, piece_bytes),
          "the cut of a stream changes nothing");
}

std::vector<Buffer> seeds() {
  Buffer close = client_seed({});
  protocol::append_client_frame(
      Opcode::close, protocol::close_payload(protocol::CloseCode::superseded, "gone"), 9, close);
  return {
      client_seed({{Opcode::binary, "hello"}, {Opcode::binary, ""}}),
      client_seed({{Opcode::ping, "are you there?"}, {Opcode::pong, ""}, {Opcode::close, ""}}),
      client_seed({{Opcode::text, "{}"}}),
      fragmented_seed(),
      close,
      server_seed(Opcode::binary, 125),
      server_seed(Opcode::binary, 126),
      server_seed(Opcode::binary, 65'536),
      server_seed(Opcode::close, 0),
  };
}

}  // namespace clamor::fuzz
