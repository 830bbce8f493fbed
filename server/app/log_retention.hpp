#pragma once

#include "server/app/channels.hpp"
#include "server/app/fan_out_source.hpp"
#include "server/app/log_trimmer.hpp"
#include "server/app/node_context.hpp"
#include "server/base/id.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace clamor::server {

/// Decides what leaves the logs of the own channels, and when: pass by pass, each over so many
/// channels, and a pass ends before the next one begins. What a pass decides on waits until every
/// consumer of the journals has flushed all that was published by then, so that no redo looks for a
/// record that is gone. One I/O thread.
class LogRetention {
 public:
  /// @pre all outlive it.
  LogRetention(boost::asio::io_context& io, store::Store& store, NodeContext& node,
               const ChannelsSettings& settings);

  /// Goes on as far as it can now. Call once a second or so.
  void tick(Channels& channels, const FanOutSource& source);
  /// Ends what is under way: the store is to be reopened.
  void discard();

 private:
  enum class State : std::uint8_t {
    idle,
    waiting,   ///< For the consumers' flushes.
    trimming,  ///< At the trimmer.
    done,      ///< `outcome_` is to be taken up.
  };
  void decide(const Channels& channels);
  void take_up(Channels& channels);

  boost::asio::io_context& io_;
  NodeContext& node_;
  State state_ = State::idle;
  bool failing_ = false;   ///< The last pass did.
  ChannelIndex next_ = 0;  ///< Where the next pass begins.
  std::vector<TrimOrder> orders_;
  std::vector<JournalSequence> ends_;  ///< Of the journals when they were decided.
  TrimOutcome outcome_;
  std::atomic<std::uint64_t> pass_{0};  ///< What comes of an earlier one is not looked at.
  LogTrimmer trimmer_;
};

}  // namespace clamor::server
