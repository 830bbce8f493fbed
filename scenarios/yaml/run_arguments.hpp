#pragma once

#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::scenario {

/// An argument as it was typed; nullopt: not given. "" is what was typed, too.
using Typed = std::optional<std::string>;

/// Adds an option that tells "" from not given. `text` must outlive `command`, a CLI::App.
template <class App>
auto* add_text_option(App& command, const std::string& names, Typed& text,
                      const std::string& help) {
  return command.template add_option_function<std::string>(
      names, [&text](const std::string& typed) { text = typed; }, help);
}

/// What a command line may name as a design.
inline constexpr std::string_view design_choices =
    "per_user, per_member, per_group, hybrid, hybrid(MEMBERS), adaptive or adaptive(WINDOW)";

/// Reads a design as a command line names it: `per_user`, `hybrid`, `hybrid(300)`, `adaptive(32)`.
/// A bare name takes the knobs that the scenario gives that design.
[[nodiscard]] std::optional<DesignSpec> parse_design(std::string_view text,
                                                     const Scenario& scenario);

/// Reads the arguments that `load`, `sim` and `compare` share, so that the three mean the same by
/// them and refuse the same in the same words. A reader that returns nothing for an argument that
/// was given has noted a fault; all of them are thrown together.
class ArgumentReader {
 public:
  std::optional<DesignSpec> design(const char* option, const std::string& text,
                                   const Scenario& scenario);
  /// The design of one run: `text`, or else the scenario's first.
  DesignSpec design_or_first(const char* option, const Typed& text, const Scenario& scenario);
  std::optional<double> scale(const Typed& text);           ///< --scale, above 0.
  std::optional<std::uint64_t> seed(const Typed& text);     ///< --seed
  std::optional<std::uint32_t> workers(const Typed& text);  ///< --workers, from 1.
  /// --until, above 0 and at most `longest`.
  std::optional<Duration> until(const Typed& text, Duration longest);
  /// The words of an option, or "" where it was not given; `expected` says what they should be.
  std::string words(const char* option, const Typed& text, const char* expected);

  void fault(std::string what) { faults_.push_back(std::move(what)); }
  /// @throws ConfigError with every fault noted so far.
  void throw_if_any() const;

 private:
  std::vector<std::string> faults_;
};

}  // namespace clamor::scenario
