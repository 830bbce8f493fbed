#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace clamor::scenario {

/// Says all that is wrong with a configuration, one line a fault; main turns it into exit code 104.
/// Lines read `file:line:column: what is wrong; expected ...; did you mean "..."?`.
class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(std::vector<std::string> errors)
      : std::runtime_error{joined(errors)}, errors_{std::move(errors)} {}

  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }

 private:
  static std::string joined(const std::vector<std::string>& errors) {
    std::string text;
    for (const std::string& error : errors) text += (text.empty() ? "" : "\n") + error;
    return text;
  }

  std::vector<std::string> errors_;
};

/// What reading a file gives: the value, or every fault found (then value is empty).
template <class T>
struct Parsed {
  std::optional<T> value;
  std::vector<std::string> errors;
};

/// The value, or all faults thrown as one ConfigError.
template <class T>
[[nodiscard]] T value_or_throw(Parsed<T> parsed) {
  if (!parsed.value) throw ConfigError{std::move(parsed.errors)};
  return std::move(*parsed.value);
}

}  // namespace clamor::scenario
