#pragma once

#include "server/app/catch_up.hpp"
#include "server/app/channels.hpp"
#include "server/app/metrics.hpp"
#include "server/app/sessions.hpp"
#include "server/app/settings.hpp"
#include "server/app/tail.hpp"
#include "server/base/operations.hpp"
#include "server/gateway/gateway.hpp"
#include "server/protocol/codec.hpp"
#include "server/protocol/message.hpp"
#include "server/store/committer.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"
#include "server/token/token.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace clamor::server {

/// One server: its gateway's handler, the owner of all partitions, and what lies between them.
///
/// A message's way: decoded and decided on when it arrives, into the turn's open commit; at turn's
/// end the commit goes to the committer's thread; its outcome, posted back, sends acks and live
/// records and hands the durable fan-out to the queue writer's thread. Nothing is told to anybody
/// before it is durable. All calls on the thread that runs `io`.
class Node final : public gateway::Handler {
 public:
  /// Folds the store's log and redoes what its queues lack. Throws std::runtime_error where the
  /// store cannot be read. @pre `store` and `io` outlive it.
  Node(boost::asio::io_context& io, store::Store& store, const Settings& settings);
  ~Node() override;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Names the gateway that calls it. @pre before `io` runs; it outlives every call.
  void attach(gateway::Gateway& gateway) { gateway_ = &gateway; }
  /// Counts that the thread had nothing to do and went to sleep.
  void count_wake() { ++operations_.wakes; }
  /// Refuses further requests, and calls `drained` once all accepted ones are answered.
  void drain(std::function<void()> drained);

  void on_open(gateway::SessionId id, Instant now) override;
  void on_message(gateway::SessionId id, std::span<const std::byte> payload, Instant now) override;
  void on_end(gateway::SessionId id, gateway::EndReason reason, Instant now) override;
  void on_turn_end(Instant now) override;
  [[nodiscard]] gateway::HttpAnswer on_http_get(std::string_view target) override;

 private:
  /// Whom a record in a commit answers.
  struct Request {
    enum class Kind : std::uint8_t { none, send, change };
    Kind kind = Kind::none;
    DeviceIndex device = 0;
    gateway::SessionId session;
  };
  struct PendingCommit {
    std::shared_ptr<store::Commit> commit;
    std::vector<Request> requests;  ///< One a record.
  };

  /// The ack of a send, and for whom.
  struct DueAck {
    protocol::Ack ack;
    DeviceIndex device = 0;
    std::uint32_t device_incarnation = 0;
  };

  // --- requests (node_requests.cpp)
  void handle(gateway::SessionId id, Session& session, const protocol::Login& login);
  void handle(gateway::SessionId id, Session& session, const protocol::Send& send);
  void handle(gateway::SessionId id, Session& session, const protocol::CreateChannel& create);
  void handle(gateway::SessionId id, Session& session, const protocol::Join& join);
  void handle(gateway::SessionId id, Session& session, const protocol::Leave& leave);
  void handle(gateway::SessionId id, Session& session, const protocol::DeviceAck& ack);
  void handle(gateway::SessionId id, Session& session, const protocol::NextPage& next);
  void handle(gateway::SessionId id, Session& session, const protocol::Heartbeat& heartbeat);
  /// Answers a change that was accepted or refused.
  void answer(gateway::SessionId id, const Session& session, ChannelId channel,
              const ChangeResult& result);
  /// Whether no request that appends can be taken now; then it was refused.
  [[nodiscard]] bool refuse_append(gateway::SessionId id, const protocol::Refused& naming);
  void refuse(gateway::SessionId id, protocol::Refused refusal);
  void refuse_and_close(gateway::SessionId id, const protocol::Refused& refusal,
                        protocol::CloseCode code);
  /// Notes whom the records that were just added to the open commit answer.
  void note_requests(Request::Kind kind, gateway::SessionId id, const Session& session);
  void supersede(gateway::SessionId old, UserId user);
  /// Registers and withdraws a session's interest in the channels its user is in, as far as the
  /// log says so.
  void attach(std::uint32_t slot, UserId user);
  void detach(std::uint32_t slot, UserId user);

