#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace clamor {

/// What became of every message, summed over devices and channels after the roll call.
struct LedgerTotals {
  std::uint64_t sent = 0;             ///< Sends that virtual users made (first attempts).
  std::uint64_t acknowledged = 0;     ///< Sends whose ack arrived.
  std::uint64_t indeterminate = 0;    ///< Sent, never acknowledged: may exist 0 or 1 times.
  std::uint64_t not_sent = 0;         ///< Due, but still in an outbox at the end.
  std::uint64_t resends = 0;          ///< Further attempts of the same send.
  std::uint64_t expected = 0;         ///< (record, device) pairs owed to devices.
  std::uint64_t delivered = 0;        ///< Distinct expected pairs received.
  std::uint64_t lost = 0;             ///< Expected, never received.
  std::uint64_t gaps = 0;             ///< Holes seen live, repaired or not.
  std::uint64_t duplicated = 0;       ///< Received again within what the device had declared held.
  std::uint64_t redelivered = 0;      ///< Received again in a later session, above its position.
  std::uint64_t reordered = 0;        ///< First receipt after a higher id.
  std::uint64_t replaced = 0;         ///< Two contents under one id.
  std::uint64_t double_accepted = 0;  ///< One send under two ids.
  std::uint64_t echoed = 0;           ///< Own records met in catch-up.
  std::uint64_t expired = 0;          ///< Told history_truncated.
  std::uint64_t misdelivered = 0;     ///< Received by a device that is no member.

  void operator+=(const LedgerTotals& other);
  bool operator==(const LedgerTotals&) const = default;
};

struct LedgerCounter {
  std::string_view name;
  std::uint64_t LedgerTotals::*member;
  bool must_be_zero;  ///< An implicit threshold of every run.
};

inline constexpr std::array ledger_counters{
    LedgerCounter{"sent", &LedgerTotals::sent, false},
    LedgerCounter{"acknowledged", &LedgerTotals::acknowledged, false},
    LedgerCounter{"indeterminate", &LedgerTotals::indeterminate, false},
    LedgerCounter{"not_sent", &LedgerTotals::not_sent, false},
    LedgerCounter{"resends", &LedgerTotals::resends, false},
    LedgerCounter{"expected", &LedgerTotals::expected, false},
    LedgerCounter{"delivered", &LedgerTotals::delivered, false},
    LedgerCounter{"lost", &LedgerTotals::lost, true},
    LedgerCounter{"gaps", &LedgerTotals::gaps, false},
    LedgerCounter{"duplicated", &LedgerTotals::duplicated, true},
    LedgerCounter{"redelivered", &LedgerTotals::redelivered, false},
    LedgerCounter{"reordered", &LedgerTotals::reordered, true},
    LedgerCounter{"replaced", &LedgerTotals::replaced, true},
    LedgerCounter{"double_accepted", &LedgerTotals::double_accepted, true},
    LedgerCounter{"echoed", &LedgerTotals::echoed, false},
    LedgerCounter{"expired", &LedgerTotals::expired, false},
    LedgerCounter{"misdelivered", &LedgerTotals::misdelivered, true},
};
static_assert(sizeof(LedgerTotals) == ledger_counters.size() * sizeof(std::uint64_t),
              "a counter is missing from ledger_counters");

inline void LedgerTotals::operator+=(const LedgerTotals& other) {
  for (const LedgerCounter& counter : ledger_counters) {
    this->*counter.member += other.*counter.member;
  }
}

}  // namespace clamor
