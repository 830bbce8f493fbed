#pragma once

#include "server/tls/context.hpp"

#include <cstddef>
#include <memory>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <span>
#include <vector>

namespace clamor::tls {

template <auto free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
template <class T, auto free>
using Owned = std::unique_ptr<T, Freed<free>>;

struct Context::Impl {
  /// Where the connection at work reads and writes: one is at a time, so one place does for all.
  std::span<const std::byte> in;
  std::vector<std::byte>* out = nullptr;
  unsigned long error = 0;  ///< OpenSSL's, of the latest failure.
  Owned<BIO_METHOD, BIO_meth_free> wire;
  Owned<SSL_CTX, SSL_CTX_free> ssl;
};

/// A BIO on the context's wire.
[[nodiscard]] BIO* open_wire(Context::Impl& context);

}  // namespace clamor::tls
