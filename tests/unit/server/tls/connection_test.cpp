#include "server/tls/connection.hpp"

#include "server/tls/dev_certificate.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <gmock/gmock.h>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace clamor::tls {
namespace {

using testing::HasSubstr;
using Buffer = std::vector<std::byte>;

constexpr std::array<std::byte, ticket_seed_bytes> seed{};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

/// One end, with the plaintext it has received.
struct End {
  Connection connection;
  State state = State::handshaking;
  std::string heard;

  /// Takes what the other end sent and returns what that is to be told.
  Buffer take(const Buffer& cipher) {
    Buffer plain(cipher.size() + record_bytes_max);
    Buffer out;
    const Connection::Taken taken = connection.take(cipher, plain, out);
    state = taken.state;
    heard.append(reinterpret_cast<const char*>(plain.data()), taken.plain_bytes);
    return out;
  }
};

/// Hands bytes to and fro until both ends have nothing to say.
void talk(End& client, End& server) {
  for (Buffer to_server = client.take({}); !to_server.empty();) {
    const Buffer to_client = server.take(to_server);
    if (server.state == State::failed) return;
    to_server = client.take(to_client);
  }
}

class TlsConnection : public testing::Test {
 protected:
  test::TemporaryDirectory directory_;
  DevCertificate files_ = write_dev_certificate(directory_ / "tls", {"localhost", "127.0.0.1"}, 30);
  Context server_ = Context::server({files_.certificate, files_.key}, seed);
  Context client_ = Context::client(files_.authority);

