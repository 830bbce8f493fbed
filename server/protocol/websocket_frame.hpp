#pragma once

#include "server/protocol/message.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace clamor::protocol {

/// RFC 6455 opcodes; the others are reserved.
enum class Opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA
};

/// Which end of a connection decodes: a server requires masked frames, a client unmasked ones.
enum class Side : std::uint8_t { server, client };

/// What is wrong with a peer's frame. Each ends the connection with close_code_of().
enum class FrameError : std::uint8_t {
  none = 0,
  reserved_bits,            ///< RSV1-3 set: no extension was negotiated.
  reserved_opcode,          ///< 0x3-0x7 or 0xB-0xF.
  not_masked,               ///< From a client.
  masked,                   ///< From a server.
  control_fragmented,       ///< A ping, pong or close without FIN.
  control_too_long,         ///< A ping, pong or close of more than 125 bytes.
  length_not_minimal,       ///< A longer length form than the length needs.
  length_too_large,         ///< A 64-bit length with the highest bit set.
  unexpected_continuation,  ///< A continuation where no message is open.
  expected_continuation,    ///< A new message inside a fragmented one.
  text_not_supported,       ///< The protocol is binary.
  message_too_big,          ///< The message, all fragments together, is over the limit.
  close_payload_invalid,    ///< A close payload of one byte, or with a code that may not be sent.
  close_reason_not_utf8,
};
/// Enumerators, `none` included: the size of an array of counters by kind.
inline constexpr std::size_t frame_error_count = 15;

/// Its name for metrics and close reasons, e.g. "reserved_bits".
[[nodiscard]] std::string_view name_of(FrameError error);
/// The close code that answers it.
[[nodiscard]] CloseCode close_code_of(FrameError error);

/// Close code of a close frame without a payload; never sent (RFC 6455, 7.1.5).
inline constexpr std::uint16_t no_close_status = 1005;

/// What FrameDecoder::next found.
struct FrameEvent {
  enum class Kind : std::uint8_t {
    need_more,  ///< The input is used up.
    message,    ///< `payload`: a complete binary message, fragments joined.
    ping,       ///< `payload` is to be returned in a pong.
    pong,
    close,  ///< `close_code` as the peer sent it or no_close_status; `payload`: the reason.
    error,  ///< `error` says which; the decoder accepts nothing any more.
  };
  Kind kind = Kind::need_more;
  FrameError error = FrameError::none;
  std::uint16_t close_code = 0;
  std::span<std::byte> payload;  ///< Unmasked; valid until the decoder is called again.
};

/// Incremental RFC 6455 decoder for either end of a connection. Pure.
///
/// Works in the caller's read buffer and unmasks there; it keeps bytes of its own only while a
/// frame or a fragmented message is incomplete, so an idle session costs 16 bytes. However the
/// stream is cut into inputs, the events are the same. Nothing is reserved for announced lengths.
///
///     std::span<std::byte> input = ...;  // what one read gave
///     for (FrameEvent event = decoder.next(input); event.kind != need_more; ...)
class FrameDecoder {
 public:
  FrameDecoder(Side side, std::uint32_t message_bytes_max)
      : message_bytes_max_{message_bytes_max}, side_{side} {}

  /// Takes the next event out of `input` and moves its start past what was used. After need_more
  /// `input` is empty. After close or error the caller stops reading. O(bytes used).
  [[nodiscard]] FrameEvent next(std::span<std::byte>& input);

  /// Whether part of a frame or message is being kept.
  [[nodiscard]] bool holds_partial() const { return partial_ != nullptr; }

 private:
  struct Header;
  struct Partial;

  FrameEvent step(std::span<std::byte>& input);
  FrameEvent resume(std::span<std::byte>& input);
  FrameEvent frame(const Header& header, std::span<std::byte> payload);
  FrameEvent data_frame(const Header& header, std::span<std::byte> payload);
  FrameEvent close_frame(std::span<std::byte> payload);
  FrameEvent fail(FrameError error);
  [[nodiscard]] FrameError check(const Header& header) const;
  [[nodiscard]] FrameError check_length(const Header& header) const;
  Partial& partial();
  void release();

  struct PartialDeleter {
    void operator()(Partial* partial) const;
  };
  std::unique_ptr<Partial, PartialDeleter> partial_;
  std::uint32_t message_bytes_max_;
  Side side_;
  bool failed_ = false;
};

/// Header of an unmasked frame with FIN, as servers send; `size` of `bytes` are used.
struct FrameHeader {
  std::array<std::byte, 10> bytes{};
  std::uint8_t size = 0;
};
[[nodiscard]] FrameHeader server_header(Opcode opcode, std::size_t payload_bytes);

/// Append one complete frame. Servers send unmasked; a client masks with a key that the peer's
/// scripts cannot foresee (RFC 6455, 5.3); it is handed in because this code is pure.
void append_server_frame(Opcode opcode, Bytes payload, std::vector<std::byte>& out);
void append_client_frame(Opcode opcode, Bytes payload, std::uint32_t mask,
                         std::vector<std::byte>& out);
/// XORs `data` with the mask as it stands on the wire (its first byte is the key's lowest byte).
void apply_mask(std::span<std::byte> data, std::uint32_t mask);

/// Payload of a close frame; `reason` is cut to 123 bytes without splitting a character.
[[nodiscard]] std::vector<std::byte> close_payload(CloseCode code, std::string_view reason);

/// Whether `text` is well-formed UTF-8 (no overlong forms, surrogates, or code points > U+10FFFF).
[[nodiscard]] bool is_utf8(std::span<const std::byte> text);

}  // namespace clamor::protocol
