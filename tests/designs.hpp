#pragma once

#include "scenarios/yaml/design.hpp"
#include "server/base/queue_design.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace clamor {

/// How a test's parameter is shown.
inline void PrintTo(const DesignSpec& spec, std::ostream* out) {
  *out << scenario::design_yaml(spec);
}

}  // namespace clamor

namespace clamor::test {

/// A design as a server's settings name it.
inline std::string setting_of(const DesignSpec& spec) { return scenario::design_yaml(spec); }

/// Names a parameterised suite's tests by their design.
inline std::string design_test_name(const testing::TestParamInfo<DesignSpec>& of) {
  return std::string{name_of(of.param.design)};
}

}  // namespace clamor::test
