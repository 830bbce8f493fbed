#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/bus/bus.hpp"
#include "server/log/log.hpp"
#include "server/token/token.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace clamor::bus {

/// A node of another process.
struct Remote {
  NodeId node;
  std::string address;  ///< Numeric.
  std::uint16_t port = 0;
};

struct LinkSettings {
  std::string address = "127.0.0.1";  ///< Of this node.
  std::uint16_t port = 0;             ///< 0: any; see Links::port().
  std::vector<Remote> remotes;
  /// Which deployment this is; ends that say something else are refused.
  std::string identity;
  token::Key key{};
  std::uint32_t partitions = 0;
  /// What waits for the other end, and the largest parcel. More closes the link.
  std::size_t buffer_bytes_max = std::size_t{256} << 20U;
  Duration redial_after = std::chrono::milliseconds{200};
  Duration handshake_timeout = std::chrono::seconds{5};
  log::LogSettings log;
};

/// A node's links to the nodes of other processes: one TCP connection a pair, dialled by the node
/// with the higher id until it is there, and again whenever it is lost. A turn's messages to a node
/// leave in one write. A link that breaks, is malformed or backs up is closed: the node counts as
/// down, what was under way is lost, and as up once a new link has shaken hands (handshake.hpp).
/// Faults are logged, each once. All calls on the thread that runs `io`.
class Links {
 public:
  /// @pre `receiver` outlives close().
  Links(boost::asio::io_context& io, NodeId self, Term term, LinkSettings settings,
        Receiver& receiver);
  /// Closes them.
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  /// Listens, and dials: from here on links come about, and the receiver is told of them. Throws
  /// boost::system::system_error where the address cannot be had.
  void open();
  [[nodiscard]] std::uint16_t port() const;  ///< @pre open.
  /// Ends them all; the receiver hears nothing any more. Lets `io` run out of work.
  void close();

  /// Whether the node is one of another process.
  [[nodiscard]] bool leads_to(NodeId node) const;
  [[nodiscard]] bool is_up(NodeId node) const;
  /// Adds to the turn's parcel for the node. False where it is down: the message is dropped. Never
  /// calls the receiver.
  bool send(NodeId to, const Message& message);
  /// Sends the turn's parcels; returns how many. Never calls the receiver.
  std::uint64_t flush();
  /// Bytes that wait for the other end, of the link for which most do.
  [[nodiscard]] std::uint64_t waiting_bytes() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace clamor::bus
