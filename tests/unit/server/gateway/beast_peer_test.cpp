#include "tests/unit/server/gateway/live_gateway.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

// Conformance with an implementation that is not ours: Beast's WebSocket client.
namespace clamor::gateway {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

class BeastPeer {
 public:
  explicit BeastPeer(std::uint16_t port) {
    stream.next_layer().connect({asio::ip::address_v4::loopback(), port});
    stream.handshake("localhost", "/ws");
    stream.binary(true);
  }
  std::vector<std::byte> read() {
    boost::beast::flat_buffer buffer;
    stream.read(buffer);
    EXPECT_TRUE(stream.got_binary());
    const auto* from = static_cast<const std::byte*>(buffer.data().data());
    return {from, from + buffer.size()};
  }

 private:
  asio::io_context io_;

 public:
  websocket::stream<asio::ip::tcp::socket, false> stream{io_};
};

TEST(BeastPeer, MessagesOfEverySizeComeBackWholeAndFragmented) {
  LiveGateway live;
  BeastPeer peer{live.port()};
  for (const bool fragment : {false, true}) {
    peer.stream.auto_fragment(fragment);
    peer.stream.write_buffer_bytes(100);
    for (const std::size_t size : {0U, 1U, 125U, 126U, 1000U, 65535U, 65536U}) {
      std::vector<std::byte> payload(size);
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::byte>(i * 31 + size);
      peer.stream.write(asio::buffer(payload));
      EXPECT_EQ(peer.read(), payload) << size << (fragment ? " fragmented" : " whole");
    }
  }
}

TEST(BeastPeer, PingIsAnsweredWithItsPayload) {
  LiveGateway live;
  BeastPeer peer{live.port()};
  std::vector<std::string> pongs;
  peer.stream.control_callback([&](websocket::frame_type type, boost::beast::string_view payload) {
    EXPECT_EQ(type, websocket::frame_type::pong);
    pongs.emplace_back(payload);
  });
  peer.stream.ping("are you there?");
  peer.stream.write(asio::buffer("x", 1));
  peer.read();
  EXPECT_EQ(pongs, std::vector<std::string>{"are you there?"});
}

TEST(BeastPeer, CloseHandshakeCompletesFromEitherSide) {
  LiveGateway live;
  BeastPeer leaving{live.port()};
  error_code ec;
  leaving.stream.close({websocket::close_code::normal, "bye"}, ec);
  EXPECT_FALSE(ec) << ec.message();
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 0; }));
  EXPECT_EQ(live.ended(EndReason::peer_closed), 1U);

  BeastPeer closed{live.port()};
  closed.stream.write(asio::buffer(std::string{"close me"}));
  boost::beast::flat_buffer buffer;
  closed.stream.read(buffer, ec);
  EXPECT_EQ(ec, websocket::error::closed) << ec.message();
  EXPECT_EQ(closed.stream.reason().code, 4409);
  EXPECT_EQ(closed.stream.reason().reason, "as ordered");
}

TEST(BeastPeer, TextIsRefusedAsUnsupportedData) {
  LiveGateway live;
  BeastPeer peer{live.port()};
  peer.stream.text(true);
  peer.stream.write(asio::buffer(std::string{"{}"}));
  boost::beast::flat_buffer buffer;
  error_code ec;
  peer.stream.read(buffer, ec);
  EXPECT_EQ(ec, websocket::error::closed) << ec.message();
  EXPECT_EQ(peer.stream.reason().code, 1003);
}

}  // namespace
}  // namespace clamor::gateway
