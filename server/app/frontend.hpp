#pragma once

#include "server/app/catch_up.hpp"
#include "server/app/live_channels.hpp"
#include "server/app/node_context.hpp"
#include "server/app/presence_watches.hpp"
#include "server/app/sessions.hpp"
#include "server/bus/messages.hpp"
#include "server/core/token_bucket.hpp"
#include "server/gateway/gateway.hpp"
#include "server/protocol/codec.hpp"
#include "server/protocol/message.hpp"
#include "server/token/password_pool.hpp"
#include "server/token/token.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace clamor::server {

/// The gateway half of a node: speaks to clients, and for them to the owners of channels and users.
/// Keeps sessions, devices, the channels that sessions want, and catch-ups; nothing that a restart
/// may not forget. All calls on the node's I/O thread.
///
/// A session sees each channel's ids densely: catch-up reads up to `relayed`, live records follow
/// it; a gap is read from the owner's log before what lies above it goes out.
class Frontend {
 public:
  Frontend(boost::asio::io_context& io, NodeContext& node);

  /// Names the gateway. @pre before any other call; it outlives them.
  void attach(gateway::Gateway& gateway) { gateway_ = &gateway; }
  /// Refuses further logins; sessions go on.
  void refuse_logins() { logins_end_ = true; }
  /// Refuses further logins and requests that append.
  void drain() {
    logins_end_ = draining_ = true;
    presence_timer_.cancel();
  }
  /// Refuses what up to `count` further sessions send, so that they have their answers before they
  /// are closed. Returns how many there are, 0 at the end (frontend_drain.cpp).
  std::size_t begin_leaving(std::size_t count);
  /// Closes them, and says when to come back.
  void close_leaving();
  /// Of the close frames of a server that is taken down.
  [[nodiscard]] std::string drain_reason() const;
  void add_to(NodeMetrics& metrics) const;

  // --- from clients
  void on_open(gateway::SessionId id) { sessions_.open(id); }
  void on_message(gateway::SessionId id, std::span<const std::byte> payload);
  /// `silent_for`: so long ago the client was heard.
  void on_end(gateway::SessionId id, Duration silent_for);
  /// A session that was behind has read everything: it catches up.
  void on_drained(gateway::SessionId id);
  /// Serves catch-up pages.
  void end_turn();

  // --- from owners (frontend_live.cpp, frontend_catch_up.cpp)
  void handle(NodeId from, bus::Published&& published);
  void handle(NodeId from, bus::LateAck&& ack);
  void handle(NodeId from, bus::Duplicate&& duplicate);
  void handle(NodeId from, bus::Refusal&& refusal);
  void handle(NodeId from, bus::Registered&& registered);
  void handle(NodeId from, bus::LogRead&& read);
  void handle(NodeId from, bus::UserQueueRead&& read);
  void handle(NodeId from, bus::MemberQueueRead&& read);
  void handle(NodeId from, bus::UserChannels&& channels);
  void handle(NodeId from, bus::Joined&& joined);
  void handle(NodeId from, bus::UnreadChanged&& changed);
  void handle(NodeId from, bus::MemberTyping&& typing);
  void handle(NodeId from, bus::Partners&& partners);
  void handle(NodeId from, bus::PresenceChanged&& changed);
  void handle(NodeId from, bus::Account&& account);
  void handle(NodeId from, bus::AccountPut&& put);
  void handle(NodeId from, bus::Supersede&& supersede);
  void handle(NodeId from, bus::Rebuilt&& rebuilt);

  // --- other nodes (frontend_nodes.cpp)
  void on_node_up(NodeId node, Term term);
  void on_node_down(NodeId node);

 private:
  // --- requests (frontend_requests.cpp)
  void handle(gateway::SessionId id, Session& session, const protocol::Login& login);
  void handle(gateway::SessionId id, Session& session, const protocol::Send& send);
  void handle(gateway::SessionId id, Session& session, const protocol::CreateChannel& create);
  void handle(gateway::SessionId id, Session& session, const protocol::Join& join);
  void handle(gateway::SessionId id, Session& session, const protocol::Leave& leave);
  void handle(gateway::SessionId id, Session& session, const protocol::DeviceAck& ack);
  void handle(gateway::SessionId id, Session& session, const protocol::NextPage& next);
  void handle(gateway::SessionId id, Session& session, const protocol::Read& read);
  void handle(gateway::SessionId id, Session& session, const protocol::Typing& typing);
  void handle(gateway::SessionId id, Session& session, const protocol::Heartbeat& heartbeat);
  void handle(gateway::SessionId id, Session& session,
              const protocol::SubscribePresence& subscribe);
  void handle(gateway::SessionId id, Session& session,
              const protocol::UnsubscribePresence& unsubscribe);
  // --- passwords (frontend_accounts.cpp)
  void handle(gateway::SessionId id, Session& session, const protocol::Authenticate& asked);
  void handle(gateway::SessionId id, Session& session, const protocol::SetAccount& set);
  /// Whether a request about the user's account cannot be taken: then it was refused.
  [[nodiscard]] bool refuse_account(gateway::SessionId id, const Session& session, UserId user);
  void refuse_for_passwords(gateway::SessionId id);
  /// Has a function called on this node's thread, in a turn, with what a job of the pool gave.
  template <class Result, class Then>
  [[nodiscard]] auto on_own_thread(Then then);
  void on_checked(gateway::SessionId id, UserId user, const std::string& stored,
                  token::PasswordPool::Checked checked);
  void on_hashed(gateway::SessionId id, UserId user, std::string stored);
  /// The session, where it waits for this answer; else nullptr.
  [[nodiscard]] Session* waiting_for_account(gateway::SessionId id);

