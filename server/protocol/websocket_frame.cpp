#include "server/protocol/websocket_frame.hpp"

#include "server/protocol/byte_order.hpp"

#include <algorithm>
#include <cstring>

namespace clamor::protocol {
namespace {

constexpr std::size_t control_bytes_max = 125;

constexpr bool is_control(Opcode opcode) { return (static_cast<unsigned>(opcode) & 8U) != 0; }

constexpr bool is_known(Opcode opcode) {
  const auto value = static_cast<unsigned>(opcode);
  return value <= 2 || (value >= 8 && value <= 10);
}

/// Codes that may stand in a close frame (RFC 6455, 7.4, and the IANA registry).
constexpr bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

std::uint64_t load_big(const std::byte* from, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8U | static_cast<std::uint64_t>(from[i]);
  return value;
}

void store_big(std::byte* to, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    to[i] = static_cast<std::byte>(static_cast<unsigned char>(value >> (8U * (size - 1 - i))));
  }
}

/// Everything of a header but the mask; returns how many bytes it took.
std::size_t store_header(std::byte* to, Opcode opcode, std::size_t payload_bytes, bool masked) {
  const unsigned mask_bit = masked ? 0x80U : 0U;
  to[0] = static_cast<std::byte>(0x80U | static_cast<unsigned>(opcode));
  if (payload_bytes <= 125) {
    to[1] = static_cast<std::byte>(mask_bit | static_cast<unsigned>(payload_bytes));
    return 2;
  }
  const bool wide = payload_bytes > 0xFFFF;
  to[1] = static_cast<std::byte>(mask_bit | (wide ? 127U : 126U));
  store_big(to + 2, payload_bytes, wide ? 8 : 2);
  return wide ? 10 : 4;
}

}  // namespace

struct FrameDecoder::Header {
  Opcode opcode = Opcode::continuation;
  bool fin = false;
  bool masked = false;
  unsigned reserved = 0;
  std::uint8_t length_form = 0;  ///< The 7-bit field: a length, or 126 or 127.
  std::uint64_t payload_bytes = 0;
  std::uint32_t mask = 0;
  std::size_t bytes = 2;  ///< Of the whole header.

  /// Fills what the first two bytes say, `bytes` included.
  explicit Header(const std::byte* from) {
    const auto first = static_cast<unsigned>(from[0]);
    const auto second = static_cast<unsigned>(from[1]);
    fin = (first & 0x80U) != 0;
    reserved = first & 0x70U;
    opcode = static_cast<Opcode>(first & 0x0FU);
    masked = (second & 0x80U) != 0;
    length_form = static_cast<std::uint8_t>(second & 0x7FU);
    payload_bytes = length_form;
    bytes = 2 + length_bytes() + (masked ? 4U : 0U);
  }

  [[nodiscard]] std::size_t length_bytes() const {
    return length_form == 126 ? 2 : length_form == 127 ? 8 : 0;
  }

  /// Fills the rest. @pre `bytes` are there.
  void read_rest(const std::byte* from) {
    if (length_form >= 126) payload_bytes = load_big(from + 2, length_bytes());
    if (masked) mask = load_little<std::uint32_t>(from + bytes - 4);
  }
};

struct FrameDecoder::Partial {
  std::vector<std::byte> frame;    ///< Bytes of one incomplete frame, header first, still masked.
  std::vector<std::byte> message;  ///< Payload of the fragments so far.
  bool fragmented = false;         ///< A message without its last fragment is open.
  bool frame_complete = false;     ///< `frame` was handed out and is dropped at the next step.
};

void FrameDecoder::PartialDeleter::operator()(Partial* partial) const { delete partial; }

FrameDecoder::Partial& FrameDecoder::partial() {
  if (!partial_) partial_.reset(new Partial);
  return *partial_;
}

/// Drops what the last event pointed into, and all memory once nothing is incomplete.
void FrameDecoder::release() {
  if (partial_->frame_complete) {
    partial_->frame.clear();
    partial_->frame_complete = false;
  }
  if (!partial_->fragmented) partial_->message.clear();
  if (partial_->frame.empty() && !partial_->fragmented) partial_.reset();
}

FrameEvent FrameDecoder::fail(FrameError error) {
  failed_ = true;
  return {FrameEvent::Kind::error, error, 0, {}};
}

