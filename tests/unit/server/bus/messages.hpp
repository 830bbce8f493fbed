#pragma once

#include "server/bus/messages.hpp"

#include <boost/pfr.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <rapidcheck.h>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Messages drawn field by field, and compared so: a new message or field is drawn and compared
/// without a line here.
namespace clamor::bus::test {

inline constexpr std::uint32_t partitions = 16;

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

inline std::size_t below(std::size_t end) { return *rc::gen::inRange<std::size_t>(0, end); }

// --- draw ----------------------------------------------------------------------------------------

inline void draw(PartitionId& partition) {
  partition.value = static_cast<std::uint32_t>(below(partitions));
}
inline void draw(Reading& reading) { reading = static_cast<Reading>(below(3)); }
inline void draw(Answer::Kind& kind) { kind = static_cast<Answer::Kind>(below(3)); }
inline void draw(core::ChannelDesign& design) {
  design = static_cast<core::ChannelDesign>(below(3));
}
inline void draw(core::RecordKind& kind) { kind = static_cast<core::RecordKind>(1 + below(10)); }
inline void draw(protocol::RefusalCode& code) {
  code = static_cast<protocol::RefusalCode>(1 + below(26));
}
inline void draw(store::RecordBatch& batch);
inline void draw(std::shared_ptr<const store::Commit>& commit);
inline void draw(std::vector<store::SharedRecord>& records);
inline void draw(store::FanOut& fan_out);
inline void draw(Published& published);
inline void draw(Registered& registered);

template <class T>
void draw(T& field) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
    field = *rc::gen::arbitrary<T>();
  } else if constexpr (std::integral<T>) {
    // Small ones, and ones of all lengths.
    field = static_cast<T>(*rc::gen::arbitrary<std::uint64_t>() >> below(64));
  } else if constexpr (std::is_same_v<T, Duration> || std::is_same_v<T, Instant>) {
    field = T{Duration{*rc::gen::arbitrary<std::int64_t>() / 2}};
  } else if constexpr (std::is_same_v<T, std::vector<std::byte>>) {
    for (const auto byte : *rc::gen::arbitrary<std::vector<std::uint8_t>>()) {
      field.push_back(std::byte{byte});
    }
  } else if constexpr (is_vector<T>) {
    field.resize(below(5));
    for (auto& item : field) draw(item);
  } else {
    boost::pfr::for_each_field(field, [](auto& one) { draw(one); });
  }
}

inline void draw(store::RecordBatch& batch) {
  for (std::size_t count = below(5); count != 0; --count) {
    core::Record record;
    std::vector<std::byte> body;
    draw(record);
    draw(body);
    batch.add(record, body);
  }
}

inline void draw(std::shared_ptr<const store::Commit>& commit) {
  const auto drawn = std::make_shared<store::Commit>();
  draw(drawn->batch);
  commit = drawn;
}

inline void draw(std::vector<store::SharedRecord>& records) {
  std::shared_ptr<const store::Commit> commit;
  draw(commit);
  for (std::size_t i = 0; i < commit->batch.size(); ++i) {
    if (*rc::gen::arbitrary<bool>()) records.push_back({commit, i});
  }
}

/// Every record that an entry names is there, and others are.
inline void draw(store::FanOut& fan_out) {
  draw(fan_out.joins);
  draw(fan_out.cursors);
  fan_out.runs.resize(below(4));
  const auto records = std::make_shared<store::Commit>();
  draw(records->batch);
  for (store::FanOut::Run& run : fan_out.runs) {
    draw(run);
    for (std::size_t entries = below(4); entries != 0; --entries) {
      core::DurableEntry& entry = fan_out.entries.emplace_back();
      draw(entry);
      entry.first = {below(100)};
      entry.count = static_cast<std::uint32_t>(below(3));
      for (std::uint32_t i = 0; i < entry.count; ++i) {
        std::vector<std::byte> body;
        draw(body);
        core::Record record;
        draw(record);
        record.channel = run.channel;
        record.id = entry.first + i;
        records->batch.add(record, body);
      }
    }
    run.entries_end = fan_out.entries.size();
  }
  if (*rc::gen::arbitrary<bool>()) fan_out.records = records;
}