  /// Whether a request that appends to the channel cannot be taken: then it was refused.
  [[nodiscard]] bool refuse_append(gateway::SessionId id, const Session& session,
                                   const protocol::Refused& naming);
  /// Whether the session's user asks more often than it may: then it was refused.
  [[nodiscard]] bool refuse_rate(gateway::SessionId id, const Session& session,
                                 core::TokenBuckets& buckets, const protocol::Refused& naming);
  /// Whether the session's user is in as many channels as it may join: then it was refused.
  [[nodiscard]] bool refuse_channel(gateway::SessionId id, const Session& session,
                                    ChannelId channel);
  void refuse(gateway::SessionId id, const protocol::Refused& refusal);
  void refuse_and_close(gateway::SessionId id, const protocol::Refused& refusal,
                        protocol::CloseCode code);
  /// Closes a session: what it still sends is not looked at.
  void close(gateway::SessionId id, Session& session, protocol::CloseCode code,
             std::string_view reason);
  void supersede(gateway::SessionId old);
  /// Tells the user's owner what the device says it holds.
  void report(const Session& session, std::span<const protocol::HeldPosition> positions,
              bool login);

  /// Registers the channels that the session should get and does not, after its user's owner was
  /// away.
  void refresh(gateway::SessionId id, Session& session, std::span<const ChannelId> channels);
  /// Whether the number of a link continues it; else its channels are registered anew.
  void follow_link(NodeId owner, const bus::Published& published);

  // --- live records (frontend_live.cpp)
  void acknowledge(const core::Record& record, std::span<const std::byte> body,
                   const bus::Answer& answer);
  /// To the device, wherever it is logged in by now; but another incarnation sent nothing.
  void acknowledge_device(const bus::LateAck& ack);
  void send_ack(gateway::SessionId id, ChannelId channel, MessageId message_id,
                gateway::SharedFrame frame);
  /// A live record as a link brings it.
  void relay(const core::Record& record, std::span<const std::byte> body, bool to_sender);
  /// Hands the channel's next record to its sessions; the sending device's is among them where the
  /// ack is not its receipt.
  void deliver(LiveIndex index, const core::Record& record, std::span<const std::byte> body,
               bool to_sender);
  void repair(LiveIndex index, MessageId up_to);
  void on_repair_read(const bus::LogRead& read);
  /// What a gap swallowed is gone: sessions are told so by a catch-up. Live records go on behind
  /// it.
  void skip_gone(LiveIndex index, MessageId kept_from);
  /// Sends now, or after the pages where the session is catching up.
  void send_after_pages(gateway::SessionId id, Session& session, const CatchUp::Waiting& frame);
  /// Sends to a live session. False: its client is behind.
  [[nodiscard]] bool send_live(gateway::SessionId id, const CatchUp::Waiting& frame);
  /// Turns a live session whose client is behind into one that catches up. `unsent` are the frames
  /// that it should have got and did not: all records above were not sent either.
  void fall_behind(gateway::SessionId id, Session& session,
                   std::span<const CatchUp::Waiting> unsent);
  /// Closes a session that there is no other help for. Detaches it later, with its end: this may
  /// be called from a loop over a channel's sessions.
  void close_slow(gateway::SessionId id, Session& session, std::string_view why);
  /// Whether a session that is behind was closed because it is added to a channel: what it holds of
  /// that one is not kept track of.
  bool close_joiner_behind(gateway::SessionId id, Session& session);

  // --- which session gets which channel (frontend_interest.cpp)
  void attach(gateway::SessionId id, Session& session, LiveIndex index);
  void detach(Session& session, std::uint32_t slot, LiveIndex index);
  void detach_all(gateway::SessionId id, Session& session);
  [[nodiscard]] static bool is_attached(const Session& session, LiveIndex index);
  void join(gateway::SessionId id, Session& session, ChannelId channel, MessageId at);
  /// Attaches joiners that lack nothing any more, has read what others lack.
  void advance_joiners(LiveIndex index);
  void on_joining_read(const bus::LogRead& read);
  void give_to_joiner(LiveIndex index, gateway::SessionId id, const core::Record& record,
                      std::span<const std::byte> body);
  /// Sends acks that waited for records up to this one.
  void release_acks(LiveIndex index, MessageId up_to);
  /// Registers anew what this owner should send: what it sent meanwhile is repaired.
  void register_again(NodeId owner);
  /// Where the interval begins that the user is in. @pre there is one.
  [[nodiscard]] static MessageId joined_at(core::Intervals intervals, MessageId head);
  /// Takes up a channel that its owner has registered.
  void set_registered(LiveIndex index, MessageId head);

