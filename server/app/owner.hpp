#pragma once

#include "server/app/channels.hpp"
#include "server/app/fan_out_sink.hpp"
#include "server/app/fan_out_source.hpp"
#include "server/app/freed_memory.hpp"
#include "server/app/log_retention.hpp"
#include "server/app/node_context.hpp"
#include "server/app/presence_rows.hpp"
#include "server/app/tail.hpp"
#include "server/app/users.hpp"
#include "server/bus/messages.hpp"
#include "server/core/fan_out.hpp"
#include "server/store/committer.hpp"
#include "server/store/store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace clamor::server {

/// The partition half of a node: owns the channels and users of its partitions, their store, and
/// what waits for the disk. Gateways ask it by messages, its own node's and others' alike.
///
/// A message's way: decided on when it arrives, into the turn's open commit; at turn's end the
/// commit goes to the committer's thread; its outcome, posted back, sends answers and live records
/// to gateways and hands the durable fan-out to the queue writer's thread. Nothing is told to
/// anybody before it is durable. All calls on the thread that runs `io`.
class Owner {
 public:
  /// @pre all three outlive it.
  Owner(boost::asio::io_context& io, store::Store& store, NodeContext& node);
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  /// Folds the store's log and redoes what its queues lack. Throws std::runtime_error where the
  /// store cannot be read. @pre before any other call, once.
  void start();
  /// Hands the turn's commit to the committer.
  void end_turn();
  /// Refuses further requests, and calls `drained` once all accepted ones are answered.
  void drain(std::function<void()> drained);
  void add_to(NodeMetrics& metrics) const;
  [[nodiscard]] bool store_failed() const { return store_failed_; }
  /// How long the oldest commit has waited for the disk; 0 where none does.
  [[nodiscard]] Duration commit_age(Instant now) const {
    return pending_.empty() ? Duration{} : now - pending_.front().handed_at;
  }
  /// Whether logins of its users are answered: it has what other nodes owe them.
  [[nodiscard]] bool is_complete() const { return sink_.complete(); }

  // --- requests (owner_requests.cpp, owner_reads.cpp)
  void handle(NodeId from, bus::SendRequest&& send);
  void handle(NodeId from, bus::CreateRequest&& create);
  void handle(NodeId from, bus::JoinRequest&& join);
  void handle(NodeId from, bus::LeaveRequest&& leave);
  void handle(NodeId from, bus::ReadRequest&& read);
  void handle(NodeId from, bus::TypingRequest&& typing);
  void handle(NodeId from, bus::AskPartners&& ask);
  void handle(NodeId from, bus::Register&& wanted);
  void handle(NodeId from, bus::ReadLog&& read);
  void handle(NodeId from, bus::UserLogin&& login);
  void handle(NodeId from, bus::UserLogout&& logout);
  void handle(NodeId from, bus::WatchPresence&& watch) { presence_.watch(from, watch.users); }
  void handle(NodeId from, bus::UnwatchPresence&& unwatch) {
    presence_.unwatch(from, unwatch.users);
  }
  void handle(NodeId from, bus::DeviceHolds&& holds);
  void handle(NodeId from, bus::ReadUserQueue&& read);
  void handle(NodeId from, bus::ReadMemberQueue&& read);
  void handle(NodeId from, bus::UsersJoined&& joined);
  void handle(NodeId from, bus::ReadMoved&& moved);
  // --- accounts (owner_accounts.cpp)
  void handle(NodeId from, bus::AskAccount&& asked);
  void handle(NodeId from, bus::PutAccount&& put);
  // --- durable fan-out
  void handle(NodeId from, bus::FanOutBatch&& batch) { sink_.handle(from, std::move(batch)); }
  void handle(NodeId from, bus::FanOutAsk&& ask) { sink_.handle(from, std::move(ask)); }
  void handle(NodeId from, bus::FanOutCaughtUp&& up);
  void handle(NodeId from, bus::FanOutCursors&& cursors);
  void handle(NodeId from, bus::FanOutApplied&& applied);
  void handle(NodeId from, bus::FanOutFlushed&& flushed);

  void on_node_up(NodeId node);
  void on_node_down(NodeId node);

 private:
  /// Whom a record in a commit answers, and where.
  struct Request {
    NodeId node;
    bus::Answer answer;
  };
  /// Whom an account in a commit answers, and where.
  struct AccountRequest {
    NodeId node;
    bus::Ticket session;
  };
  struct PendingCommit {
    std::shared_ptr<store::Commit> commit;
    std::vector<Request> requests;         ///< One a record.
    std::vector<AccountRequest> accounts;  ///< One an account.
    Instant handed_at;                     ///< To the committer.
  };
  struct DueAck {
    NodeId node;
    bus::LateAck ack;
    bool forgotten = false;  ///< The node went down meanwhile.
  };
  /// The numbered stream of published records to one node.
  struct Link {
    NodeId node;
    std::uint64_t number = 0;
    std::vector<bus::Published::Entry> entries;  ///< Of the commit being published.
  };

