#include "server/protocol/websocket_frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <rapidcheck.h>
#include <string>
#include <vector>

namespace clamor::protocol {
namespace {

using Buffer = std::vector<std::byte>;
using Kind = FrameEvent::Kind;

constexpr std::uint32_t limit = 70'000;

Buffer bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

Buffer raw(std::initializer_list<unsigned> values) {
  Buffer bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

/// One frame with every header field as told, however wrong; masked with a fixed key.
struct RawFrame {
  unsigned first = 0x82;
  unsigned length_form = 0;  ///< 0: the least that holds the payload.
  bool masked = true;
  Buffer payload{};

  [[nodiscard]] Buffer bytes() const {
    const std::size_t size = payload.size();
    const std::size_t least = size <= 125 ? size : size <= 0xFFFF ? 126 : 127;
    const std::size_t form = length_form == 0 ? least : length_form;
    Buffer out = raw({first, static_cast<unsigned>(form) | (masked ? 0x80U : 0U)});
    const int length_bytes = form == 126 ? 2 : form == 127 ? 8 : 0;
    for (int i = length_bytes - 1; i >= 0; --i) {
      out.push_back(static_cast<std::byte>(static_cast<unsigned char>(size >> (8 * i))));
    }
    const Buffer key = raw({0x12, 0x34, 0x56, 0x78});
    if (masked) out.insert(out.end(), key.begin(), key.end());
    for (std::size_t i = 0; i < size; ++i) {
      out.push_back(masked ? payload[i] ^ key[i % 4] : payload[i]);
    }
    return out;
  }
};

/// An event that owns its payload.
struct Seen {
  Kind kind;
  FrameError error;
  std::uint16_t close_code;
  Buffer payload;
  bool operator==(const Seen&) const = default;
};

/// Feeds `stream` in pieces that end at `cuts` (ascending) and collects every event.
std::vector<Seen> decode(Side side, const Buffer& stream, const std::vector<std::size_t>& cuts,
                         std::uint32_t message_bytes_max = limit) {
  FrameDecoder decoder{side, message_bytes_max};
  std::vector<Seen> events;
  std::size_t start = 0;
  const auto feed = [&](std::size_t end) {
    Buffer piece(stream.begin() + static_cast<std::ptrdiff_t>(start),
                 stream.begin() + static_cast<std::ptrdiff_t>(end));
    start = end;
    std::span<std::byte> input{piece};
    for (FrameEvent event = decoder.next(input); event.kind != Kind::need_more;
         event = decoder.next(input)) {
      events.push_back({event.kind, event.error, event.close_code,
                        Buffer{event.payload.begin(), event.payload.end()}});
    }
    EXPECT_TRUE(input.empty());
  };
  for (const std::size_t cut : cuts) feed(cut);
  feed(stream.size());
  return events;
}

std::vector<Seen> decode(const Buffer& stream) { return decode(Side::server, stream, {}); }

std::vector<std::size_t> every_byte(const Buffer& stream) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < stream.size(); ++i) cuts.push_back(i);
  return cuts;
}

Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

TEST(FrameDecoder, FrameOfEachLengthFormComesBackFromBothSides) {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65535U, 65536U, 70000U}) {
    const Buffer payload(size, std::byte{0x5A});
    const Seen expected{Kind::message, FrameError::none, 0, payload};
    Buffer from_client, from_server;
    append_client_frame(Opcode::binary, payload, 0xDEADBEEF, from_client);
    append_server_frame(Opcode::binary, payload, from_server);
    EXPECT_EQ(decode(Side::server, from_client, {}), std::vector{expected}) << size;
    EXPECT_EQ(decode(Side::client, from_server, {}), std::vector{expected}) << size;
    EXPECT_EQ(from_client.size(), RawFrame{.payload = payload}.bytes().size())
        << "encoders use the least length form";
  }
}

TEST(FrameDecoder, MaskIsTheKeyOfTheRfcsExample) {
  // RFC 6455, 5.7: a single-frame masked "Hello", as binary.
  const Buffer stream = raw({0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58});
  EXPECT_EQ(decode(stream).at(0).payload, bytes_of("Hello"));
  Buffer made;
  append_client_frame(Opcode::binary, bytes_of("Hello"), 0x3D21FA37, made);
  EXPECT_EQ(made, stream);
}

TEST(FrameDecoder, FragmentsAreJoinedAroundControlFrames) {
  const Buffer stream = RawFrame{.first = 0x02, .payload = bytes_of("one ")}.bytes() +
                        RawFrame{.first = 0x89, .payload = bytes_of("p")}.bytes() +
                        RawFrame{.first = 0x00, .payload = bytes_of("two ")}.bytes() +
                        RawFrame{.first = 0x8A, .payload = {}}.bytes() +
                        RawFrame{.first = 0x80, .payload = bytes_of("three")}.bytes() +
                        RawFrame{.payload = bytes_of("next")}.bytes();
  const std::vector<Seen> expected{
      {Kind::ping, FrameError::none, 0, bytes_of("p")},
      {Kind::pong, FrameError::none, 0, {}},
      {Kind::message, FrameError::none, 0, bytes_of("one two three")},
      {Kind::message, FrameError::none, 0, bytes_of("next")},
  };
  EXPECT_EQ(decode(stream), expected);
  EXPECT_EQ(decode(Side::server, stream, every_byte(stream)), expected);
}

