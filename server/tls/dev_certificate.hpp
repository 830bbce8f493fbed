#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace clamor::tls {

/// Files of a certificate for development.
struct DevCertificate {
  std::filesystem::path authority;      ///< What clients trust.
  std::filesystem::path authority_key;  ///< Signs the next certificate of the folder.
  std::filesystem::path certificate;
  std::filesystem::path key;
};

/// Writes a certificate for `names` (host names or addresses) and the authority that signs it, made
/// anew unless the folder has one; P-256, keys readable by their owner only. The folder is created
/// where missing. Throws CertificateError where that does not work.
[[nodiscard]] DevCertificate write_dev_certificate(const std::filesystem::path& folder,
                                                   const std::vector<std::string>& names, int days);

}  // namespace clamor::tls
