#pragma once

#include "loadgen/user/virtual_user.hpp"

#include <cstdint>
#include <string_view>

namespace clamor::loadgen {

/// What the server's close frame means to a virtual user: whether it returns, and not before when.
/// Code 0: the stream just ended.
[[nodiscard]] Disconnected disconnected_by(std::uint16_t close_code, std::string_view reason);

}  // namespace clamor::loadgen
