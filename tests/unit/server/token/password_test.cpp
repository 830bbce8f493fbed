#include "server/token/password.hpp"

#include "server/token/password_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <thread>

namespace clamor::token {
namespace {

using namespace std::chrono_literals;

constexpr PasswordCost cheap{.operations = 1, .memory_bytes = 64 << 10U};

TEST(Password, IsStoredSaltedAsArgon2idAndOnlyTheSameOneHolds) {
  const std::string stored = hash_password(Password{"correct horse"}, cheap);
  EXPECT_EQ(stored.find("$argon2id$v=19$m=64,t=1,p=1$"), 0U) << stored;
  EXPECT_EQ(stored.find("horse"), std::string::npos);
  EXPECT_NE(hash_password(Password{"correct horse"}, cheap), stored) << "each has its own salt";
  EXPECT_EQ(check_password(stored, Password{"correct horse"}), PasswordVerdict::right);
  for (const char* wrong : {"correct hors", "correct horse ", "Correct horse", ""}) {
    EXPECT_EQ(check_password(stored, Password{wrong}), PasswordVerdict::wrong) << wrong;
  }
}

TEST(Password, IsComparedInAllItsBytes) {
  const std::string longest(password_bytes_max, 'x');
  const std::string stored = hash_password(Password{longest}, cheap);
  std::string other = longest;
  other.back() = 'y';
  EXPECT_EQ(check_password(stored, Password{longest}), PasswordVerdict::right);
  EXPECT_EQ(check_password(stored, Password{other}), PasswordVerdict::wrong);
  const std::string with_zero{"zero\0one", 8};
  const std::string other_zero{"zero\0two", 8};
  const std::string zero_stored = hash_password(Password{with_zero}, cheap);
  EXPECT_EQ(check_password(zero_stored, Password{other_zero}), PasswordVerdict::wrong);
}

/// Of this thread, the least of five.
template <class Work>
std::int64_t cpu_ns(Work work) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < 5; ++i) {
    timespec begin{};
    timespec end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    work();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    least = std::min<std::int64_t>(
        least, (end.tv_sec - begin.tv_sec) * 1'000'000'000 + end.tv_nsec - begin.tv_nsec);
  }
  return least;
}

TEST(Password, OfNobodyCostsWhatAWrongOneCosts) {
  const PasswordCost cost{.operations = 2, .memory_bytes = 4 << 20U};
  const std::string stored = hash_password(Password{"correct horse"}, cost);
  const Password wrong{"wrong horse"};
  EXPECT_EQ(check_password(decoy(cost), wrong), PasswordVerdict::wrong);
  const std::int64_t of_somebody = cpu_ns([&] { (void)check_password(stored, wrong); });
  const std::int64_t of_nobody = cpu_ns([&] { (void)check_password(decoy(cost), wrong); });
  EXPECT_GT(of_nobody, of_somebody / 2);
  EXPECT_LT(of_nobody, of_somebody * 2);
  EXPECT_EQ(decoy(cost).size(), stored.size());
  EXPECT_FALSE(needs_rehash(decoy(cost), cost)) << "it has the form of a stored one";
}

TEST(PasswordPool, ChecksAndHashesOnItsOwnThread) {
  PasswordPool pool{{.cost = cheap}};
  std::promise<std::string> hashed;
  std::thread::id ran_on;
  ASSERT_TRUE(pool.hash(Password{"correct horse"}, [&](std::string stored) {
    ran_on = std::this_thread::get_id();
    hashed.set_value(std::move(stored));
  }));
  const std::string stored = hashed.get_future().get();
  EXPECT_NE(ran_on, std::this_thread::get_id());
  const auto verdict_of = [&](const std::string& as_stored, const char* password) {
    auto checked = std::make_shared<std::promise<PasswordPool::Checked>>();
    auto future = checked->get_future();
    EXPECT_TRUE(pool.check(as_stored, Password{password}, [checked](PasswordPool::Checked one) {
      checked->set_value(std::move(one));
    }));
    return future.get();
  };
  EXPECT_EQ(verdict_of(stored, "correct horse").verdict, PasswordVerdict::right);
  EXPECT_EQ(verdict_of(stored, "correct horse").rehashed, "") << "stored at this cost";
  EXPECT_EQ(verdict_of(stored, "wrong horse").verdict, PasswordVerdict::wrong);
  EXPECT_EQ(verdict_of("", "correct horse").verdict, PasswordVerdict::wrong) << "no account";
  const std::string cheaper = hash_password(Password{"correct horse"}, password_cost_min);
  const auto dearer = verdict_of(cheaper, "correct horse");
  EXPECT_EQ(dearer.verdict, PasswordVerdict::right);
  EXPECT_FALSE(needs_rehash(dearer.rehashed, cheap));
  EXPECT_EQ(verdict_of(cheaper, "wrong horse").rehashed, "");
}

TEST(PasswordPool, RefusesWhatIsBeyondItsBoundAndDropsWhatWaitsWhenItEnds) {
  std::promise<void> release;
  std::promise<void> began;
  std::thread releaser;
  int done = 0;
  {
    PasswordPool pool{{.cost = cheap, .threads = 1, .waiting_max = 3}};
    ASSERT_TRUE(pool.hash(Password{"the first"}, [&](const std::string&) {
      began.set_value();
      release.get_future().wait();
      ++done;
    }));
    began.get_future().wait();
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(pool.hash(Password{"waits"}, [&](const std::string&) { ++done; }));
    }
    EXPECT_FALSE(pool.hash(Password{"too many"}, [&](const std::string&) { ++done; }));
    EXPECT_EQ(pool.waiting(), 3U);
    EXPECT_GE(pool.delay(), 250ms);
    EXPECT_LE(pool.delay(), 1min);
    // Lets the first job end only once the destructor has dropped the others.
    releaser = std::thread{[&release] {
      std::this_thread::sleep_for(50ms);
      release.set_value();
    }};
  }
  releaser.join();
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace clamor::token