  struct Pair {
    End client;
    End server;
  };
  Pair connected(Context& server, const Ticket& ticket = {},
                 const std::string& host = "127.0.0.1") {
    Pair pair{{.connection = Connection::connect(client_, host, ticket), .heard = {}},
              {.connection = Connection::accept(server), .heard = {}}};
    talk(pair.client, pair.server);
    return pair;
  }
};

TEST_F(TlsConnection, CarriesWhatItIsGivenInBothDirections) {
  Pair pair = connected(server_);
  ASSERT_EQ(pair.client.state, State::open) << pair.client.connection.failure_text();
  ASSERT_EQ(pair.server.state, State::open);
  Buffer cipher;
  const std::string large(100'000, 'x');
  ASSERT_TRUE(pair.client.connection.put(bytes_of("hello"), cipher));
  ASSERT_TRUE(pair.client.connection.put(bytes_of(large), cipher));
  // Method: byte by byte at first, so that records are cut everywhere.
  for (std::size_t i = 0; i < 50; ++i) (void)pair.server.take({cipher[i]});
  (void)pair.server.take({cipher.begin() + 50, cipher.end()});
  EXPECT_EQ(pair.server.heard, "hello" + large);
  cipher.clear();
  ASSERT_TRUE(pair.server.connection.put(bytes_of("hi"), cipher));
  pair.server.connection.end(cipher);
  (void)pair.client.take(cipher);
  EXPECT_EQ(pair.client.heard, "hi");
  EXPECT_EQ(pair.client.state, State::ended);
}

TEST_F(TlsConnection, ATicketResumesASessionAlsoAtARestartedServer) {
  const Pair first = connected(server_);
  EXPECT_FALSE(first.server.connection.resumed());
  const Ticket ticket = first.client.connection.ticket();
  ASSERT_TRUE(ticket);
  const Pair second = connected(server_, ticket);
  EXPECT_TRUE(second.server.connection.resumed());
  EXPECT_TRUE(second.client.connection.resumed());
  Context restarted = Context::server({files_.certificate, files_.key}, seed);
  EXPECT_TRUE(connected(restarted, second.client.connection.ticket()).server.connection.resumed());
  const auto other_seed = [] {
    std::array<std::byte, ticket_seed_bytes> bytes{};
    bytes[0] = std::byte{1};
    return bytes;
  }();
  Context stranger = Context::server({files_.certificate, files_.key}, other_seed);
  EXPECT_FALSE(connected(stranger, ticket).server.connection.resumed());
}

TEST_F(TlsConnection, ATicketOutlivesAConnectionThatBroke) {
  Ticket ticket;
  {
    const Pair broken = connected(server_);
    ticket = broken.client.connection.ticket();
  }
  EXPECT_TRUE(connected(server_, ticket).server.connection.resumed());
}

TEST_F(TlsConnection, ARenewedCertificateIsSeenByWhoeverHasATicketOfTheOldOne) {
  const Ticket ticket = connected(server_).client.connection.ticket();
  ASSERT_TRUE(ticket);
  files_ = write_dev_certificate(directory_ / "tls", {"127.0.0.1"}, 30);
  Context renewed = Context::server({files_.certificate, files_.key}, seed);
  const Pair pair = connected(renewed, ticket);
  EXPECT_EQ(pair.client.state, State::open) << "the authority is still the same";
  EXPECT_FALSE(pair.server.connection.resumed());
}

TEST_F(TlsConnection, TheClientRefusesWhomItDoesNotTrustAndWhoeverIsNotMeant) {
  const Pair other_host = connected(server_, {}, "example.org");
  EXPECT_EQ(other_host.client.state, State::failed);
  EXPECT_EQ(other_host.client.connection.failure(), Failure::certificate);
  EXPECT_THAT(other_host.client.connection.failure_text(), HasSubstr("hostname mismatch"));
  const DevCertificate another = write_dev_certificate(directory_ / "other", {"127.0.0.1"}, 30);
  client_ = Context::client(another.authority);
  const Pair untrusted = connected(server_);
  EXPECT_EQ(untrusted.client.state, State::failed);
  EXPECT_EQ(untrusted.client.connection.failure(), Failure::certificate);
}

TEST_F(TlsConnection, BytesThatAreNoTlsFailAndPlainHttpIsKnownByName) {
  End server{.connection = Connection::accept(server_), .heard = {}};
  const auto http = bytes_of("GET /ws HTTP/1.1\r\n\r\n");
  (void)server.take({http.begin(), http.end()});
  EXPECT_EQ(server.state, State::failed);
  EXPECT_EQ(server.connection.failure(), Failure::plain_http);
  Pair pair = connected(server_);
  Buffer cipher;
  ASSERT_TRUE(pair.client.connection.put(bytes_of("hello"), cipher));
  cipher.back() ^= std::byte{1};
  (void)pair.server.take(cipher);
  EXPECT_EQ(pair.server.state, State::failed) << "one bit was changed on the way";
  EXPECT_EQ(pair.server.heard, "");
}

TEST_F(TlsConnection, FilesThatAreNoCertificateAreRefusedByName) {
  const std::string bad = directory_ / "bad.pem";
  std::ofstream{bad} << "nothing\n";
  const auto fault_of = [](const auto& make) {
    try {
      (void)make();
    } catch (const CertificateError& error) {
      return std::string{error.what()};
    }
    return std::string{"no fault"};
  };
  EXPECT_THAT(fault_of([&] {
                return Context::server({bad, files_.key}, seed);
              }),
              HasSubstr("bad.pem: no start line; expected a certificate in PEM"));
  EXPECT_THAT(fault_of([&] {
                return Context::server({files_.certificate, "/none"}, seed);
              }),
              HasSubstr("/none: No such file or directory; expected the private key of"));
  EXPECT_THAT(fault_of([&] {
                return Context::server({files_.certificate, files_.authority_key}, seed);
              }),
              HasSubstr("ca-key.pem: key values mismatch; expected the private key of"));
  EXPECT_THAT(fault_of([&] { return Context::client(bad); }), HasSubstr("bad.pem"));
  struct stat info {};
  ASSERT_EQ(stat(files_.key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U) << "a private key is its owner's";
}

}  // namespace
}  // namespace clamor::tls
