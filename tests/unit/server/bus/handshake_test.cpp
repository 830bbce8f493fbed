#include "server/bus/handshake.hpp"

#include "server/bus/codec.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace clamor::bus {
namespace {

using Role = Handshake::Role;
using State = Handshake::State;
using Buffer = std::vector<std::byte>;

const std::string deployment = "3 nodes, 16 partitions";

/// Two ends that hand each other their bytes, `at_once` of them at a time.
struct Pair {
  Hello first{.from = {2}, .to = {1}, .term = {7}, .identity = deployment};
  Hello second{.from = {1}, .to = {}, .term = {9}, .identity = deployment};
  token::Key first_key = token::derive_key("a secret");
  token::Key second_key = token::derive_key("a secret");
  std::optional<Handshake> dials;
  std::optional<Handshake> answers;
  State dialled = State::open;
  State answered = State::open;

  void run(std::size_t at_once = 1000) {
    dials.emplace(Role::dials, first, first_key);
    answers.emplace(Role::answers, second, second_key);
    Buffer to_answerer = dials->output();
    Buffer to_dialler;
    while (!to_answerer.empty() || !to_dialler.empty()) {
      answered = hand_over(to_answerer, at_once, *answers, to_dialler);
      dialled = hand_over(to_dialler, at_once, *dials, to_answerer);
    }
  }

 private:
  Buffer held_by_[2];

  State hand_over(Buffer& bytes, std::size_t at_once, Handshake& to, Buffer& answer) {
    Buffer& held = held_by_[&to == &*dials ? 0 : 1];
    const std::size_t count = std::min(at_once, bytes.size());
    held.insert(held.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    std::span<const std::byte> rest{held};
    const State state = to.take(rest);
    held.erase(held.begin(), held.end() - static_cast<std::ptrdiff_t>(rest.size()));
    const Buffer said = to.output();
    answer.insert(answer.end(), said.begin(), said.end());
    return state;
  }
};

TEST(Handshake, EndsThatHoldOneSecretKnowEachOtherHoweverTheBytesArrive) {
  for (const std::size_t at_once : {1U, 5U, 1000U}) {
    Pair pair;
    pair.run(at_once);
    ASSERT_EQ(pair.dialled, State::done) << pair.dials->fault();
    ASSERT_EQ(pair.answered, State::done) << pair.answers->fault();
    EXPECT_EQ(pair.dials->peer().from, NodeId{1});
    EXPECT_EQ(pair.dials->peer().term, Term{9});
    EXPECT_EQ(pair.answers->peer().from, NodeId{2});
    EXPECT_EQ(pair.answers->peer().term, Term{7});
  }
}

TEST(Handshake, WhoDoesNotHoldTheSecretIsRefusedByWhoDoes) {
  Pair pair;
  pair.first_key = token::derive_key("another secret");
  pair.run();
  EXPECT_EQ(pair.dialled, State::failed) << "what it is told is not proven either";
  EXPECT_NE(pair.dials->fault().find("same `secret`"), std::string::npos);

  // One that goes on all the same: it proves with its own key.
  Pair stubborn;
  Handshake answers{Role::answers, stubborn.second, stubborn.second_key};
  Handshake liar{Role::dials, stubborn.first, pair.first_key};
  const Buffer hello = liar.output();
  std::span<const std::byte> rest{hello};
  EXPECT_EQ(answers.take(rest), State::open);
  const Buffer proof(32, std::byte{1});
  rest = proof;
  EXPECT_EQ(answers.take(rest), State::failed);
  EXPECT_NE(answers.fault().find("does not hold"), std::string::npos);
}

TEST(Handshake, NoProofIsGoodForAnotherLink) {
  Pair pair;
  pair.run();
  ASSERT_EQ(pair.answered, State::done);
  // All that the dialling end said, once more to an end with another nonce.
  Handshake dials{Role::dials, pair.first, pair.first_key};
  Handshake answers{Role::answers, pair.second, pair.second_key};
  Buffer said = dials.output();
  const Buffer recorded = said;
  std::span<const std::byte> rest{said};
  (void)answers.take(rest);
  const Buffer heard = answers.output();
  rest = heard;
  EXPECT_EQ(dials.take(rest), State::done);
  Buffer replay = recorded;
  const Buffer proof = dials.output();
  replay.insert(replay.end(), proof.begin(), proof.end());
  rest = replay;
  Handshake first{Role::answers, pair.second, pair.second_key};
  EXPECT_EQ(first.take(rest), State::failed) << "its nonce is another one";
  // And not its own words back: a mirror does not hold the key.
  Handshake narcissus{Role::dials, pair.first, pair.first_key};
  Buffer mirrored = narcissus.output();
  rest = mirrored;
  EXPECT_EQ(narcissus.take(rest), State::open) << "a proof is missing";
  EXPECT_TRUE(narcissus.output().empty());
}

TEST(Handshake, AnotherDeploymentOrNodeIsNamedAtBothEnds) {
  Pair pair;
  pair.second.identity = "5 nodes, 32 partitions";
  pair.run();
  EXPECT_EQ(pair.dialled, State::failed);
  EXPECT_NE(pair.dials->fault().find("5 nodes, 32 partitions"), std::string::npos);
  EXPECT_NE(pair.dials->fault().find(deployment), std::string::npos);
  EXPECT_EQ(pair.answered, State::failed);
  EXPECT_NE(pair.answers->fault().find("another deployment"), std::string::npos);

  Pair wrong;
  wrong.second.from = {3};
  wrong.run();
  EXPECT_EQ(wrong.dialled, State::failed);
  EXPECT_NE(wrong.dials->fault().find("it is node 3"), std::string::npos) << wrong.dials->fault();
}

TEST(Handshake, StrangersAndOtherVersionsAreToldApart) {
  Pair pair;
  const auto fault_of = [&pair](Buffer bytes) {
    Handshake answers{Role::answers, pair.second, pair.second_key};
    std::span<const std::byte> rest{bytes};
    return answers.take(rest) == State::failed ? answers.fault() : std::string{"not failed"};
  };
  const std::string http = "GET / HTTP/1.1\r\n";
  const auto* const begin = reinterpret_cast<const std::byte*>(http.data());
  EXPECT_NE(fault_of({begin, begin + http.size()}).find("does not speak"), std::string::npos);
  EXPECT_NE(fault_of({begin, begin + 1}).find("does not speak"), std::string::npos);

  Buffer hello = Handshake{Role::dials, pair.first, pair.first_key}.output();
  hello[8] = static_cast<std::byte>(wire_version + 1);
  EXPECT_NE(fault_of(hello).find("version 2"), std::string::npos) << fault_of(hello);
  hello[8] = static_cast<std::byte>(wire_version);
  hello[10] = std::byte{0xFF};
  EXPECT_NE(fault_of(hello).find("malformed"), std::string::npos);
}

}  // namespace
}  // namespace clamor::bus
