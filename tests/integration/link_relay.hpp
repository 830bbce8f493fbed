#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <future>
#include <list>
#include <memory>
#include <thread>
#include <utility>

namespace clamor::test {

/// A cable between two processes, which can be cut and mended. Runs on a thread of its own.
class LinkRelay {
 public:
  /// Listens on `port` and passes on to `to`.
  LinkRelay(std::uint16_t port, std::uint16_t to)
      : to_{boost::asio::ip::address_v4::loopback(), to},
        acceptor_{io_, {boost::asio::ip::address_v4::loopback(), port}} {
    accept();
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~LinkRelay() {
    io_.stop();
    thread_.join();
  }
  LinkRelay(const LinkRelay&) = delete;
  LinkRelay& operator=(const LinkRelay&) = delete;

  /// Ends every connection, and those still to come until mend(). Returns once it is so.
  void cut() {
    in_thread([this] {
      cut_ = true;
      for (const std::shared_ptr<Pair>& pair : pairs_) pair->close();
      pairs_.clear();
    });
  }
  void mend() {
    in_thread([this] { cut_ = false; });
  }

 private:
  using tcp = boost::asio::ip::tcp;
  struct Pair {
    explicit Pair(boost::asio::io_context& io) : ends{tcp::socket{io}, tcp::socket{io}} {}
    void close() {
      boost::system::error_code ignored;
      for (tcp::socket& end : ends) end.close(ignored);
    }
    std::array<tcp::socket, 2> ends;
    std::array<std::array<std::byte, 64 * 1024>, 2> bytes{};
  };

  template <class Do>
  void in_thread(Do work) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void accept() {
    auto pair = std::make_shared<Pair>(io_);
    acceptor_.async_accept(pair->ends[0], [this, pair](auto error) {
      if (error) return;
      boost::system::error_code failed;
      if (!cut_) pair->ends[1].connect(to_, failed);
      if (cut_ || failed) {
        pair->close();
      } else {
        pairs_.push_back(pair);
        pump(pair, 0);
        pump(pair, 1);
      }
      accept();
    });
  }
  void pump(const std::shared_ptr<Pair>& pair, std::size_t from) {
    pair->ends[from].async_read_some(
        boost::asio::buffer(pair->bytes[from]), [=, this](auto error, std::size_t size) {
          if (error) return pair->close();
          boost::asio::async_write(pair->ends[1 - from],
                                   boost::asio::buffer(pair->bytes[from], size),
                                   [=, this](auto unsent, std::size_t) {
                                     if (unsent) return pair->close();
                                     pump(pair, from);
                                   });
        });
  }

  boost::asio::io_context io_{1};
  tcp::endpoint to_;
  tcp::acceptor acceptor_;
  std::list<std::shared_ptr<Pair>> pairs_;
  bool cut_ = false;
  std::thread thread_;
};

}  // namespace clamor::test