TEST(FrameDecoder, KeepsMemoryOnlyWhileSomethingIsIncomplete) {
  FrameDecoder decoder{Side::server, limit};
  Buffer stream = RawFrame{.payload = bytes_of("whole")}.bytes();
  std::span<std::byte> input{stream};
  EXPECT_EQ(decoder.next(input).kind, Kind::message);
  EXPECT_FALSE(decoder.holds_partial()) << "a whole frame is handed out of the caller's buffer";
  stream = RawFrame{.payload = bytes_of("halves")}.bytes();
  std::span<std::byte> first = std::span{stream}.first(3), second = std::span{stream}.subspan(3);
  EXPECT_EQ(decoder.next(first).kind, Kind::need_more);
  EXPECT_TRUE(decoder.holds_partial());
  EXPECT_EQ(decoder.next(second).kind, Kind::message);
  EXPECT_EQ(decoder.next(second).kind, Kind::need_more);
  EXPECT_FALSE(decoder.holds_partial());
}

struct Malformed {
  const char* name;
  Buffer stream;
  FrameError error;
  CloseCode code;
};

std::vector<Malformed> malformed_streams() {
  const Buffer long_control(126, std::byte{});
  const RawFrame fragment{.first = 0x02, .payload = bytes_of("a")};
  const auto close = [](Buffer payload) {
    return RawFrame{.first = 0x88, .payload = std::move(payload)}.bytes();
  };
  const auto protocol_error = CloseCode::protocol_error;
  std::vector<Malformed> all{
      {"RSV1", RawFrame{.first = 0xC2}.bytes(), FrameError::reserved_bits, protocol_error},
      {"RSV2", RawFrame{.first = 0xA2}.bytes(), FrameError::reserved_bits, protocol_error},
      {"RSV3", RawFrame{.first = 0x92}.bytes(), FrameError::reserved_bits, protocol_error},
      {"unmasked", RawFrame{.masked = false}.bytes(), FrameError::not_masked, protocol_error},
      {"ping without FIN", RawFrame{.first = 0x09}.bytes(), FrameError::control_fragmented,
       protocol_error},
      {"long ping", RawFrame{.first = 0x89, .payload = long_control}.bytes(),
       FrameError::control_too_long, protocol_error},
      {"16-bit length of 125", RawFrame{.length_form = 126, .payload = Buffer(125)}.bytes(),
       FrameError::length_not_minimal, protocol_error},
      {"64-bit length of 65535", RawFrame{.length_form = 127, .payload = Buffer(65535)}.bytes(),
       FrameError::length_not_minimal, protocol_error},
      {"negative length", raw({0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}),
       FrameError::length_too_large, protocol_error},
      {"lone continuation", RawFrame{.first = 0x80}.bytes(), FrameError::unexpected_continuation,
       protocol_error},
      {"message in a message", fragment.bytes() + RawFrame{}.bytes(),
       FrameError::expected_continuation, protocol_error},
      {"text", RawFrame{.first = 0x81, .payload = bytes_of("{}")}.bytes(),
       FrameError::text_not_supported, CloseCode::unsupported_data},
      {"big message", RawFrame{.payload = Buffer(limit + 1)}.bytes(), FrameError::message_too_big,
       CloseCode::too_big},
      {"big announced", raw({0x82, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}),
       FrameError::message_too_big, CloseCode::too_big},
      {"big in fragments",
       RawFrame{.first = 0x02, .payload = Buffer(limit)}.bytes() +
           RawFrame{.first = 0x00, .payload = Buffer(1)}.bytes(),
       FrameError::message_too_big, CloseCode::too_big},
      {"close of one byte", close(raw({3})), FrameError::close_payload_invalid, protocol_error},
      {"close reason", close(raw({0x03, 0xE8, 0xC3, 0x28})), FrameError::close_reason_not_utf8,
       CloseCode::invalid_payload},
  };
  for (const unsigned opcode : {0x3U, 0x7U, 0xBU, 0xFU}) {
    all.push_back({"reserved opcode", RawFrame{.first = 0x80 | opcode}.bytes(),
                   FrameError::reserved_opcode, protocol_error});
  }
  for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 2999U, 5000U, 65535U}) {
    all.push_back({"close code", close(raw({code >> 8U, code & 0xFFU})),
                   FrameError::close_payload_invalid, protocol_error});
  }
  return all;
}

TEST(FrameDecoder, EachMalformedFrameHasItsErrorAndCloseCodeHoweverItIsCut) {
  for (const Malformed& bad : malformed_streams()) {
    const Buffer good = RawFrame{.payload = bytes_of("fine")}.bytes();
    const Buffer stream = good + bad.stream + good;
    const std::vector<Seen> expected{{Kind::message, FrameError::none, 0, bytes_of("fine")},
                                     {Kind::error, bad.error, 0, {}}};
    EXPECT_EQ(decode(stream), expected) << bad.name;
    EXPECT_EQ(decode(Side::server, stream, every_byte(stream)), expected) << bad.name;
    EXPECT_EQ(close_code_of(bad.error), bad.code) << bad.name;
    EXPECT_NE(name_of(bad.error), "?");
  }
}

