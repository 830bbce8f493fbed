#include "server/token/password_pool.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <pthread.h>
#include <utility>

namespace clamor::token {
namespace {

std::int64_t thread_cpu_ns() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::int64_t{spent.tv_sec} * 1'000'000'000 + spent.tv_nsec;
}

}  // namespace

PasswordPool::~PasswordPool() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    jobs_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool PasswordPool::check(std::string stored, Password password, std::function<void(Checked)> done) {
  // A function must be copyable, which a password is not.
  auto shared = std::make_shared<Password>(std::move(password));
  return add(
      [this, stored = std::move(stored), shared = std::move(shared), done = std::move(done)] {
        const PasswordCost& cost = settings_.cost;
        Checked checked;
        checked.verdict = check_password(stored.empty() ? decoy(cost) : stored, *shared);
        if (checked.verdict == PasswordVerdict::right && needs_rehash(stored, cost)) {
          checked.rehashed = hash_password(*shared, cost);
        }
        done(std::move(checked));
      });
}

bool PasswordPool::hash(Password password, std::function<void(std::string)> done) {
  auto shared = std::make_shared<Password>(std::move(password));
  return add([this, shared = std::move(shared), done = std::move(done)] {
    done(hash_password(*shared, settings_.cost));
  });
}

bool PasswordPool::add(std::function<void()> job) {
  {
    const std::lock_guard lock{mutex_};
    if (waiting() >= settings_.waiting_max) return false;
    waiting_.fetch_add(1, std::memory_order_relaxed);
    jobs_.push_back(std::move(job));
    if (threads_.size() < settings_.threads && threads_.size() < waiting()) {
      threads_.emplace_back([this] { run(); });
      pthread_setname_np(threads_.back().native_handle(), "passwords");
    }
  }
  wake_.notify_one();
  return true;
}

void PasswordPool::run() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock{mutex_};
      wake_.wait(lock, [this] { return !jobs_.empty() || stopping_; });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    const std::int64_t began = thread_cpu_ns();
    const auto clock_began = std::chrono::steady_clock::now();
    job();
    job = nullptr;  // Wipes the password.
    spent_ns_.fetch_add(thread_cpu_ns() - began, std::memory_order_relaxed);
    const Duration took = std::chrono::steady_clock::now() - clock_began;
    last_ns_.store(took.count(), std::memory_order_relaxed);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
}

Duration PasswordPool::delay() const {
  const auto ahead = static_cast<std::int64_t>(waiting() / settings_.threads + 1);
  const Duration wait{ahead * last_ns_.load(std::memory_order_relaxed)};
  return std::clamp<Duration>(wait, std::chrono::milliseconds{250}, std::chrono::minutes{1});
}

}  // namespace clamor::token