/// Judges a header by everything known so far; what needs the extended length is judged only once
/// `payload_bytes` was read. The order is fixed, so that the cut of the stream changes no verdict.
FrameError FrameDecoder::check(const Header& header) const {
  const bool fragmented = partial_ && partial_->fragmented;
  if (header.reserved != 0) return FrameError::reserved_bits;
  if (!is_known(header.opcode)) return FrameError::reserved_opcode;
  if (header.masked != (side_ == Side::server)) {
    return header.masked ? FrameError::masked : FrameError::not_masked;
  }
  if (is_control(header.opcode)) {
    if (!header.fin) return FrameError::control_fragmented;
    if (header.length_form > control_bytes_max) return FrameError::control_too_long;
    return FrameError::none;
  }
  if (header.opcode == Opcode::continuation) {
    if (!fragmented) return FrameError::unexpected_continuation;
  } else if (fragmented) {
    return FrameError::expected_continuation;
  }
  return header.opcode == Opcode::text ? FrameError::text_not_supported : FrameError::none;
}

FrameEvent FrameDecoder::next(std::span<std::byte>& input) {
  for (;;) {
    const FrameEvent event = step(input);
    // A fragment that completes no message is no event.
    if (event.kind != FrameEvent::Kind::need_more || input.empty()) return event;
  }
}

FrameEvent FrameDecoder::step(std::span<std::byte>& input) {
  if (partial_) release();
  if (failed_) {
    input = {};
    return {};
  }
  if (partial_ && !partial_->frame.empty()) return resume(input);

  // The common case: the frame lies whole in the caller's buffer.
  if (input.size() >= 2) {
    Header header{input.data()};
    if (const FrameError error = check(header); error != FrameError::none) return fail(error);
    if (input.size() >= header.bytes) {
      header.read_rest(input.data());
      if (const FrameError error = check_length(header); error != FrameError::none)
        return fail(error);
      if (input.size() - header.bytes >= header.payload_bytes) {
        const auto payload = input.subspan(header.bytes, header.payload_bytes);
        input = input.subspan(header.bytes + header.payload_bytes);
        return frame(header, payload);
      }
    }
  }
  if (!input.empty()) {
    partial().frame.assign(input.begin(), input.end());
    input = {};
  }
  return {};
}

/// Length rules; they need the whole header.
FrameError FrameDecoder::check_length(const Header& header) const {
  const std::uint64_t least = header.length_form == 126   ? 126
                              : header.length_form == 127 ? 0x10000
                                                          : 0;
  if ((header.payload_bytes >> 63U) != 0) return FrameError::length_too_large;
  if (header.payload_bytes < least) return FrameError::length_not_minimal;
  if (is_control(header.opcode)) return FrameError::none;
  const std::size_t before = partial_ ? partial_->message.size() : 0;
  return header.payload_bytes > message_bytes_max_ - before ? FrameError::message_too_big
                                                            : FrameError::none;
}

/// Goes on with the frame that `partial_` holds the beginning of: takes what is missing, first to
/// two bytes, then to the header, then to the end of the payload, and not a byte more.
FrameEvent FrameDecoder::resume(std::span<std::byte>& input) {
  std::vector<std::byte>& kept = partial_->frame;
  const auto take_up_to = [&](std::size_t size) {
    const std::size_t missing = size - std::min(size, kept.size());
    const auto taken = input.first(std::min(missing, input.size()));
    kept.insert(kept.end(), taken.begin(), taken.end());
    input = input.subspan(taken.size());
    return kept.size() >= size;
  };
  if (!take_up_to(2)) return {};
  Header header{kept.data()};
  if (const FrameError error = check(header); error != FrameError::none) return fail(error);
  if (!take_up_to(header.bytes)) return {};
  header.read_rest(kept.data());
  if (const FrameError error = check_length(header); error != FrameError::none) return fail(error);
  if (!take_up_to(header.bytes + header.payload_bytes)) return {};
  partial_->frame_complete = true;
  return frame(header, std::span{kept}.subspan(header.bytes));
}

FrameEvent FrameDecoder::frame(const Header& header, std::span<std::byte> payload) {
  if (header.masked) apply_mask(payload, header.mask);
  switch (header.opcode) {
    case Opcode::ping:
      return {FrameEvent::Kind::ping, FrameError::none, 0, payload};
    case Opcode::pong:
      return {FrameEvent::Kind::pong, FrameError::none, 0, payload};
    case Opcode::close:
      return close_frame(payload);
    default:
      return data_frame(header, payload);
  }
}

FrameEvent FrameDecoder::close_frame(std::span<std::byte> payload) {
  if (payload.empty()) return {FrameEvent::Kind::close, FrameError::none, no_close_status, {}};
  if (payload.size() == 1) return fail(FrameError::close_payload_invalid);
  const auto code = static_cast<std::uint16_t>(load_big(payload.data(), 2));
  if (!may_be_sent(code)) return fail(FrameError::close_payload_invalid);
  const auto reason = payload.subspan(2);
  if (!is_utf8(reason)) return fail(FrameError::close_reason_not_utf8);
  return {FrameEvent::Kind::close, FrameError::none, code, reason};
}

