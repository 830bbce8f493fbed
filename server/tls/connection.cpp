#include "server/tls/connection.hpp"

#include "server/base/assert.hpp"
#include "server/tls/context_impl.hpp"

#include <arpa/inet.h>
#include <array>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace clamor::tls {
namespace {

SSL* ssl_of(void* ssl) { return static_cast<SSL*>(ssl); }

Context::Impl& impl_of(void* ssl) {
  return *static_cast<Context::Impl*>(SSL_get_app_data(ssl_of(ssl)));
}

SSL* make(Context::Impl& context) {
  SSL* const ssl = SSL_new(context.ssl.get());
  CLAMOR_ASSERT(ssl != nullptr);
  BIO* const wire = open_wire(context);
  SSL_set_bio(ssl, wire, wire);
  SSL_set_app_data(ssl, &context);
  return ssl;
}

bool is_address(const std::string& host) {
  in6_addr parsed{};
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

}  // namespace

std::string_view name_of(Failure failure) {
  switch (failure) {
    case Failure::plain_http:
      return "plain_http";
    case Failure::version:
      return "version";
    case Failure::certificate:
      return "certificate";
    case Failure::other:
      return "other";
  }
  return "?";
}

void Ticket::Free::operator()(void* session) const {
  SSL_SESSION_free(static_cast<SSL_SESSION*>(session));
}
void Connection::Free::operator()(void* ssl) const {
  // That a connection broke says nothing against its session: without this its ticket is void.
  SSL_set_shutdown(ssl_of(ssl), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl_of(ssl));
}

Connection Connection::accept(Context& context) {
  SSL* const ssl = make(*context.impl_);
  SSL_set_accept_state(ssl);
  return Connection{ssl};
}

Connection Connection::connect(Context& context, const std::string& host, const Ticket& ticket) {
  SSL* const ssl = make(*context.impl_);
  SSL_set_connect_state(ssl);
  if (is_address(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  if (ticket) SSL_set_session(ssl, static_cast<SSL_SESSION*>(ticket.session_.get()));
  return Connection{ssl};
}

Connection::Taken Connection::take(std::span<const std::byte> cipher, std::span<std::byte> plain,
                                   std::vector<std::byte>& out) {
  SSL* const ssl = ssl_of(ssl_.get());
  Context::Impl& context = impl_of(ssl);
  context.in = cipher;
  context.out = &out;
  ERR_clear_error();
  if (SSL_is_init_finished(ssl) == 0) {
    const int done = SSL_do_handshake(ssl);
    if (done != 1) {
      const bool waits = SSL_get_error(ssl, done) == SSL_ERROR_WANT_READ;
      return {0, waits ? State::handshaking : fail()};
    }
  }
  Taken taken{0, State::open};
  for (;;) {
    CLAMOR_ASSERT(taken.plain_bytes < plain.size());
    std::size_t got = 0;
    const int read =
        SSL_read_ex(ssl, plain.data() + taken.plain_bytes, plain.size() - taken.plain_bytes, &got);
    if (read == 1) {
      taken.plain_bytes += got;
      continue;
    }
    const int error = SSL_get_error(ssl, read);
    if (error == SSL_ERROR_ZERO_RETURN) taken.state = State::ended;
    if (error != SSL_ERROR_ZERO_RETURN && error != SSL_ERROR_WANT_READ) taken.state = fail();
    return taken;
  }
}

bool Connection::put(std::span<const std::byte> plain, std::vector<std::byte>& out) {
  if (plain.empty()) return true;
  SSL* const ssl = ssl_of(ssl_.get());
  Context::Impl& context = impl_of(ssl);
  context.in = {};
  context.out = &out;
  ERR_clear_error();
  std::size_t written = 0;
  if (SSL_write_ex(ssl, plain.data(), plain.size(), &written) == 1) return true;
  fail();
  return false;
}

void Connection::end(std::vector<std::byte>& out) {
  SSL* const ssl = ssl_of(ssl_.get());
  Context::Impl& context = impl_of(ssl);
  context.in = {};
  context.out = &out;
  ERR_clear_error();
  SSL_shutdown(ssl);  // says only that the peer has not answered it yet
}

State Connection::fail() {
  impl_of(ssl_.get()).error = ERR_peek_error();
  ERR_clear_error();
  return State::failed;
}

bool Connection::resumed() const { return SSL_session_reused(ssl_of(ssl_.get())) == 1; }

Ticket Connection::ticket() const {
  Ticket ticket;
  SSL_SESSION* const session = SSL_get1_session(ssl_of(ssl_.get()));
  ticket.session_.reset(session);
  if (session != nullptr && SSL_SESSION_is_resumable(session) == 0) ticket.session_.reset();
  return ticket;
}

Failure Connection::failure() const {
  switch (ERR_GET_REASON(impl_of(ssl_.get()).error)) {
    case SSL_R_HTTP_REQUEST:
      return Failure::plain_http;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return Failure::version;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return Failure::certificate;
    default:
      return Failure::other;
  }
}

std::string Connection::failure_text() const {
  const unsigned long error = impl_of(ssl_.get()).error;
  const char* const reason = ERR_reason_error_string(error);
  std::string text = reason == nullptr ? "the connection broke" : reason;
  if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER) text += " (the port speaks no TLS)";
  const long verified = SSL_get_verify_result(ssl_of(ssl_.get()));
  if (verified != X509_V_OK)
    text += std::string{" ("} + X509_verify_cert_error_string(verified) + ")";
  return text;
}

}  // namespace clamor::tls