inline void draw(Published& published) {
  draw(published.term);
  draw(published.number);
  if (*rc::gen::arbitrary<bool>()) return;
  draw(published.commit);
  for (std::uint32_t i = 0; i < published.commit->batch.size(); ++i) {
    for (std::size_t entries = below(3); entries != 0; --entries) {
      draw(published.entries.emplace_back());
      published.entries.back().record = i;
    }
  }
}

inline void draw(Registered& registered) {
  draw(registered.session);
  registered.channels.resize(below(4));
  for (ChannelState& state : registered.channels) {
    draw(state);
    registered.intervals.resize(registered.intervals.size() + below(3));
    state.intervals_end = static_cast<std::uint32_t>(registered.intervals.size());
  }
  for (core::Interval& interval : registered.intervals) draw(interval);
}

template <std::size_t index = 0>
Message draw_message(std::size_t number) {
  if constexpr (index + 1 < std::variant_size_v<Message>) {
    if (number != index) return draw_message<index + 1>(number);
  }
  std::variant_alternative_t<index, Message> message;
  draw(message);
  return message;
}

// --- compare -------------------------------------------------------------------------------------

inline bool same(const store::RecordBatch& a, const store::RecordBatch& b);
inline bool same(const std::vector<store::SharedRecord>& a,
                 const std::vector<store::SharedRecord>& b);
inline bool same(const store::FanOut& a, const store::FanOut& b);
inline bool same(const Published& a, const Published& b);

template <class T>
bool same(const T& a, const T& b) {
  if constexpr (std::equality_comparable<T> && !is_vector<T>) {
    return a == b;
  } else if constexpr (is_vector<T>) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return same(x, y); });
  } else {
    bool equal = true;
    boost::pfr::for_each_field(a, [&]<class Field, class Index>(const Field& one, Index index) {
      equal = equal && same(one, boost::pfr::get<index.value>(b));
    });
    return equal;
  }
}

inline bool same_record(const store::RecordBatch& a, std::size_t i, const store::RecordBatch& b,
                        std::size_t j) {
  return same(a.record(i), b.record(j)) && std::ranges::equal(a.body(i), b.body(j));
}

inline bool same(const store::RecordBatch& a, const store::RecordBatch& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same_record(a, i, b, i)) return false;
  }
  return true;
}

inline bool same(const std::vector<store::SharedRecord>& a,
                 const std::vector<store::SharedRecord>& b) {
  return std::ranges::equal(a, b, [](const store::SharedRecord& x, const store::SharedRecord& y) {
    return same_record(x.commit->batch, x.index, y.commit->batch, y.index);
  });
}

/// `b` was decoded: of the records it has at least those that entries name.
inline bool same(const store::FanOut& a, const store::FanOut& b) {
  if (!same(a.runs, b.runs) || a.entries != b.entries) return false;
  if (a.joins != b.joins || a.cursors != b.cursors) return false;
  if ((a.records == nullptr) != (b.records == nullptr)) return false;
  if (a.records == nullptr) return true;
  const store::RecordBatch& all = a.records->batch;
  const store::RecordBatch& decoded = b.records->batch;
  const auto decoded_has = [&](std::size_t i) {
    for (std::size_t j = 0; j < decoded.size(); ++j) {
      if (same_record(all, i, decoded, j)) return true;
    }
    return false;
  };
  std::size_t entry = 0;
  for (const store::FanOut::Run& run : a.runs) {
    for (; entry < run.entries_end; ++entry) {
      const core::DurableEntry& one = a.entries[entry];
      for (std::size_t i = 0; i < all.size(); ++i) {
        const core::Record& record = all.record(i);
        const bool named = record.channel == run.channel && one.first <= record.id &&
                           record.id < one.first + one.count;
        if (named && !decoded_has(i)) return false;
      }
    }
  }
  return decoded.size() <= all.size();
}

/// Their entries say the same of the same records.
inline bool same(const Published& a, const Published& b) {
  if (a.term != b.term || a.number != b.number || a.entries.size() != b.entries.size())
    return false;
  if ((a.commit == nullptr) != (b.commit == nullptr)) return false;
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    Published::Entry x = a.entries[i];
    const Published::Entry& y = b.entries[i];
    if (!same_record(a.commit->batch, x.record, b.commit->batch, y.record)) return false;
    x.record = y.record;
    if (!same(x, y)) return false;
  }
  return true;
}

}  // namespace clamor::bus::test
