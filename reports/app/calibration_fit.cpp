#include "reports/app/calibration_fit.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <string_view>

namespace clamor::report {
namespace {

using sim::Costs;

constexpr double relative_error_below = 0.5;
constexpr double error_share_below = 0.2;
/// Without turn_ns: beside a wake and its frames, what an empty turn costs may not be told apart.
constexpr std::array required{"wake_ns",         "frame_in_ns",     "flush_ns",
                              "message_ns",      "commit_batch_ns", "commit_record_ns",
                              "commit_fsync_ns", "scan_ns",         "scan_record_ns"};

/// Known well enough, relatively or beside what it is a part of: a cost that is nothing wherever it
/// occurs has no small relative error, and needs none.
bool identified(const Fit& fit, std::size_t i) {
  return fit.relative_errors[i] < relative_error_below || fit.error_shares[i] < error_share_below;
}

double number(std::uint64_t n) { return static_cast<double>(n); }

std::size_t index_of(std::string_view name) {
  for (std::size_t i = 0; i < sim::cost_coefficients.size(); ++i) {
    if (sim::cost_coefficients[i].name == name) return i;
  }
  return sim::cost_coefficients.size();
}

/// What a coefficient is multiplied with at one point.
struct Term {
  std::string_view coefficient;
  std::function<double(const LoadPoint&)> count;
};

/// Of each load the window with the least a round: neighbours only ever add. A window in which
/// nothing is left to explain is no observation.
std::vector<LoadPoint> least_disturbed(const std::vector<LoadPoint>& points,
                                       const std::function<double(const LoadPoint&)>& observed) {
  std::vector<LoadPoint> chosen;
  for (const LoadPoint& point : points) {
    const double seen = observed(point);
    if (!(seen > 0) || point.rounds == 0) continue;
    const auto same = std::ranges::find(chosen, point.load, &LoadPoint::load);
    if (same == chosen.end()) {
      chosen.push_back(point);
    } else if (seen / number(point.rounds) < observed(*same) / number(same->rounds)) {
      *same = point;
    }
  }
  return chosen;
}

class Fitter {
 public:
  explicit Fitter(const sim::Calibration& base) {
    result_.calibration = base;
    result_.calibration.residuals.fill(-1);
  }

  [[nodiscard]] double cost(std::string_view name) const {
    return result_.calibration.costs.*sim::cost_coefficients[index_of(name)].member;
  }

  void set(std::string_view name, double value, double residual) {
    const std::size_t i = index_of(name);
    result_.calibration.costs.*sim::cost_coefficients[i].member = value;
    result_.calibration.residuals[i] = residual;
  }

  /// Fits `terms`. One that can be done without keeps the base's value where the loads do not
  /// identify it, or where a needed one is not identified beside it; the others are fitted anew.
  void regress(const std::string& name, const std::vector<LoadPoint>& points,
               std::vector<Term> terms, const std::function<double(const LoadPoint&)>& observed) {
    std::vector<LoadPoint> chosen = least_disturbed(points, observed);
    std::vector<double> left;  // to be explained by the terms
    for (const LoadPoint& point : chosen) left.push_back(observed(point));
    while (!terms.empty() && chosen.size() > terms.size()) {
      FitReport report = fit(name, chosen, terms, left);
      const auto worst = worst_optional(terms, report.fit);
      if (!worst) {
        keep(std::move(report));
        return;
      }
      const Term dropped = terms[*worst];
      terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(*worst));
      for (std::size_t i = chosen.size(); i-- > 0;) {
        left[i] -= cost(dropped.coefficient) * dropped.count(chosen[i]);
        if (left[i] > 0) continue;  // else the base is too dear: nothing can be learnt from it
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
        chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }

  [[nodiscard]] CalibrationResult finish() {
    for (std::size_t i = 0; i < sim::cost_coefficients.size(); ++i) {
      if (result_.calibration.residuals[i] >= 0) continue;
      const std::string name{sim::cost_coefficients[i].name};
      (is_required(name) ? result_.missing : result_.carried_over).push_back(name);
    }
    return std::move(result_);
  }

 private:
  static FitReport fit(const std::string& name, const std::vector<LoadPoint>& points,
                       const std::vector<Term>& terms, const std::vector<double>& observed) {
    FitReport report{
        .name = name, .coefficients = {}, .points = points, .observed = observed, .fit = {}};
    std::vector<Observation> observations;
    for (std::size_t i = 0; i < points.size(); ++i) {
      Observation observation{.counts = {}, .observed = observed[i]};
      for (const Term& term : terms) observation.counts.push_back(term.count(points[i]));
      observations.push_back(std::move(observation));
    }
    for (const Term& term : terms) report.coefficients.emplace_back(term.coefficient);
    report.fit = fit_non_negative(observations);
    return report;
  }

  static bool is_required(std::string_view name) {
    return std::ranges::find(required, name) != required.end();
  }

  static std::optional<std::size_t> worst_optional(const std::vector<Term>& terms, const Fit& fit) {
    bool needed = false;  // a required one is not told apart from the others
    for (std::size_t i = 0; i < terms.size(); ++i) {
      needed = needed || (is_required(terms[i].coefficient) && !identified(fit, i));
    }
    std::optional<std::size_t> worst;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      if (is_required(terms[i].coefficient) || (identified(fit, i) && !needed)) continue;
      if (!worst || fit.error_shares[i] > fit.error_shares[*worst]) worst = i;
    }
    return worst;
  }

