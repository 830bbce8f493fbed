#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace clamor::core::small_chat {

/// How often each kind of situation arose over all random plans: a property that never met the
/// case it is about proves nothing.
struct Cases {
  std::uint64_t sends = 0;
  std::uint64_t resends_answered_duplicate = 0;
  std::uint64_t resends_answered_pending = 0;
  std::uint64_t sends_answered_expected_next = 0;
  std::uint64_t sends_refused_not_member = 0;
  std::uint64_t failed_appends_rebuilt = 0;
  std::uint64_t reconnects_with_news = 0;
  std::uint64_t reconnects_without_news = 0;
  std::uint64_t logins_of_second_devices = 0;
  std::uint64_t logins_of_wiped_devices = 0;
  std::uint64_t logins_behind_a_lagging_node = 0;
  std::uint64_t superseded_sessions = 0;
  std::uint64_t silent_sessions_closed = 0;
  std::uint64_t slow_consumers_closed = 0;
  std::uint64_t joins = 0;
  std::uint64_t leaves = 0;
  std::uint64_t rejoins = 0;
  std::uint64_t catch_ups_over_several_pages = 0;
  std::uint64_t catch_ups_over_several_intervals = 0;
  std::uint64_t catch_up_buffers_overflowed = 0;
  std::uint64_t own_records_echoed = 0;
  std::uint64_t acks_ahead_of_earlier_records = 0;
  std::uint64_t link_gaps_fetched = 0;
  std::uint64_t link_repeats_dropped = 0;
  // with queues only
  std::uint64_t queue_lag_at_login = 0;
  std::uint64_t queue_entries_trimmed = 0;
  std::uint64_t queues_that_fell_short = 0;
  std::uint64_t devices_behind_the_queue = 0;
  // hybrid only
  std::uint64_t design_flips_up = 0;
  std::uint64_t design_flips_down = 0;
  // adaptive only
  std::uint64_t members_given_a_queue = 0;
  std::uint64_t members_without_a_queue_again = 0;
};

enum class Needs : std::uint8_t { any_design, queues, user_queue, hybrid, adaptive };

struct CaseCounter {
  std::string_view name;
  std::uint64_t Cases::*member;
  Needs needs = Needs::any_design;
};

#define CLAMOR_CASE(name, ...) \
  CaseCounter { #name, &Cases::name, ##__VA_ARGS__ }
inline constexpr std::array case_counters{
    CLAMOR_CASE(sends),
    CLAMOR_CASE(resends_answered_duplicate),
    CLAMOR_CASE(resends_answered_pending),
    CLAMOR_CASE(sends_answered_expected_next),
    CLAMOR_CASE(sends_refused_not_member),
    CLAMOR_CASE(failed_appends_rebuilt),
    CLAMOR_CASE(reconnects_with_news),
    CLAMOR_CASE(reconnects_without_news),
    CLAMOR_CASE(logins_of_second_devices),
    CLAMOR_CASE(logins_of_wiped_devices),
    CLAMOR_CASE(logins_behind_a_lagging_node),
    CLAMOR_CASE(superseded_sessions),
    CLAMOR_CASE(silent_sessions_closed),
    CLAMOR_CASE(slow_consumers_closed),
    CLAMOR_CASE(joins),
    CLAMOR_CASE(leaves),
    CLAMOR_CASE(rejoins),
    CLAMOR_CASE(catch_ups_over_several_pages),
    CLAMOR_CASE(catch_ups_over_several_intervals),
    CLAMOR_CASE(catch_up_buffers_overflowed),
    CLAMOR_CASE(own_records_echoed),
    CLAMOR_CASE(acks_ahead_of_earlier_records),
    CLAMOR_CASE(link_gaps_fetched),
    CLAMOR_CASE(link_repeats_dropped),
    CLAMOR_CASE(queue_lag_at_login, Needs::queues),
    CLAMOR_CASE(queue_entries_trimmed, Needs::queues),
    CLAMOR_CASE(queues_that_fell_short, Needs::user_queue),
    CLAMOR_CASE(devices_behind_the_queue, Needs::queues),
    CLAMOR_CASE(design_flips_up, Needs::hybrid),
    CLAMOR_CASE(design_flips_down, Needs::hybrid),
    CLAMOR_CASE(members_given_a_queue, Needs::adaptive),
    CLAMOR_CASE(members_without_a_queue_again, Needs::adaptive),
};
#undef CLAMOR_CASE
static_assert(sizeof(Cases) == case_counters.size() * sizeof(std::uint64_t),
              "a case is missing from case_counters");

}  // namespace clamor::core::small_chat