  // --- catch-up (frontend_catch_up.cpp)
  void begin_round(gateway::SessionId id, CatchUp& catch_up);
  /// False: nothing could be sent, the session is closed.
  [[nodiscard]] bool accept_login(gateway::SessionId id, Session& session);
  void register_channels(gateway::SessionId id, CatchUp& catch_up,
                         std::span<const ChannelId> channels);
  /// As many Register messages as the channels have owners.
  [[nodiscard]] std::vector<std::pair<NodeId, bus::Register>> registrations(
      gateway::SessionId id, UserId user, std::span<const ChannelId> channels) const;
  /// Closes a session whose login or catch-up needs a node that is down.
  void refuse_unavailable(gateway::SessionId id);
  /// Takes what a channel's owner said to a session that is still to be planned for.
  void learn(gateway::SessionId id, Session& session, const bus::ChannelState& state,
             core::Intervals intervals);
  /// The progress of a channel that was learnt for a plan that is still to be made, or nullptr.
  [[nodiscard]] static CatchUp::Progress* progress_to_plan(Session& session, ChannelId channel);
  void plan(gateway::SessionId id, CatchUp& catch_up);
  template <class Answer>
  void take_answer(Answer&& answer);
  void serve_page(gateway::SessionId id, Session& session);
  void finish_catch_up(gateway::SessionId id, Session& session);

  // --- presence (frontend_presence.cpp)
  /// A session's question for its user's direct partners. Bit i: of the directory's i-th node.
  struct PartnerSearch {
    std::uint16_t wanted = 0;
    bool asked = false;  ///< Not before the session is live: then it has its channels.
    std::uint64_t waits_for = 0;
    std::vector<bus::Partners::Partner> found;
  };
  void ask_partners(gateway::SessionId id, const Session& session, PartnerSearch& search);
  /// Subscribes to the first ones by channel, and forgets the search.
  void finish_search(gateway::SessionId id);
  /// A node that is down answers no search.
  void give_up_searches(NodeId node);
  [[nodiscard]] std::uint64_t node_bit(NodeId node) const;
  /// The session can be told again, if it is live.
  void resume_presence(gateway::SessionId id);
  void end_presence(gateway::SessionId id);
  /// Tells sessions what is due, a step from now.
  void arm_presence();
  void tell_presence();

  [[nodiscard]] static bus::Ticket ticket_of(gateway::SessionId id) {
    return {std::uint64_t{id.slot} << 32U | id.generation};
  }
  [[nodiscard]] static gateway::SessionId session_of(bus::Ticket ticket) {
    return {static_cast<std::uint32_t>(ticket.value >> 32U),
            static_cast<std::uint32_t>(ticket.value)};
  }
  template <class Message>
  [[nodiscard]] gateway::SharedFrame frame_of(const Message& message);

  boost::asio::io_context& io_;
  NodeContext& node_;
  const token::Key key_;
  gateway::Gateway* gateway_ = nullptr;
  Sessions sessions_;
  LiveChannels live_;
  CatchUpReader reader_;
  struct Link {
    NodeId owner;
    Term term;
    std::uint64_t number = 0;
  };
  std::vector<Link> links_;  ///< One a node.
  std::deque<gateway::SessionId> pages_due_;
  std::optional<gateway::SessionId> serving_;  ///< Whose page is being filled.
  bool logins_end_ = false;
  bool draining_ = false;
  PresenceWatches presence_;
  std::unordered_map<std::uint32_t, PartnerSearch> partner_searches_;  ///< By slot.
  boost::asio::steady_timer presence_timer_;
  bool presence_armed_ = false;
  std::uint32_t leave_at_ = 0;               ///< Sessions at slots before it leave or have left.
  std::vector<gateway::SessionId> leaving_;  ///< The slice that is refused what it sends.
  core::TokenBuckets send_buckets_;          ///< By user.
  core::TokenBuckets request_buckets_;       ///< By user.
  std::vector<std::byte> scratch_;
  /// What a session has asked the user's owner: to say how the password is stored that is to be
  /// checked, or to store one.
  struct Asking {
    UserId user;
    token::Password password;
  };
  std::unordered_map<bus::Ticket, Asking> asking_;
  token::PasswordPool passwords_;
};

template <class Message>
gateway::SharedFrame Frontend::frame_of(const Message& message) {
  scratch_.clear();
  protocol::encode(message, scratch_);
  return gateway::make_frame(scratch_);
}

}  // namespace clamor::server
