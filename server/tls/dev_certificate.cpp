#include "server/tls/dev_certificate.hpp"

#include "server/base/assert.hpp"
#include "server/tls/context.hpp"
#include "server/tls/context_impl.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace clamor::tls {
namespace {

using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = Owned<X509, X509_free>;
using File = Owned<std::FILE, std::fclose>;

constexpr int authority_days = 3650;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& why) {
  throw CertificateError{path.string() + ": " + why};
}

void set_name(X509_NAME* name, const char* common_name) {
  CLAMOR_ASSERT(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                           reinterpret_cast<const unsigned char*>(common_name), -1,
                                           -1, 0) == 1);
}

/// False where OpenSSL does not understand `value`.
bool extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION, X509_EXTENSION_free> extension{
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str())};
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// An unsigned certificate of a new key, valid from an hour ago: clocks differ.
Certificate make_certificate(EVP_PKEY* key, const char* common_name, int days) {
  Certificate certificate{X509_new()};
  X509_set_version(certificate.get(), X509_VERSION_3);
  const Owned<BIGNUM, BN_free> serial{BN_new()};
  CLAMOR_ASSERT(BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get()));
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_time_adj_ex(X509_getm_notAfter(certificate.get()), days, 0, nullptr);
  set_name(X509_get_subject_name(certificate.get()), common_name);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

void sign(X509* certificate, X509* issuer, EVP_PKEY* key) {
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  CLAMOR_ASSERT(X509_sign(certificate, key, EVP_sha256()) != 0);
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    in6_addr parsed{};
    const bool address = inet_pton(AF_INET, name.c_str(), &parsed) == 1 ||
                         inet_pton(AF_INET6, name.c_str(), &parsed) == 1;
    text += (text.empty() ? "" : ",") + std::string{address ? "IP:" : "DNS:"} + name;
  }
  return text;
}

/// Opens for writing; the file is new, so that nobody who may read an old one may read this.
File create(const std::filesystem::path& path, mode_t mode) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  File file{fd < 0 ? nullptr : ::fdopen(fd, "w")};
  if (file == nullptr) refuse(path, std::string{"cannot be written: "} + std::strerror(errno));
  return file;
}

void write(const std::filesystem::path& path, EVP_PKEY* key) {
  const File file = create(path, 0600);
  if (PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      std::fflush(file.get()) != 0) {
    refuse(path, "cannot be written");
  }
}

void write(const std::filesystem::path& path, X509* certificate) {
  const File file = create(path, 0644);
  if (PEM_write_X509(file.get(), certificate) != 1 || std::fflush(file.get()) != 0) {
    refuse(path, "cannot be written");
  }
}

template <class Object, class Read>
Object read(const std::filesystem::path& path, Read pem_read) {
  const File file{std::fopen(path.c_str(), "re")};
  Object object{file == nullptr ? nullptr : pem_read(file.get(), nullptr, nullptr, nullptr)};
  if (object == nullptr) {
    refuse(path, "cannot be read as PEM; remove the authority's two files to have a new one");
  }
  return object;
}

struct Authority {
  Certificate certificate;
  Key key;
};

Authority make_authority(const DevCertificate& files) {
  Authority made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate =
      make_certificate(made.key.get(), "clamor development authority", authority_days);
  X509* const own = made.certificate.get();
  CLAMOR_ASSERT(extend(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  CLAMOR_ASSERT(extend(own, own, NID_key_usage, "critical,keyCertSign"));
  CLAMOR_ASSERT(extend(own, own, NID_subject_key_identifier, "hash"));
  sign(own, own, made.key.get());
  write(files.authority_key, made.key.get());
  write(files.authority, own);
  return made;
}

}  // namespace

DevCertificate write_dev_certificate(const std::filesystem::path& folder,
                                     const std::vector<std::string>& names, int days) {
  const DevCertificate files{folder / "ca.pem", folder / "ca-key.pem", folder / "server.pem",
                             folder / "server-key.pem"};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) refuse(folder, "cannot be created: " + error.message());
  const bool known =
      std::filesystem::exists(files.authority) && std::filesystem::exists(files.authority_key);
  Authority authority;
  if (known) {
    authority.certificate = read<Certificate>(files.authority, PEM_read_X509);
    authority.key = read<Key>(files.authority_key, PEM_read_PrivateKey);
  } else {
    authority = make_authority(files);
  }
  const Key key{EVP_EC_gen("P-256")};
  const Certificate certificate = make_certificate(key.get(), names.front().c_str(), days);
  X509* const issuer = authority.certificate.get();
  if (!extend(certificate.get(), issuer, NID_subject_alt_name, alternative_names(names))) {
    throw CertificateError{"the names " + alternative_names(names) +
                           " do not go into a certificate; expected host names and addresses"};
  }
  CLAMOR_ASSERT(extend(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE"));
  CLAMOR_ASSERT(extend(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature"));
  CLAMOR_ASSERT(extend(certificate.get(), issuer, NID_ext_key_usage, "serverAuth"));
  CLAMOR_ASSERT(extend(certificate.get(), issuer, NID_authority_key_identifier, "keyid"));
  sign(certificate.get(), issuer, authority.key.get());
  write(files.key, key.get());
  write(files.certificate, certificate.get());
  return files;
}

}  // namespace clamor::tls
