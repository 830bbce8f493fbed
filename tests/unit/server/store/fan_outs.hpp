#pragma once

#include "server/store/fan_out.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace clamor::test {

/// Fan-out of ids [first, first + count) of one channel to `users`, with the journal's cursor.
inline store::FanOut fan_out_of(std::uint64_t channel, core::ChannelDesign design,
                                std::uint64_t first, std::uint32_t count,
                                const std::vector<std::uint64_t>& users, std::uint64_t sequence) {
  store::FanOut fan_out;
  for (const std::uint64_t user : users) {
    fan_out.entries.push_back({{user}, {0}, {first}, count});
  }
  fan_out.runs.push_back({{channel}, design, fan_out.entries.size()});
  fan_out.cursors.push_back({{0}, {sequence}});
  auto records = std::make_shared<store::Commit>();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string body = std::to_string(channel) + ":" + std::to_string(first + i);
    records->add({.channel = {channel}, .id = {first + i}}, std::as_bytes(std::span{body}),
                 {{0}, {sequence}});
  }
  fan_out.records = std::move(records);
  return fan_out;
}

}  // namespace clamor::test
