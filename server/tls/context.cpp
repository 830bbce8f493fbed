#include "server/tls/context.hpp"

#include "server/base/assert.hpp"
#include "server/tls/context_impl.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <string_view>
#include <utility>

namespace clamor::tls {
namespace {

/// A ticket is taken for so long; TLS 1.3 allows seven days.
constexpr long ticket_seconds = 24L * 3600;

// --- the wire: memory in, memory out -------------------------------------------------------------

int wire_read(BIO* bio, char* data, std::size_t size, std::size_t* got) {
  auto& context = *static_cast<Context::Impl*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *got = std::min(size, context.in.size());
  if (*got == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(data, context.in.data(), *got);
  context.in = context.in.subspan(*got);
  return 1;
}

int wire_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  auto& context = *static_cast<Context::Impl*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto* const bytes = reinterpret_cast<const std::byte*>(data);
  context.out->insert(context.out->end(), bytes, bytes + size);
  *written = size;
  return 1;
}

long wire_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// --- errors --------------------------------------------------------------------------------------

std::string first_reason() {
  const unsigned long error = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(error)) return std::strerror(static_cast<int>(ERR_GET_REASON(error)));
  const char* const reason = ERR_reason_error_string(error);
  return reason == nullptr ? "unknown reason" : reason;
}

[[noreturn]] void refuse(const std::string& file, std::string_view expected) {
  throw CertificateError{file + ": " + first_reason() + "; expected " + std::string{expected}};
}

std::unique_ptr<Context::Impl> make_impl(const SSL_METHOD* method) {
  auto impl = std::make_unique<Context::Impl>();
  impl->wire.reset(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "clamor wire"));
  CLAMOR_ASSERT(impl->wire != nullptr);
  BIO_meth_set_read_ex(impl->wire.get(), wire_read);
  BIO_meth_set_write_ex(impl->wire.get(), wire_write);
  BIO_meth_set_ctrl(impl->wire.get(), wire_control);
  impl->ssl.reset(SSL_CTX_new(method));
  CLAMOR_ASSERT(impl->ssl != nullptr);
  SSL_CTX* const ssl = impl->ssl.get();
  SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  return impl;
}

/// Name, HMAC and AES key of the tickets, in OpenSSL's order: of the seed and the certificate.
void set_ticket_keys(SSL_CTX* ssl, TicketSeed seed) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> fingerprint{};
  unsigned int fingerprint_bytes = 0;
  CLAMOR_ASSERT(X509_digest(SSL_CTX_get0_certificate(ssl), EVP_sha256(), fingerprint.data(),
                            &fingerprint_bytes) == 1);
  constexpr std::size_t block = 64;
  std::array<unsigned char, 2 * block> keys{};
  for (unsigned char part = 0; part < 2; ++part) {
    fingerprint[fingerprint_bytes] = part;
    CLAMOR_ASSERT(HMAC(EVP_sha512(), seed.data(), static_cast<int>(seed.size()), fingerprint.data(),
                       fingerprint_bytes + 1U, keys.data() + part * block, nullptr) != nullptr);
  }
  const long wanted = SSL_CTX_set_tlsext_ticket_keys(ssl, nullptr, 0);
  CLAMOR_ASSERT(wanted > 0 && static_cast<std::size_t>(wanted) <= keys.size());
  CLAMOR_ASSERT(SSL_CTX_set_tlsext_ticket_keys(ssl, keys.data(), wanted) == 1);
}

}  // namespace

BIO* open_wire(Context::Impl& context) {
  BIO* const bio = BIO_new(context.wire.get());
  CLAMOR_ASSERT(bio != nullptr);
  BIO_set_data(bio, &context);
  BIO_set_init(bio, 1);
  return bio;
}

Context Context::server(const CertificateFiles& files, TicketSeed seed) {
  auto impl = make_impl(TLS_server_method());
  SSL_CTX* const ssl = impl->ssl.get();
  if (SSL_CTX_use_certificate_chain_file(ssl, files.certificate.c_str()) != 1) {
    refuse(files.certificate,
           "a certificate in PEM, its chain behind it (clamor dev-cert makes one)");
  }
  if (SSL_CTX_use_PrivateKey_file(ssl, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    refuse(files.key, "the private key of " + files.certificate + " in PEM, without a password");
  }
  SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(ssl, ticket_seconds);
  SSL_CTX_set_num_tickets(ssl, 1);
  set_ticket_keys(ssl, seed);
  return Context{std::move(impl)};
}

Context Context::client(const std::string& authority_file) {
  auto impl = make_impl(TLS_client_method());
  SSL_CTX* const ssl = impl->ssl.get();
  const int loaded = authority_file.empty() ? SSL_CTX_set_default_verify_paths(ssl)
                                            : SSL_CTX_load_verify_file(ssl, authority_file.c_str());
  if (loaded != 1) {
    refuse(authority_file.empty() ? "the system's certificates" : authority_file,
           "certificates of authorities in PEM");
  }
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  // A client takes its tickets from its connections.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  return Context{std::move(impl)};
}

Context::Context(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

}  // namespace clamor::tls