TEST(FrameDecoder, ClientRefusesMaskedFrames) {
  EXPECT_EQ(decode(Side::client, RawFrame{}.bytes(), {}).at(0).error, FrameError::masked);
}

TEST(FrameDecoder, CloseCarriesItsCodeAndReason) {
  const Buffer empty = RawFrame{.first = 0x88}.bytes();
  EXPECT_EQ(decode(empty), (std::vector{Seen{Kind::close, FrameError::none, no_close_status, {}}}));
  Buffer stream;
  append_client_frame(Opcode::close, close_payload(CloseCode::superseded, "gone"), 7, stream);
  EXPECT_EQ(decode(stream),
            (std::vector{Seen{Kind::close, FrameError::none, 4409, bytes_of("gone")}}));
}

TEST(FrameDecoder, LongCloseReasonIsCutBetweenCharacters) {
  std::string reason(122, 'x');
  reason += "\xC3\xA9\xC3\xA9";  // bytes 123 and 124 are one character
  const Buffer payload = close_payload(CloseCode::normal, reason);
  EXPECT_EQ(payload.size(), 2 + 122U);
  EXPECT_TRUE(is_utf8(std::span{payload}.subspan(2)));
}

TEST(FrameDecoder, Utf8IsJudgedByTheStandardsTable) {
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                           "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "k\xC3\xB6z"}) {
    EXPECT_TRUE(is_utf8(bytes_of(good))) << testing::PrintToString(good);
  }
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82",
                          "\xE2\x28\xA1", "\xF0\x9F\x98", "\xC3\x28", "a\xFF"}) {
    EXPECT_FALSE(is_utf8(bytes_of(bad))) << testing::PrintToString(bad);
  }
}

/// A stream of valid frames as a client may send them: fragments, control frames in between.
Buffer any_valid_stream() {
  Buffer stream;
  const int messages = *rc::gen::inRange(1, 6);
  for (int i = 0; i < messages; ++i) {
    const int fragments = *rc::gen::inRange(1, 4);
    for (int f = 0; f < fragments; ++f) {
      const unsigned fin = f + 1 == fragments ? 0x80U : 0U;
      const auto size = *rc::gen::element<std::size_t>(0, 1, 5, 125, 126, 300);
      const std::byte fill{*rc::gen::arbitrary<std::uint8_t>()};
      stream = stream +
               RawFrame{.first = fin | (f == 0 ? 2U : 0U), .payload = Buffer(size, fill)}.bytes();
      if (*rc::gen::inRange(0, 3) == 0) {
        const unsigned control = *rc::gen::element(0x89U, 0x8AU);
        stream = stream + RawFrame{.first = control, .payload = bytes_of("beat")}.bytes();
      }
    }
  }
  return stream;
}

std::vector<std::size_t> any_cuts(std::size_t size) {
  std::vector<std::size_t> cuts;
  for (std::size_t at = 0;;) {
    at += *rc::gen::element<std::size_t>(1, 2, 3, 7, 50, 200);
    if (at >= size) return cuts;
    cuts.push_back(at);
  }
}

// Goal: no verdict depends on where the network cuts the stream, valid or hostile.
TEST(FrameDecoder, EventsDoNotDependOnHowTheStreamIsCut) {
  EXPECT_TRUE(rc::check("cut", [] {
    Buffer stream = any_valid_stream();
    const int mutations = *rc::gen::inRange(0, 10);
    for (int i = 0; i < mutations; ++i) {
      const auto limit_at = *rc::gen::element<std::size_t>(16, stream.size());
      const auto at = *rc::gen::inRange<std::size_t>(0, std::min(limit_at, stream.size()));
      stream[at] = std::byte{*rc::gen::arbitrary<std::uint8_t>()};
    }
    RC_CLASSIFY(mutations > 0, "mutated");
    const auto whole = decode(Side::server, stream, {}, 1000);
    RC_CLASSIFY(!whole.empty() && whole.back().kind == Kind::error, "ends in an error");
    RC_ASSERT(decode(Side::server, stream, any_cuts(stream.size()), 1000) == whole);
    RC_ASSERT(decode(Side::server, stream, every_byte(stream), 1000) == whole);
  }));
}

TEST(FrameDecoder, RandomBytesNeverGetPastOneError) {
  EXPECT_TRUE(rc::check("noise", [] {
    Buffer stream = raw({0x82U, 0x80U | *rc::gen::inRange(0U, 128U)});
    for (const auto value : *rc::gen::arbitrary<std::vector<std::uint8_t>>()) {
      stream.push_back(std::byte{value});
    }
    const auto events = decode(stream);
    for (std::size_t i = 0; i + 1 < events.size(); ++i) RC_ASSERT(events[i].kind != Kind::error);
  }));
}

}  // namespace
}  // namespace clamor::protocol
