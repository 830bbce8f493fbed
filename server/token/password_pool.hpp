#pragma once

#include "server/base/time.hpp"
#include "server/token/password.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace clamor::token {

/// Threads that hash passwords, so that no I/O thread does: a hash takes as long as thousands of
/// messages. At most `waiting_max` jobs wait or are worked on; a further one is refused, and comes
/// back after delay(). Threads begin with the first job and end with the object; jobs that were not
/// begun by then are dropped.
class PasswordPool {
 public:
  struct Settings {
    PasswordCost cost;
    std::uint32_t threads = 1;
    std::uint32_t waiting_max = 64;
  };
  explicit PasswordPool(const Settings& settings) : settings_{settings} {}
  ~PasswordPool();
  PasswordPool(const PasswordPool&) = delete;
  PasswordPool& operator=(const PasswordPool&) = delete;

  struct Checked {
    PasswordVerdict verdict = PasswordVerdict::wrong;
    std::string rehashed;  ///< right, and stored at another cost: how it is to be stored now.
  };
  /// Judges a password by what is stored for its user; empty where there is no such user, which
  /// costs the same. `done` is called on a thread of the pool. False: no room.
  [[nodiscard]] bool check(std::string stored, Password password,
                           std::function<void(Checked)> done);
  /// Hashes a password to be stored; `done` gets it, or an empty text where there is no memory.
  [[nodiscard]] bool hash(Password password, std::function<void(std::string)> done);

  /// How long a job that came now would wait, as the last one took; from 250 ms to a minute.
  [[nodiscard]] Duration delay() const;
  [[nodiscard]] std::size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  /// CPU seconds that all jobs took so far.
  [[nodiscard]] double seconds() const {
    return static_cast<double>(spent_ns_.load(std::memory_order_relaxed)) * 1e-9;
  }

 private:
  [[nodiscard]] bool add(std::function<void()> job);
  void run();

  const Settings settings_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::atomic<std::size_t> waiting_{0};  ///< Not done: in the queue, or in a thread's hands.
  std::atomic<std::int64_t> last_ns_{0};
  std::atomic<std::int64_t> spent_ns_{0};
  std::vector<std::thread> threads_;
};

}  // namespace clamor::token
