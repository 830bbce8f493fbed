#pragma once

#include "reports/model/result.hpp"

#include <span>
#include <string>
#include <vector>

namespace clamor::report {

/// Checks that designs that ran one plan under one engine differ in their operations as their
/// definitions say (ARCHITECTURE.md, the designs): the same records, expected deliveries and
/// membership; M queue entries and U user partitions a record under per_user and per_member, none
/// under per_group; all, none or some of them under hybrid, as its threshold divides the classes;
/// none under adaptive before a record gives somebody a queue, and one such record a window at
/// most; queue scans only where there are queues: one a login under per_user, hybrid and adaptive,
/// one a channel with news under per_member; no reference is read where no queue is; every login
/// compares heads. Answers one sentence a violation; none means they do. Runs of a part of the plan
/// (ran_whole_plan) are held to their own records only.
[[nodiscard]] std::vector<std::string> check_operations(std::span<const RunResult> runs);

}  // namespace clamor::report