  // --- commits (node_commits.cpp)
  void submit_open();
  void on_committed(const store::CommitOutcome& outcome);
  void on_queued(const store::QueueOutcome& outcome, std::uint64_t epoch);
  void publish(const PendingCommit& pending);
  /// Acknowledges a send, or notes the ack for when its queue entries are applied. True: now.
  bool acknowledge(const Channel& channel, const core::Record& record, DeviceIndex device);
  void send_ack(const DueAck& due);
  void send_due_acks(std::size_t count);
  void answer_change(const core::Record& record, const Request& request);
  /// Live fan-out of a durable record to local sessions, but for the sending device.
  void deliver(ChannelIndex index, const core::Record& record, std::span<const std::byte> body,
               DeviceIndex sender);
  void change_interest(ChannelIndex index, const core::Record& record,
                       std::span<const std::byte> body);
  void fail(const PendingCommit& pending);
  void rebuild();
  [[nodiscard]] store::Result<void> try_rebuild();
  /// Folds the log, redoes the queues: state, journal ends and queues agree afterwards.
  [[nodiscard]] store::Result<void> recover_all();
  void reattach(const Channels& before);
  void serve_pages();
  void serve_page(gateway::SessionId id, Session& session);
  void finish_catch_up(gateway::SessionId id, Session& session);
  void finish_drain();

  template <class Message>
  [[nodiscard]] gateway::SharedFrame frame_of(const Message& message);
  /// Sends now, or after the pages where the session is catching up.
  void send_after_pages(gateway::SessionId id, Session& session, gateway::SharedFrame frame,
                        bool is_record);
  [[nodiscard]] NodeMetrics metrics() const;

  boost::asio::io_context& io_;
  store::Store& store_;
  const Settings settings_;
  const ChannelsSettings channels_settings_;
  const token::Key key_;
  gateway::Gateway* gateway_ = nullptr;

  std::unique_ptr<Channels> channels_;
  std::unique_ptr<Channels> before_failure_;  ///< While rebuilding.
  Sessions sessions_;
  Tail tail_;
  Operations operations_;
  Incidents incidents_;
  CatchUpReader reader_;
  Instant now_;

  PendingCommit open_;                 ///< What this turn has accepted.
  std::deque<PendingCommit> pending_;  ///< At the committer.
  struct PendingFanOut {
    std::vector<core::RecordRun> runs;
    std::uint64_t records = 0;
    std::uint64_t entries = 0;
    std::size_t acks = 0;  ///< So many of due_acks_ wait for it.
  };
  std::deque<PendingFanOut> fan_outs_;  ///< At the queue writer.
  std::deque<DueAck> due_acks_;         ///< AckAfter::fanout, in the order of fan_outs_.
  std::uint64_t fan_out_lag_records_ = 0;
  std::uint64_t fan_out_lag_entries_ = 0;
  /// Outcomes of fan-outs from before a rebuild, or of its redo, are not in fan_outs_.
  std::atomic<std::uint64_t> queue_epoch_{0};
  std::deque<gateway::SessionId> pages_due_;
  bool store_failed_ = false;
  bool draining_ = false;
  std::function<void()> drained_;
  boost::asio::steady_timer rebuild_timer_;
  std::vector<std::byte> scratch_;
  core::LivePlan live_plan_;
  std::vector<core::Interval> intervals_;

  std::unique_ptr<store::QueueWriter> queue_writer_;
  std::unique_ptr<store::Committer> committer_;
};

template <class Message>
gateway::SharedFrame Node::frame_of(const Message& message) {
  scratch_.clear();
  protocol::encode(message, scratch_);
  return gateway::make_frame(scratch_);
}

}  // namespace clamor::server
