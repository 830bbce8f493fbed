#pragma once

#include "server/protocol/codec.hpp"
#include "server/protocol/websocket_frame.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace clamor::test {

/// Stands between clients and a server and swallows the live records it is told to: a server that
/// loses messages, to see whether the ledger says so. Runs on a thread of its own.
class RecordDroppingProxy {
 public:
  /// Called on the proxy's thread for each live record on its way to a client; `connection` counts
  /// connections from 0. True: swallow it.
  using Decide = std::function<bool(std::uint32_t connection, const core::Record& record)>;

  RecordDroppingProxy(std::uint16_t server_port, Decide drop)
      : server_{boost::asio::ip::address_v4::loopback(), server_port},
        drop_{std::move(drop)},
        acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}} {
    accept();
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~RecordDroppingProxy() {
    io_.stop();
    thread_.join();
  }
  RecordDroppingProxy(const RecordDroppingProxy&) = delete;
  RecordDroppingProxy& operator=(const RecordDroppingProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  using tcp = boost::asio::ip::tcp;
  struct Pair {
    explicit Pair(boost::asio::io_context& io) : client{io}, server{io} {}
    tcp::socket client;
    tcp::socket server;
    std::uint32_t number = 0;
    std::array<std::byte, 64 * 1024> up{};
    std::array<std::byte, 64 * 1024> down{};
    std::string head;  ///< Of the server's answer, until it is complete.
    bool websocket = false;
    bool head_done = false;
    protocol::FrameDecoder decoder{protocol::Side::client, 1U << 20U};
    std::vector<std::byte> out;
  };

  void accept() {
    auto pair = std::make_shared<Pair>(io_);
    acceptor_.async_accept(pair->client, [this, pair](auto error) {
      if (error) return;
      pair->number = connections_++;
      boost::system::error_code failed;
      pair->server.connect(server_, failed);
      if (!failed) {
        pump_up(pair);
        pump_down(pair);
      }
      accept();
    });
  }

  void pump_up(const std::shared_ptr<Pair>& pair) {
    pair->client.async_read_some(
        boost::asio::buffer(pair->up), [this, pair](auto error, std::size_t got) {
          boost::system::error_code failed;
          if (!error) {
            boost::asio::write(pair->server, boost::asio::buffer(pair->up.data(), got), failed);
          }
          if (error || failed) return pair->server.close(failed), void();
          pump_up(pair);
        });
  }

  void pump_down(const std::shared_ptr<Pair>& pair) {
    pair->server.async_read_some(
        boost::asio::buffer(pair->down), [this, pair](auto error, std::size_t got) {
          boost::system::error_code failed;
          if (!error) {
            pair->out.clear();
            filter(*pair, std::span{pair->down}.first(got));
            boost::asio::write(pair->client, boost::asio::buffer(pair->out), failed);
          }
          if (error || failed) return pair->client.close(failed), void();
          pump_down(pair);
        });
  }

  void filter(Pair& pair, std::span<std::byte> input) {
    if (!pair.head_done) {
      pair.head.append(reinterpret_cast<const char*>(input.data()), input.size());
      const std::size_t end = pair.head.find("\r\n\r\n");
      if (end == std::string::npos) return;
      pair.head_done = true;
      pair.websocket = pair.head.starts_with("HTTP/1.1 101");
      const std::size_t head_bytes = pair.websocket ? end + 4 : pair.head.size();
      for (std::size_t i = 0; i < head_bytes; ++i) {
        pair.out.push_back(static_cast<std::byte>(pair.head[i]));
      }
      input = input.last(pair.head.size() - head_bytes);
    } else if (!pair.websocket) {
      pair.out.insert(pair.out.end(), input.begin(), input.end());
      return;
    }
    take_frames(pair, input);
  }

  void take_frames(Pair& pair, std::span<std::byte> input) {
    using Kind = protocol::FrameEvent::Kind;
    for (;;) {
      const auto event = pair.decoder.next(input);
      if (event.kind == Kind::need_more || event.kind == Kind::error) return;
      if (event.kind == Kind::close) {
        protocol::append_server_frame(
            protocol::Opcode::close,
            protocol::close_payload(static_cast<protocol::CloseCode>(event.close_code), {}),
            pair.out);
        return;
      }
      if (event.kind == Kind::message) {
        const auto message = protocol::decode_server(event.payload);
        const auto* frame = message ? std::get_if<protocol::RecordFrame>(&*message) : nullptr;
        if (frame != nullptr && drop_(pair.number, frame->record)) {
          ++dropped_;
          continue;
        }
      }
      const auto opcode = event.kind == Kind::message ? protocol::Opcode::binary
                          : event.kind == Kind::ping  ? protocol::Opcode::ping
                                                      : protocol::Opcode::pong;
      protocol::append_server_frame(opcode, event.payload, pair.out);
    }
  }

  boost::asio::io_context io_;
  tcp::endpoint server_;
  Decide drop_;
  tcp::acceptor acceptor_;
  std::uint32_t connections_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace clamor::test