FrameEvent FrameDecoder::data_frame(const Header& header, std::span<std::byte> payload) {
  if (header.opcode == Opcode::binary && header.fin) {
    return {FrameEvent::Kind::message, FrameError::none, 0, payload};
  }
  Partial& open = partial();
  open.message.insert(open.message.end(), payload.begin(), payload.end());
  open.fragmented = !header.fin;
  if (open.fragmented) return {};
  return {FrameEvent::Kind::message, FrameError::none, 0, open.message};
}

FrameHeader server_header(Opcode opcode, std::size_t payload_bytes) {
  FrameHeader header;
  header.size =
      static_cast<std::uint8_t>(store_header(header.bytes.data(), opcode, payload_bytes, false));
  return header;
}

void append_server_frame(Opcode opcode, Bytes payload, std::vector<std::byte>& out) {
  const FrameHeader header = server_header(opcode, payload.size());
  Writer{out, header.size + payload.size()}
      .put(std::span{header.bytes}.first(header.size))
      .put(payload);
}

void append_client_frame(Opcode opcode, Bytes payload, std::uint32_t mask,
                         std::vector<std::byte>& out) {
  std::array<std::byte, 14> header{};
  const std::size_t before_mask = store_header(header.data(), opcode, payload.size(), true);
  store_little(header.data() + before_mask, mask);
  const std::size_t start = out.size() + before_mask + 4;
  Writer{out, before_mask + 4 + payload.size()}
      .put(std::span<const std::byte>{header}.first(before_mask + 4))
      .put(payload);
  apply_mask(std::span{out}.subspan(start), mask);
}

void apply_mask(std::span<std::byte> data, std::uint32_t mask) {
  const std::uint64_t wide = static_cast<std::uint64_t>(mask) << 32U | mask;
  std::size_t i = 0;
  for (; i + 8 <= data.size(); i += 8) {
    store_little(&data[i], load_little<std::uint64_t>(&data[i]) ^ wide);
  }
  for (; i < data.size(); ++i) {
    data[i] ^= static_cast<std::byte>(static_cast<unsigned char>(mask >> (8U * (i % 4))));
  }
}

std::vector<std::byte> close_payload(CloseCode code, std::string_view reason) {
  std::size_t length = std::min(reason.size(), control_bytes_max - 2);
  // Step back over continuation bytes, so that the cut leaves no half character.
  while (length < reason.size() && length > 0 &&
         (static_cast<unsigned char>(reason[length]) & 0xC0U) == 0x80U) {
    --length;
  }
  std::vector<std::byte> payload(2);
  store_big(payload.data(), static_cast<std::uint16_t>(code), 2);
  Writer{payload, length}.put(reason.substr(0, length));
  return payload;
}

bool is_utf8(std::span<const std::byte> text) {
  const auto at = [text](std::size_t i) { return static_cast<unsigned>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = at(i++);
    if (lead < 0x80) continue;
    const std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i < more) return false;
    // The second byte's range shuts out overlong forms, surrogates and what is above U+10FFFF.
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (at(i) < low || at(i) > high) return false;
    for (std::size_t k = 1; k < more; ++k) {
      if ((at(i + k) & 0xC0U) != 0x80U) return false;
    }
    i += more;
  }
  return true;
}

std::string_view name_of(FrameError error) {
  switch (error) {
    case FrameError::none:
      return "none";
    case FrameError::reserved_bits:
      return "reserved_bits";
    case FrameError::reserved_opcode:
      return "reserved_opcode";
    case FrameError::not_masked:
      return "not_masked";
    case FrameError::masked:
      return "masked";
    case FrameError::control_fragmented:
      return "control_fragmented";
    case FrameError::control_too_long:
      return "control_too_long";
    case FrameError::length_not_minimal:
      return "length_not_minimal";
    case FrameError::length_too_large:
      return "length_too_large";
    case FrameError::unexpected_continuation:
      return "unexpected_continuation";
    case FrameError::expected_continuation:
      return "expected_continuation";
    case FrameError::text_not_supported:
      return "text_not_supported";
    case FrameError::message_too_big:
      return "message_too_big";
    case FrameError::close_payload_invalid:
      return "close_payload_invalid";
    case FrameError::close_reason_not_utf8:
      return "close_reason_not_utf8";
  }
  return "?";
}

CloseCode close_code_of(FrameError error) {
  switch (error) {
    case FrameError::text_not_supported:
      return CloseCode::unsupported_data;
    case FrameError::message_too_big:
      return CloseCode::too_big;
    case FrameError::close_reason_not_utf8:
      return CloseCode::invalid_payload;
    default:
      return CloseCode::protocol_error;
  }
}

}  // namespace clamor::protocol