  // --- requests
  /// Answers a change that was accepted or refused.
  void answer(NodeId from, bus::Ticket session, ChannelId channel, const ChangeResult& result);
  /// Why nothing can be appended now, and for how long; nothing where it can.
  [[nodiscard]] std::optional<bus::Refusal> cannot_append() const;
  /// Whether no request that appends can be taken now; then it was refused.
  [[nodiscard]] bool refuse_append(NodeId from, const bus::Refusal& naming);
  /// Whether no login can be served now; then it was refused.
  [[nodiscard]] bool refuse_login(NodeId from, bus::Ticket session);
  void answer_login(UserId user, const SessionPlace& place);
  /// Refuses a login that waits for a node that is down; a live session lets it pass.
  void refuse_waiting(const SessionPlace& place);
  /// Notes whom the records that were just added to the open commit answer.
  void note_requests(NodeId from, const bus::Answer& answer);
  /// The channel as the user finds it; appends the user's intervals.
  [[nodiscard]] bus::ChannelState state_of(ChannelIndex index, UserId user,
                                           std::vector<core::Interval>& intervals) const;
  /// What a send is about, from the log: nothing where it names nothing that is there.
  [[nodiscard]] store::Result<std::optional<Target>> target_of(const protocol::Send& send) const;
  [[nodiscard]] protocol::UnreadState unread_of(ChannelIndex channel, UserId user);
  /// From where on the channel's records are served.
  [[nodiscard]] MessageId kept_from(const Channel& channel) const;
  /// How far the user has read, where what is gone counts as read.
  [[nodiscard]] core::CountedId read_of(ChannelIndex channel, UserId user);
  /// Up to where a user has read who says `up_to`, counted; nothing where the log cannot say.
  [[nodiscard]] std::optional<core::CountedId> counted(const Channel& channel, MessageId up_to);
  /// Whether the node gets the channel's records; sets it.
  bool set_interest(ChannelIndex channel, NodeId node);

  // --- commits (owner_commits.cpp)
  void on_committed(const store::CommitOutcome& outcome);
  void publish(const PendingCommit& pending);
  /// Adds a record to what every interested node gets of the commit.
  void add_live(ChannelIndex channel, std::size_t record, bool to_sender);
  /// False: the ack is due once the record's queue entries are applied.
  [[nodiscard]] bool add_answer(const Request& request, const Channel& channel,
                                const core::Record& record, std::size_t number);
  /// Sends the acks that wait for no consumer any more.
  void settle();
  void send_due_acks(std::size_t count);
  void send_published(const std::shared_ptr<store::Commit>& commit);
  /// Tells the owners of the users who have read.
  void tell_read(std::span<const store::ReadCursor> reads);
  /// Tells the owners of the users whom a join names.
  void tell_joined(const core::Record& record, std::span<const std::byte> body);
  void fail(const PendingCommit& pending);
  void tell_accounts(const PendingCommit& pending);
  void rebuild();
  [[nodiscard]] store::Result<void> try_rebuild();
  /// Folds the log, redoes the queues: state, journal ends and queues agree afterwards.
  [[nodiscard]] store::Result<void> recover_all();
  void trim_journals();
  /// Once a second: lets go of what is old, repeats to other nodes what a loss must not hide, looks
  /// for what retention does not keep.
  void tick();
  [[nodiscard]] std::size_t place_of(NodeId node) const;
  void finish_drain();

  boost::asio::io_context& io_;
  store::Store& store_;
  NodeContext& node_;
  const ChannelsSettings channels_settings_;

  std::unique_ptr<Channels> channels_;
  Users users_;
  PresenceRows presence_;
  Tail tail_;
  /// By channel: bit i says that the directory's i-th node gets its records.
  std::vector<std::uint64_t> interest_;
  std::vector<Link> links_;  ///< In the directory's order.

  PendingCommit open_;                 ///< What this turn has accepted.
  std::deque<PendingCommit> pending_;  ///< At the committer.
  FanOutSource source_;
  FanOutSink sink_;
  std::deque<DueAck> due_acks_;  ///< AckAfter::fanout, in the order of commits.
  bool store_failed_ = false;
  bool draining_ = false;
  std::function<void()> drained_;
  boost::asio::steady_timer rebuild_timer_;
  boost::asio::steady_timer tick_timer_;
  std::uint64_t turns_ = 0;
  FreedMemory freed_memory_;
  std::unique_ptr<LogRetention> retention_;  ///< Where not everything is kept.

  // Scratch, kept for its memory.
  std::vector<core::NodeRun> node_runs_;
  core::LivePlan live_plan_;
  std::vector<std::vector<UserId>> joined_;  ///< By node.

  std::unique_ptr<store::Committer> committer_;
};

}  // namespace clamor::server