  void keep(FitReport report) {
    for (std::size_t i = 0; i < report.coefficients.size(); ++i) {
      if (identified(report.fit, i)) {
        set(report.coefficients[i], report.fit.coefficients[i], report.fit.residual);
      }
    }
    result_.fits.push_back(std::move(report));
  }

  CalibrationResult result_;
};

Term operation(std::string_view coefficient, std::uint64_t Operations::*counter) {
  return {coefficient, [counter](const LoadPoint& p) { return number(p.counted.*counter); }};
}

/// What a turn is made of, its wake apart.
std::vector<Term> turn_terms() {
  return {operation("turn_ns", &Operations::turns),
          operation("frame_in_ns", &Operations::frames_in),
          operation("frame_in_byte_ns", &Operations::bytes_in),
          operation("post_ns", &Operations::posts),
          operation("flush_ns", &Operations::flushes),
          operation("message_ns", &Operations::frames_out),
          operation("byte_out_ns", &Operations::bytes_out)};
}

double scans(const LoadPoint& p) {
  return number(p.counted.queue_scans) + number(p.counted.log_scans) - number(p.counted.tail_hits);
}

void fit_commits(const Measurements& measured, Fitter& fitter) {
  // The CPU, not the time inside the commit: the committer is woken for each batch, and flushes
  // and compactions are for its rows. per_group has no queues to write.
  const auto commit_cpu_ns = [](const LoadPoint& p) { return p.other_threads_ns; };
  fitter.regress("commit", measured.commits,
                 {operation("commit_batch_ns", &Operations::write_batches),
                  operation("commit_record_ns", &Operations::records),
                  operation("commit_byte_ns", &Operations::log_bytes)},
                 commit_cpu_ns);
  const double record = fitter.cost("commit_record_ns");
  const double byte = fitter.cost("commit_byte_ns");
  const double batch = fitter.cost("commit_batch_ns");
  fitter.regress(
      "fsync", measured.synced, {operation("commit_fsync_ns", &Operations::write_batches)},
      [=](const LoadPoint& p) {
        return number(p.counted.commit_ns) - record * number(p.counted.records) -
               byte * number(p.counted.log_bytes) - batch * number(p.counted.write_batches);
      });
}

/// Logins are short beside a scrape's own CPU, so their time inside turns is looked at instead.
void fit_logins(const Measurements& measured, Fitter& fitter) {
  const auto login_turn_ns = [&fitter](const LoadPoint& p) {
    double rest = number(p.counted.turn_ns) - number(p.counted.scan_ns);
    for (const Term& term : turn_terms()) rest -= fitter.cost(term.coefficient) * term.count(p);
    return rest;
  };
  fitter.regress("login", measured.logins,
                 {operation("login_ns", &Operations::logins),
                  operation("head_comparison_ns", &Operations::head_comparisons)},
                 login_turn_ns);
}

/// By the CPU of the queue writer and of the flushes and compactions that are for its rows.
void fit_queues(const Measurements& measured, Fitter& fitter) {
  const auto writer_cpu_ns = [&fitter](const LoadPoint& p) {
    return p.other_threads_ns - fitter.cost("commit_batch_ns") * number(p.counted.write_batches) -
           fitter.cost("commit_record_ns") * number(p.counted.records) -
           fitter.cost("commit_byte_ns") * number(p.counted.log_bytes);
  };
  const Term batches = operation("queue_batch_ns", &Operations::queue_batches);
  const Term entries = operation("queue_entry_ns", &Operations::queue_entries);
  std::vector<LoadPoint> references = measured.queues;
  references.insert(references.end(), measured.queue_runs.begin(), measured.queue_runs.end());
  if (measured.queue_run_bytes > 0) {
    fitter.set("queue_run_bytes", measured.queue_run_bytes, 0);
    // rows grow where a run begins, only
    const Term runs{"queue_run_ns", [bytes = measured.queue_run_bytes](const LoadPoint& p) {
                      return number(p.counted.queue_bytes) / bytes;
                    }};
    fitter.regress("queue", references, {batches, entries, runs}, writer_cpu_ns);
  }
  fitter.regress("copy", measured.queue_copies,
                 {operation("queue_byte_ns", &Operations::queue_bytes)}, [&](const LoadPoint& p) {
                   return writer_cpu_ns(p) - fitter.cost(batches.coefficient) * batches.count(p) -
                          fitter.cost(entries.coefficient) * entries.count(p);
                 });
}

/// Row sizes are exact: no noise, so they are divided, not fitted.
void set_sizes(const Measurements& measured, Fitter& fitter) {
  double rows = 0;
  double bodies = 0;
  double records = 0;
  for (const LoadPoint& p : measured.commits) {
    rows += number(p.counted.log_bytes);
    records += number(p.counted.records);
    bodies += number(p.body_bytes);
  }
  if (records > 0 && rows > bodies) fitter.set("log_record_bytes", (rows - bodies) / records, 0);
  if (measured.device_queue_factor > 0) {
    fitter.set("device_queue_factor", measured.device_queue_factor, 0);
  }
  if (measured.process_bytes > 0) fitter.set("process_bytes", measured.process_bytes, 0);
  if (measured.session_bytes > 0) fitter.set("session_bytes", measured.session_bytes, 0);
  if (measured.device_log_factor > 0) {
    fitter.set("device_log_factor", measured.device_log_factor, 0);
  }
}

/// Half of what a lone send's round trip takes beyond the server's own work on it: its two turns
/// and the commit between them.
void set_path_delay(const Measurements& measured, Fitter& fitter) {
  const double work = 2 * fitter.cost("wake_ns") + 2 * fitter.cost("turn_ns") +
                      fitter.cost("frame_in_ns") + 2 * fitter.cost("post_ns") +
                      fitter.cost("flush_ns") + fitter.cost("message_ns") +
                      fitter.cost("commit_batch_ns") + fitter.cost("commit_record_ns");
  const double delay = (measured.round_trip_ns - work) / 2;
  if (delay > 0) fitter.set("client_delay_ns", delay, 0);
}

}  // namespace

CalibrationResult fit_calibration(const Measurements& measured, const sim::Calibration& base) {
  Fitter fitter{base};
  fit_commits(measured, fitter);
  const auto turn_cpu_ns = [](const LoadPoint& p) {
    return p.io_thread_ns - number(p.counted.scan_ns);
  };
  std::vector<Term> turn = turn_terms();
  turn.push_back(operation("wake_ns", &Operations::wakes));
  fitter.regress("turn", measured.turns, std::move(turn), turn_cpu_ns);
  fit_logins(measured, fitter);
  fit_queues(measured, fitter);
  fitter.regress("scan", measured.scans,
                 {{"scan_ns", scans},
                  operation("scan_record_ns", &Operations::catch_up_deliveries),
                  operation("log_seek_ns", &Operations::log_seeks)},
                 [](const LoadPoint& p) { return number(p.counted.scan_ns); });
  if (measured.accept_ns > 0) fitter.set("accept_ns", measured.accept_ns, 0);
  set_sizes(measured, fitter);
  set_path_delay(measured, fitter);
  return fitter.finish();
}

std::string fits_text(const std::vector<FitReport>& fits) {
  std::string text;
  for (const FitReport& report : fits) {
    text +=
        fmt::format("#\n# {}: {} points, residual {:.1f} %, condition number {:.0f}\n", report.name,
                    report.points.size(), report.fit.residual * 100, report.fit.condition_number);
    for (std::size_t i = 0; i < report.coefficients.size(); ++i) {
      text += fmt::format("#   {:<20} {:>12.4g}  ± {:.0f} %, at most {:.0f} % of a load\n",
                          report.coefficients[i], report.fit.coefficients[i],
                          report.fit.relative_errors[i] * 100, report.fit.error_shares[i] * 100);
    }
    for (std::size_t i = 0; i < report.points.size(); ++i) {
      const double rounds = std::max(1.0, number(report.points[i].rounds));
      text +=
          fmt::format("#   {:<46} {:>10.1f} us a round, fitted {:>10.1f}\n", report.points[i].load,
                      report.observed[i] / rounds / 1e3, report.fit.predicted[i] / rounds / 1e3);
    }
  }
  return text;
}

}  // namespace clamor::report
