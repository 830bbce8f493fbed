#include "tests/bench/fanout/dialects.hpp"

#include "server/protocol/codec.hpp"
#include "server/token/token.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace clamor::bench {
namespace {

constexpr std::chrono::seconds enter_limit{60};

/// A message body: its number, then filler.
Buffer numbered_body(std::uint64_t n, std::uint32_t bytes) {
  Buffer body(std::max<std::size_t>(bytes, sizeof n), std::byte{'x'});
  std::memcpy(body.data(), &n, sizeof n);
  return body;
}

std::uint64_t number_of(Bytes body) {
  std::uint64_t n = 0;
  if (body.size() < sizeof n) throw std::runtime_error("a message came without its number");
  std::memcpy(&n, body.data(), sizeof n);
  return n;
}

class YardstickDialect final : public Dialect {
 public:
  void enter(Peers& peers, const Shape& shape) override {
    shape_ = shape;
    for (std::uint32_t connection = 0; connection < peers.size(); ++connection) {
      enter_again(peers, connection);
    }
    peers.turn_until([&] { return ready_ == peers.size(); }, enter_limit, "all members are ready");
  }
  void enter_again(Peers& peers, std::uint32_t connection) override {
    Buffer join(5, join_tag);
    const std::uint32_t group = shape_.group_of(connection);
    std::memcpy(&join[1], &group, sizeof group);
    peers.send(connection, join);
  }
  std::uint32_t entered() const override { return ready_; }
  void send(Peers& peers, std::uint32_t group, std::uint64_t n) override {
    const auto member = static_cast<std::uint32_t>(n % shape_.group_size);
    peers.send(shape_.connection_of(group, member), numbered_body(n, shape_.message_bytes));
  }
  std::optional<std::uint64_t> received(Peers&, std::uint32_t, Bytes payload) override {
    if (payload.size() == 1 && payload[0] == ready_tag) {
      ++ready_;
      return std::nullopt;
    }
    return number_of(payload);
  }

 private:
  Shape shape_;
  std::uint32_t ready_ = 0;
};

/// Group g is channel g + 1; connection c is the only device of user c + 1.
class ClamorDialect final : public Dialect {
 public:
  void enter(Peers& peers, const Shape& shape) override {
    shape_ = shape;
    resume_tokens_.resize(shape.connections);
    held_.resize(shape.connections);
    const token::Key key = token::derive_key(server_secret);
    for (std::uint32_t connection = 0; connection < peers.size(); ++connection) {
      const std::string token = token::mint(key, UserId{connection + 1}, std::time(nullptr) + 3600);
      say(peers, connection, protocol::Login{.token = token, .device = {1}});
    }
    peers.turn_until([&] { return ready_ == peers.size(); }, enter_limit, "all sessions are in");
    for (std::uint32_t group = 0; group < shape.groups(); ++group) {
      protocol::CreateChannel create{.channel = {group + 1}};
      for (std::uint32_t member = 0; member < shape.group_size; ++member) {
        create.members.push_back({shape.connection_of(group, member) + 1});
      }
      say(peers, shape.connection_of(group, 0), create);
    }
    peers.turn_until([&] { return created_ == shape.groups(); }, enter_limit, "all groups exist");
  }
  void enter_again(Peers& peers, std::uint32_t connection) override {
    protocol::Login login{.token = resume_tokens_[connection], .device = {1}};
    const Position held{.message_id = held_[connection]};
    login.positions.push_back({{shape_.group_of(connection) + 1}, held});
    say(peers, connection, login);
  }
  std::uint32_t entered() const override { return ready_; }
  void send(Peers& peers, std::uint32_t group, std::uint64_t n) override {
    const auto member = static_cast<std::uint32_t>(n % shape_.group_size);
    const Buffer body = numbered_body(n, shape_.message_bytes);
    say(peers, shape_.connection_of(group, member),
        protocol::Send{.channel = {group + 1},
                       .client_message_id = ClientMessageId{n / shape_.group_size + 1},
                       .body = body});
  }
  std::optional<std::uint64_t> received(Peers& peers, std::uint32_t connection,
                                        Bytes payload) override {
    const auto decoded = protocol::decode_server(payload);
    if (!decoded) throw std::runtime_error("the server sent a message that is none");
    if (const auto* const frame = std::get_if<protocol::RecordFrame>(&*decoded)) {
      held_[connection] = frame->record.id;
      if (frame->record.kind != core::RecordKind::message) return std::nullopt;
      return number_of(frame->body);
    }
    if (const auto* const ack = std::get_if<protocol::Ack>(&*decoded)) {
      held_[connection] = ack->message_id;
      return (ack->client_message_id.value - 1) * shape_.group_size +
             connection % shape_.group_size;
    }
    if (const auto* const page = std::get_if<protocol::Page>(&*decoded)) {
      if (page->last) {
        ++ready_;
      } else {
        say(peers, connection, protocol::NextPage{});
      }
    } else if (const auto* const in = std::get_if<protocol::LoginAccepted>(&*decoded)) {
      if (!in->resume_token.empty()) resume_tokens_[connection] = in->resume_token;
    } else if (std::holds_alternative<protocol::ChannelChanged>(*decoded)) {
      ++created_;
    } else if (const auto* const refused = std::get_if<protocol::Refused>(&*decoded)) {
      throw std::runtime_error("the server refused: " + std::string{refused->detail});
    }
    return std::nullopt;
  }

 private:
  template <class Message>
  void say(Peers& peers, std::uint32_t connection, const Message& message) {
    out_.clear();
    protocol::encode(message, out_);
    peers.send(connection, out_);
  }

  Shape shape_;
  Buffer out_;
  std::vector<std::string> resume_tokens_;  ///< By connection.
  std::vector<MessageId> held_;             ///< Of its group's channel, by connection.
  std::uint32_t ready_ = 0;
  std::uint32_t created_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> yardstick_dialect() { return std::make_unique<YardstickDialect>(); }
std::unique_ptr<Dialect> clamor_dialect() { return std::make_unique<ClamorDialect>(); }

}  // namespace clamor::bench
