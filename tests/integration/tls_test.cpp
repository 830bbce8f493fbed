// `clamor serve` with TLS before a peer that others wrote: OpenSSL's own client.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/shell.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <gmock/gmock.h>
#include <string>

namespace clamor::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Tls : public testing::Test {
 protected:
  Tls() { make_certificate(); }

  void make_certificate() const {
    const std::string made = printed(CLAMOR_BINARY " dev-cert --name 127.0.0.1 --out " + folder_);
    ASSERT_THAT(made, HasSubstr("tls: {certificate: "));
  }
  [[nodiscard]] std::string settings() const {
    return "durability: os\ntls: {certificate: " + folder_ + "/server.pem, key: " + folder_ +
           "/server-key.pem}\n";
  }
  /// Asks for /metrics by `openssl s_client`; what that says and what came.
  [[nodiscard]] std::string ask(std::uint16_t port, const std::string& options = "") const {
    return ask_openssl(port, folder_ + "/ca.pem", options);
  }

  TemporaryDirectory directory_;
  std::string folder_ = directory_ / "tls";
};

TEST_F(Tls, OpensslsClientTrustsResumesAndReadsTheMetrics) {
  const ServerProcess server{settings()};
  const std::string ticket = directory_ / "ticket";
  const std::string first = ask(server.port(), "-sess_out " + ticket);
  EXPECT_THAT(first, HasSubstr("Verify return code: 0 (ok)"));
  EXPECT_THAT(first, HasSubstr("New, TLSv1.3"));
  EXPECT_THAT(first, HasSubstr("\nclamor_gateway_tls_handshakes_total{kind=\"full\"} 1\n"));
  const std::string second = ask(server.port(), "-sess_in " + ticket);
  EXPECT_THAT(second, HasSubstr("Reused, TLSv1.3"));
  EXPECT_THAT(second, HasSubstr("\nclamor_gateway_tls_handshakes_total{kind=\"resumed\"} 1\n"));
}

TEST_F(Tls, AnOlderVersionAnotherAuthorityAndPlainHttpAreEachToldSo) {
  const ServerProcess server{settings()};
  EXPECT_THAT(ask(server.port(), "-tls1_2"), HasSubstr("alert protocol version"));
  const std::string other = directory_ / "other";
  ASSERT_THAT(printed(CLAMOR_BINARY " dev-cert --name 127.0.0.1 --out " + other),
              HasSubstr("tls:"));
  const std::string untrusting = ask(server.port(), "-CAfile " + other + "/ca.pem");
  EXPECT_THAT(untrusting, HasSubstr("certificate verify failed"));
  EXPECT_THAT(untrusting, Not(HasSubstr("HTTP/1.1 200")));
  EXPECT_THAT(TestClient::get(server.port(), "/healthz"), HasSubstr("this port speaks TLS"));
  const std::string metrics = ask(server.port());
  for (const char* reason : {"version", "certificate", "plain_http"}) {
    EXPECT_THAT(metrics, HasSubstr(std::string{"tls_failures_total{reason=\""} + reason + "\"} 1"));
  }
}

TEST_F(Tls, ARestartKeepsTicketsAndARenewedCertificateEndsThem) {
  ServerProcess server{settings()};
  const std::string ticket = directory_ / "ticket";
  ASSERT_THAT(ask(server.port(), "-sess_out " + ticket), HasSubstr("New, TLSv1.3"));
  EXPECT_EQ(server.stop(), 0);
  server.start();
  EXPECT_THAT(ask(server.port(), "-sess_in " + ticket), HasSubstr("Reused, TLSv1.3"));
  const auto certificate_in = [](const std::string& text) {
    const std::size_t at = text.find("-----BEGIN CERTIFICATE");
    return at == std::string::npos ? "" : text.substr(at, 200);
  };
  const std::string before = certificate_in(ask(server.port()));
  make_certificate();
  EXPECT_EQ(server.stop(), 0);
  server.start();
  const std::string renewed = ask(server.port(), "-sess_in " + ticket);
  EXPECT_THAT(renewed, HasSubstr("New, TLSv1.3"));
  EXPECT_THAT(renewed, HasSubstr("Verify return code: 0 (ok)")) << "the authority is the same";
  EXPECT_NE(certificate_in(renewed), before);
}

TEST_F(Tls, AServerWithoutItsCertificateDoesNotStartAndNamesTheFile) {
  std::filesystem::remove(folder_ + "/server.pem");
  try {
    const ServerProcess server{settings()};
    FAIL() << "it started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/server.pem: No such file or directory; expected"));
  }
}

}  // namespace
}  // namespace clamor::test
