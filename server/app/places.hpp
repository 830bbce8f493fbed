#pragma once

#include "scenarios/yaml/document.hpp"
#include "scenarios/yaml/reader.hpp"
#include "server/base/id.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::server {

struct Address {
  std::string host = "127.0.0.1";  ///< Numeric: which of a name's addresses would be meant?
  std::uint16_t port = 0;          ///< 0: any.
  bool operator==(const Address&) const = default;
};

/// Reads `ADDRESS:PORT`, an IPv6 address in brackets or bare.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
[[nodiscard]] std::string print_address(const Address& address);
/// The end of a message about one that does not parse.
inline constexpr const char* address_expected =
    "expected ADDRESS:PORT with a numeric address, e.g. 127.0.0.1:7100 or [::1]:7100";

/// Where a node is found, where several processes host a deployment.
struct NodePlace {
  Address listen;  ///< Of its gateway.
  Address bus;     ///< For the nodes of other processes.
};

/// Reads the list of all nodes; what is wrong goes to `faults`.
void read_places(scenario::Faults& faults, const scenario::Node& list,
                 std::vector<NodePlace>& places);

}  // namespace clamor::server
