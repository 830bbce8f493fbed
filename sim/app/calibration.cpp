#include "sim/app/calibration.hpp"

#include "calibration_default.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/document.hpp"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <fmt/format.h>
#include <stdexcept>

namespace clamor::sim {
namespace {

constexpr std::string_view format_name = "clamor.calibration/1";

constexpr std::string_view header =
    "# Costs of the simulator: what one operation of the live server takes on the machine named "
    "below.\n"
    "# `clamor calibrate --out sim/calibration.yaml` measures them anew and writes this same "
    "format;\n"
    "# `clamor sim --calibration FILE` uses another file. The build embeds this one as the "
    "default.\n"
    "#\n"
    "# value: nanoseconds or bytes, as the name says. residual: relative error of the fit that "
    "gave it\n"
    "# (root mean square of the residuals over the mean of what was fitted); -1: not fitted.\n";

/// Collects the errors of one file, so that a user sees all of them at once.
class Reader {
 public:
  explicit Reader(std::string name) : name_{std::move(name)} {}

  void error(const YAML::Mark& mark, const std::string& what) {
    if (mark.is_null()) {
      errors_ += fmt::format("{}: {}\n", name_, what);
    } else {
      errors_ += fmt::format("{}:{}:{}: {}\n", name_, mark.line + 1, mark.column + 1, what);
    }
  }

  std::string text(const YAML::Node& root, const char* key) {
    const YAML::Node node = root[key];
    if (!node || !node.IsScalar()) {
      error(node ? node.Mark() : root.Mark(), fmt::format("expected `{}: TEXT`", key));
      return {};
    }
    return node.Scalar();
  }

  double number(const YAML::Node& node, const char* what, bool may_be_negative) {
    double value = 0;
    try {
      value = node.as<double>();
    } catch (const YAML::Exception&) {
      error(node.Mark(), fmt::format("expected a number as {}, found `{}`", what, node.Scalar()));
      return 0;
    }
    if (!std::isfinite(value) || (value < 0 && !may_be_negative)) {
      error(node.Mark(), fmt::format("expected a number of at least 0 as {}", what));
      return 0;
    }
    return value;
  }

  void coefficient(const YAML::Node& node, std::size_t index, Calibration& out) {
    const CostCoefficient& coefficient = cost_coefficients[index];
    if (!node.IsMap() || !node["value"]) {
      error(node.Mark(),
            fmt::format("expected `{}: {{value: NUMBER, residual: NUMBER}}`", coefficient.name));
      return;
    }
    out.costs.*coefficient.member = number(node["value"], "value", false);
    out.residuals[index] = node["residual"] ? number(node["residual"], "residual", true) : -1;
  }

  void costs(const YAML::Node& map, Calibration& out) {
    if (!map || !map.IsMap()) {
      error(map ? map.Mark() : YAML::Mark::null_mark(), "expected a map `costs:`");
      return;
    }
    for (const auto& entry : map) {
      bool known = false;
      for (const CostCoefficient& one : cost_coefficients) {
        known = known || one.name == entry.first.Scalar();
      }
      if (!known) {
        error(entry.first.Mark(),
              fmt::format("`{}` is no coefficient; remove it", entry.first.Scalar()));
      }
    }
    for (std::size_t i = 0; i < cost_coefficients.size(); ++i) {
      const YAML::Node node = map[std::string{cost_coefficients[i].name}];
      if (node) {
        coefficient(node, i, out);
      } else {
        error(map.Mark(), fmt::format("coefficient `{}` is missing; run clamor calibrate",
                                      cost_coefficients[i].name));
      }
    }
  }

  void throw_if_any() const {
    if (!errors_.empty()) throw std::runtime_error{errors_.substr(0, errors_.size() - 1)};
  }

 private:
  std::string name_;
  std::string errors_;
};

}  // namespace

Calibration parse_calibration(std::string_view yaml, const std::string& name) {
  Reader reader{name};
  Calibration out;
  try {
    const YAML::Node root = YAML::Load(std::string{yaml});
    if (!root.IsMap()) {
      reader.error(root.Mark(), fmt::format("expected a map with `format: {}`", format_name));
      reader.throw_if_any();
    }
    const YAML::Node format = root["format"];
    if (!format || !format.IsScalar() || format.Scalar() != format_name) {
      // Another file: what else it lacks says nothing.
      reader.error(format ? format.Mark() : root.Mark(),
                   fmt::format("no calibration; expected `format: {}`, as `clamor calibrate` "
                               "writes it",
                               format_name));
      reader.throw_if_any();
    }
    out.machine = reader.text(root, "machine");
    out.date = reader.text(root, "date");
    out.path = reader.text(root, "path");
    out.source = reader.text(root, "source");
    reader.costs(root["costs"], out);
  } catch (const YAML::ParserException& broken) {
    reader.error(broken.mark, broken.msg);
  }
  reader.throw_if_any();
  return out;
}

Calibration read_calibration(const std::filesystem::path& file) {
  const scenario::Parsed<std::string> text = scenario::read_text_file(file.string());
  if (!text.value) throw std::runtime_error{text.errors.front()};
  return parse_calibration(*text.value, file.string());
}

Calibration default_calibration() {
  return parse_calibration(calibration_default_yaml, "sim/calibration.yaml (as built in)");
}

Calibration calibration_argument(const std::filesystem::path& file) {
  if (file.empty()) return default_calibration();
  try {
    return read_calibration(file);
  } catch (const std::runtime_error& error) {
    throw scenario::ConfigError{{std::string{"--calibration: "} + error.what()}};
  }
}

std::string to_yaml(const Calibration& calibration) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "format" << YAML::Value << std::string{format_name};
  out << YAML::Key << "machine" << YAML::Value << YAML::DoubleQuoted << calibration.machine;
  out << YAML::Key << "date" << YAML::Value << YAML::DoubleQuoted << calibration.date;
  out << YAML::Key << "path" << YAML::Value << calibration.path;
  out << YAML::Key << "source" << YAML::Value << YAML::DoubleQuoted << calibration.source;
  out << YAML::Key << "costs" << YAML::Value << YAML::BeginMap;
  for (std::size_t i = 0; i < cost_coefficients.size(); ++i) {
    out << YAML::Key << std::string{cost_coefficients[i].name};
    out << YAML::Value << YAML::Flow << YAML::BeginMap;
    out << YAML::Key << "value" << YAML::Value
        << fmt::format("{:.6g}", calibration.costs.*cost_coefficients[i].member);
    out << YAML::Key << "residual" << YAML::Value
        << fmt::format("{:.3g}", calibration.residuals[i]);
    out << YAML::EndMap;
  }
  out << YAML::EndMap << YAML::EndMap;
  return std::string{header} + out.c_str() + "\n";
}

}  // namespace clamor::sim
