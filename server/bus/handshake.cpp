#include "server/bus/handshake.hpp"

#include "server/bus/codec.hpp"
#include "server/protocol/byte_order.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <utility>

namespace clamor::bus {
namespace {

constexpr std::string_view magic = "CLAMORBS";
constexpr std::size_t head_bytes = magic.size() + 3;  // version, length
constexpr std::size_t fixed_bytes = 3 * sizeof(std::uint32_t) + sizeof(token::Nonce);
constexpr std::size_t identity_bytes_max = 512;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at) {
  return protocol::load_little<T>(bytes.data() + at);
}

}  // namespace

Handshake::Handshake(Role role, Hello own, const token::Key& key)
    : role_{role}, own_{std::move(own)}, key_{key} {
  if (role_ == Role::dials) say_hello();
}

void Handshake::say_hello() {
  const std::size_t identity_bytes = std::min(own_.identity.size(), identity_bytes_max);
  protocol::Writer{own_hello_, head_bytes + fixed_bytes + identity_bytes}
      .put(magic)
      .put(wire_version)
      .put(static_cast<std::uint16_t>(fixed_bytes + identity_bytes))
      .put(own_.from.value)
      .put(own_.to.value)
      .put(own_.term.value)
      .put(std::span<const std::byte>{token::draw_nonce()})
      .put(std::string_view{own_.identity}.substr(0, identity_bytes));
  output_.insert(output_.end(), own_hello_.begin(), own_hello_.end());
}

std::vector<std::byte> Handshake::output() { return std::exchange(output_, {}); }

void Handshake::fail(std::string why) {
  state_ = State::failed;
  fault_ = std::move(why);
}

Handshake::State Handshake::take(std::span<const std::byte>& input) {
  if (state_ == State::open && peer_hello_.empty() && take_hello(input)) {
    if (role_ == Role::answers) {
      own_.to = peer_.from;
      say_hello();
      const auto proof = token::prove(key_, proven(role_));
      output_.insert(output_.end(), proof.begin(), proof.end());
    }
  }
  if (state_ == State::open && !peer_hello_.empty() && take_proof(input)) {
    if (role_ == Role::dials) {
      // Said whatever this end makes of the other: it comes to the same verdict then.
      const auto proof = token::prove(key_, proven(role_));
      output_.insert(output_.end(), proof.begin(), proof.end());
    }
    judge();
  }
  return state_;
}

bool Handshake::take_hello(std::span<const std::byte>& input) {
  const std::string_view begin{reinterpret_cast<const char*>(input.data()),
                               std::min(input.size(), magic.size())};
  if (begin != magic.substr(0, begin.size())) {
    fail("it does not speak as a node of Clamor; is the port another program's?");
    return false;
  }
  if (input.size() < head_bytes) return false;
  const auto version = load<std::uint8_t>(input, magic.size());
  const auto length = load<std::uint16_t>(input, magic.size() + 1);
  if (version != wire_version) {
    if (role_ == Role::answers) say_hello();  // So that the other end can tell, too.
    fail(
        fmt::format("it speaks version {} of the nodes' protocol, this process version {}; run "
                    "the same Clamor in all processes of a deployment",
                    version, wire_version));
    return false;
  }
  if (length < fixed_bytes || length > fixed_bytes + identity_bytes_max) {
    fail("its hello is malformed");
    return false;
  }
  if (input.size() < head_bytes + length) return false;
  const auto fields = input.subspan(head_bytes, length);
  peer_.from.value = load<std::uint32_t>(fields, 0);
  peer_.to.value = load<std::uint32_t>(fields, 4);
  peer_.term.value = load<std::uint32_t>(fields, 8);
  const auto identity = fields.subspan(fixed_bytes);
  peer_.identity.assign(reinterpret_cast<const char*>(identity.data()), identity.size());
  const auto hello = input.first(head_bytes + length);
  peer_hello_.assign(hello.begin(), hello.end());
  input = input.subspan(hello.size());
  return true;
}

bool Handshake::take_proof(std::span<const std::byte>& input) {
  token::Proof proof;
  if (input.size() < proof.size()) return false;
  std::copy_n(input.begin(), proof.size(), proof.begin());
  input = input.subspan(proof.size());
  const Role other = role_ == Role::dials ? Role::answers : Role::dials;
  if (token::is_proof(key_, proven(other), proof)) return true;
  fail("it does not hold the deployment's secret; expected the same `secret` in all processes");
  return false;
}

void Handshake::judge() {
  if (peer_.identity != own_.identity) {
    return fail(
        fmt::format("it belongs to another deployment: \"{}\", where this one is \"{}\"; "
                    "expected the same settings in all processes",
                    peer_.identity, own_.identity));
  }
  if (peer_.to != own_.from || peer_.from != own_.to) {
    return fail(
        fmt::format("it is node {} and speaks to node {}, where node {} speaks to node {}; "
                    "expected the same list of `nodes` in all processes",
                    peer_.from.value, peer_.to.value, own_.from.value, own_.to.value));
  }
  state_ = State::done;
}

std::vector<std::byte> Handshake::proven(Role by) const {
  const bool own_first = role_ == Role::dials;
  const auto& first = own_first ? own_hello_ : peer_hello_;
  const auto& second = own_first ? peer_hello_ : own_hello_;
  std::vector<std::byte> bytes{static_cast<std::byte>(by)};
  bytes.insert(bytes.end(), first.begin(), first.end());
  bytes.insert(bytes.end(), second.begin(), second.end());
  return bytes;
}

}  // namespace clamor::bus
