#pragma once

#include "server/base/id.hpp"
#include "server/token/token.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clamor::bus {

/// What a node says of itself when a link begins.
struct Hello {
  NodeId from;
  NodeId to;  ///< Whom it means to speak to; the end that was dialled says who dialled it.
  Term term;
  /// Which deployment it is part of, and how that keeps its data, for people to compare.
  std::string identity;
};

/// How two nodes make sure of each other before anything else is said: both name themselves and
/// draw a nonce, both prove over both that they hold the deployment's key. The key never travels,
/// and no proof is good for another link. What follows on the link is neither signed nor encrypted:
/// it belongs in a network of one's own.
///
///     hello: "CLAMORBS", version, length (2 bytes), from, to, term, nonce, identity; then a proof
///
/// The end that dialled says hello; the other one hello and proof; then the first its proof. Bytes
/// in, bytes out; no I/O.
class Handshake {
 public:
  enum class Role : std::uint8_t { dials, answers };
  enum class State : std::uint8_t { open, done, failed };

  /// An end that answers says `own.to` once it has heard who dials.
  Handshake(Role role, Hello own, const token::Key& key);

  /// Takes what belongs to the handshake off the front of `input`.
  State take(std::span<const std::byte>& input);
  /// What is to be sent now; to be asked for at the beginning and after each take(), failed ones
  /// included: the other end shall see why.
  [[nodiscard]] std::vector<std::byte> output();

  /// Who the other end is. @pre done.
  [[nodiscard]] const Hello& peer() const { return peer_; }
  /// Why it failed, and what to do. @pre failed.
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  void say_hello();
  /// Whether a whole hello was there; it may have failed then.
  bool take_hello(std::span<const std::byte>& input);
  bool take_proof(std::span<const std::byte>& input);
  void fail(std::string why);
  void judge();
  /// Proves over both hellos, in the order of dialling, as one of the two ends.
  [[nodiscard]] std::vector<std::byte> proven(Role by) const;

  const Role role_;
  Hello own_;
  const token::Key& key_;
  State state_ = State::open;
  std::vector<std::byte> own_hello_;
  std::vector<std::byte> peer_hello_;  ///< Empty until it was heard.
  Hello peer_;
  std::vector<std::byte> output_;
  std::string fault_;
};

}  // namespace clamor::bus
