#include "server/app/places.hpp"

#include "scenarios/yaml/values.hpp"
#include "server/core/limits.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <limits>
#include <span>

namespace clamor::server {
namespace {

using scenario::Faults;
using scenario::MapReader;
using scenario::Node;

bool is_numeric(const std::string& address) {
  in6_addr parsed{};
  const std::string without_scope = address.substr(0, address.find('%'));
  return inet_pton(AF_INET, address.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, without_scope.c_str(), &parsed) == 1;
}

bool read_address(MapReader& map, const char* key, Address& out) {
  std::string text;
  if (map.require(key) == nullptr || !map.read_text(key, text)) return false;
  const auto address = parse_address(text);
  if (!address) {
    map.fault(key, fmt::format("{} is \"{}\"; {}", key, text, address_expected));
    return false;
  }
  out = *address;
  return true;
}

/// Of a node of whatever process: the others must find it.
void check_bus(MapReader& map, const Address& bus, std::span<const NodePlace> before) {
  if (bus.port == 0) {
    map.fault("bus", "bus has port 0; expected one that the other nodes know");
  } else if (bus.host == "0.0.0.0" || bus.host == "::") {
    map.fault("bus", fmt::format("bus is {}; expected an address at which other nodes reach this "
                                 "one",
                                 print_address(bus)));
  } else if (std::any_of(before.begin(), before.end(),
                         [&bus](const NodePlace& place) { return place.bus == bus; })) {
    map.fault("bus", fmt::format("bus {} stands twice in the list; expected addresses that differ",
                                 print_address(bus)));
  }
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = scenario::parse_whole(text.substr(colon + 1));
  if (!port || *port > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  Address address{std::string{host}, static_cast<std::uint16_t>(*port)};
  if (!is_numeric(address.host)) return std::nullopt;
  return address;
}

std::string print_address(const Address& address) {
  return fmt::format("{}:{}", address.host, address.port);
}

void read_places(Faults& faults, const Node& list, std::vector<NodePlace>& places) {
  if (list.items.size() < 2 || list.items.size() > core::nodes_max) {
    faults.add(list.place,
               fmt::format("nodes lists {}; expected 2 to {}, or the number of nodes where one "
                           "process hosts them all",
                           list.items.size(), core::nodes_max));
  }
  for (const Node& item : list.items) {
    MapReader map{faults, item, "a node"};
    NodePlace place;
    read_address(map, "listen", place.listen);
    if (read_address(map, "bus", place.bus)) check_bus(map, place.bus, places);
    map.finish();
    places.push_back(place);
  }
}

}  // namespace clamor::server
