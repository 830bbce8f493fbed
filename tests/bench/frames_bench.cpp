// Question: what does it cost to encode, frame and decode what travels between client and server?
#include "server/protocol/codec.hpp"
#include "server/protocol/websocket_frame.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <variant>
#include <vector>

namespace clamor::protocol {
namespace {

using Buffer = std::vector<std::byte>;

Buffer body_of(std::size_t bytes) { return Buffer(bytes, std::byte{'x'}); }

RecordFrame record_with(Bytes body) {
  return {.record = {.channel = {7},
                     .id = MessageId{1234},
                     .sender = {42},
                     .device = {1},
                     .device_incarnation = 1,
                     .client_message_id = ClientMessageId{99}},
          .body = body};
}

void report(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  state.counters["message_bytes"] = static_cast<double>(bytes);
}

void encode_record(benchmark::State& state) {
  const Buffer body = body_of(static_cast<std::size_t>(state.range(0)));
  const RecordFrame frame = record_with(body);
  Buffer out;
  for (auto _ : state) {
    out.clear();
    encode(frame, out);
    benchmark::DoNotOptimize(out.data());
  }
  report(state, out.size());
}
BENCHMARK(encode_record)->ArgName("body")->Arg(20)->Arg(100)->Arg(1000);

void decode_record(benchmark::State& state) {
  const Buffer body = body_of(static_cast<std::size_t>(state.range(0)));
  Buffer encoded;
  encode(record_with(body), encoded);
  std::size_t decoded = 0;
  for (auto _ : state) {
    const auto message = decode_server(encoded);
    decoded += message && std::get<RecordFrame>(*message).body.size() == body.size() ? 1U : 0U;
  }
  if (decoded != static_cast<std::uint64_t>(state.iterations()))
    state.SkipWithError("a record did not decode");
  report(state, encoded.size());
}
BENCHMARK(decode_record)->ArgName("body")->Arg(20)->Arg(100)->Arg(1000);

/// What a server does with each message it receives: unmask, find its end, decode.
void receive_send(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  const Buffer body = body_of(100);
  Buffer payload, segment;
  encode(Send{.channel = {7}, .client_message_id = ClientMessageId{9}, .body = body}, payload);
  for (std::size_t i = 0; i < messages; ++i) {
    append_client_frame(Opcode::binary, payload, 0x9E3779B9U, segment);
  }
  FrameDecoder decoder{Side::server, 64 * 1024};
  Buffer read = segment;
  std::size_t decoded = 0;
  for (auto _ : state) {
    std::copy(segment.begin(), segment.end(), read.begin());  // decoding unmasks in place
    std::span<std::byte> input = read;
    for (FrameEvent event = decoder.next(input); event.kind == FrameEvent::Kind::message;
         event = decoder.next(input)) {
      decoded += decode_client(event.payload).has_value() ? 1U : 0U;
    }
  }
  if (decoded != messages * static_cast<std::size_t>(state.iterations()))
    state.SkipWithError("a send did not decode");
  report(state, segment.size());
  state.SetItemsProcessed(static_cast<std::int64_t>(decoded));
}
BENCHMARK(receive_send)->ArgName("messages_per_read")->Arg(1)->Arg(16);

/// What a client does with a flush of joined records.
void receive_records(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  const Buffer body = body_of(100);
  Buffer payload, segment;
  encode(record_with(body), payload);
  for (std::size_t i = 0; i < messages; ++i) append_server_frame(Opcode::binary, payload, segment);
  FrameDecoder decoder{Side::client, server_message_bytes_max};
  std::size_t decoded = 0;
  for (auto _ : state) {
    std::span<std::byte> input = segment;
    for (FrameEvent event = decoder.next(input); event.kind == FrameEvent::Kind::message;
         event = decoder.next(input)) {
      decoded += decode_server(event.payload).has_value() ? 1U : 0U;
    }
  }
  if (decoded != messages * static_cast<std::size_t>(state.iterations()))
    state.SkipWithError("a record did not decode");
  report(state, segment.size());
  state.SetItemsProcessed(static_cast<std::int64_t>(decoded));
}
BENCHMARK(receive_records)->ArgName("messages_per_read")->Arg(1)->Arg(16);

/// A catch-up page, from records that were encoded before.
void write_page(benchmark::State& state) {
  const auto records = static_cast<std::size_t>(state.range(0));
  const Buffer body = body_of(100);
  Buffer item, out;
  encode(record_with(body), item);
  for (auto _ : state) {
    out.clear();
    PageWriter page{out};
    for (std::size_t i = 0; i < records; ++i) page.add_encoded(item);
    page.finish(true, {});
    benchmark::DoNotOptimize(out.data());
  }
  const auto decoded = decode_server(out);
  if (!decoded || std::get<Page>(*decoded).items.size() != records) {
    state.SkipWithError("the page does not hold its records");
  }
  report(state, out.size());
}
BENCHMARK(write_page)->ArgName("records")->Arg(10)->Arg(1000);

}  // namespace
}  // namespace clamor::protocol
