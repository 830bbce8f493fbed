#include "reports/model/least_squares.hpp"

#include "reports/model/interval.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

namespace clamor::report {
namespace {

using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;  // square, by row

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Inverse of a symmetric positive definite matrix by Gauss and Jordan; nothing where it is
/// singular for double precision.
std::optional<Matrix> inverse(Matrix a) {
  const std::size_t n = a.size();
  Matrix out(n, Vector(n));
  for (std::size_t i = 0; i < n; ++i) out[i][i] = 1;
  for (std::size_t column = 0; column < n; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < n; ++row) {
      if (std::abs(a[row][column]) > std::abs(a[pivot][column])) pivot = row;
    }
    if (std::abs(a[pivot][column]) < 1e-12) return std::nullopt;
    std::swap(a[pivot], a[column]);
    std::swap(out[pivot], out[column]);
    const double scale = 1 / a[column][column];
    for (std::size_t k = 0; k < n; ++k) {
      a[column][k] *= scale;
      out[column][k] *= scale;
    }
    for (std::size_t row = 0; row < n; ++row) {
      const double factor = a[row][column];
      if (row == column || factor == 0) continue;
      for (std::size_t k = 0; k < n; ++k) {
        a[row][k] -= factor * a[column][k];
        out[row][k] -= factor * out[column][k];
      }
    }
  }
  return out;
}

/// Largest eigenvalue of a symmetric positive matrix, by power iteration.
double largest_eigenvalue(const Matrix& a) {
  Vector v(a.size());  // no symmetry that could hide an eigenvector
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = std::cos(static_cast<double>(i * i + 1));
  double value = 0;
  for (int i = 0; i < 500; ++i) {
    Vector next(a.size());
    for (std::size_t r = 0; r < a.size(); ++r) {
      next[r] = std::inner_product(a[r].begin(), a[r].end(), v.begin(), 0.0);
    }
    value = std::sqrt(std::inner_product(next.begin(), next.end(), next.begin(), 0.0));
    if (value == 0) return 0;
    for (double& x : next) x /= value;
    v = std::move(next);
  }
  return value;
}

/// The problem with rows divided by what was observed and columns scaled to length 1. Rows have
/// weights, all 1 at first.
class Problem {
 public:
  explicit Problem(std::span<const Observation> observations) : weights_(observations.size(), 1) {
    columns_ = observations.front().counts.size();
    scale_.assign(columns_, 0);
    for (const Observation& o : observations) {
      CLAMOR_ASSERT(o.counts.size() == columns_ && o.observed > 0);
      Vector row(columns_);
      for (std::size_t i = 0; i < columns_; ++i) {
        row[i] = o.counts[i] / o.observed;
        scale_[i] += row[i] * row[i];
      }
      rows_.push_back(std::move(row));
    }
    for (double& scale : scale_) scale = std::sqrt(scale);
    for (Vector& row : rows_) {
      for (std::size_t i = 0; i < columns_; ++i) row[i] = scale_[i] > 0 ? row[i] / scale_[i] : 0;
    }
  }

  [[nodiscard]] std::size_t columns() const { return columns_; }
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] double unscaled(std::size_t i, double x) const {
    return scale_[i] > 0 ? x / scale_[i] : 0;
  }

  [[nodiscard]] double predict(std::size_t row, const Vector& x) const {
    return std::inner_product(x.begin(), x.end(), rows_[row].begin(), 0.0);
  }

  void set_weight(std::size_t row, double weight) { weights_[row] = weight; }
  [[nodiscard]] double weight(std::size_t row) const { return weights_[row]; }

  /// The largest part of an observation that `x` of the coefficient makes.
  [[nodiscard]] double largest_share(std::size_t i, double x) const {
    double largest = 0;
    for (const Vector& row : rows_) largest = std::max(largest, row[i] * x);
    return largest;
  }

  /// How the error falls as each coefficient grows.
  [[nodiscard]] Vector gradient(const Vector& x) const {
    Vector w(columns_);
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const double error = weights_[r] * (1 - predict(r, x));
      for (std::size_t i = 0; i < columns_; ++i) w[i] += rows_[r][i] * error;
    }
    return w;
  }

  [[nodiscard]] Matrix normal(const std::vector<std::size_t>& active) const {
    Matrix a(active.size(), Vector(active.size()));
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const Vector& row = rows_[r];
      for (std::size_t i = 0; i < active.size(); ++i) {
        for (std::size_t j = 0; j < active.size(); ++j) {
          a[i][j] += weights_[r] * row[active[i]] * row[active[j]];
        }
      }
    }
    return a;
  }

  /// Unconstrained solution over the active columns; nothing where they cannot be told apart.
  [[nodiscard]] std::optional<Vector> solve(const std::vector<std::size_t>& active) const {
    const auto inverted = inverse(normal(active));
    if (!inverted) return std::nullopt;
    Vector right(active.size());
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      for (std::size_t i = 0; i < active.size(); ++i) {
        right[i] += weights_[r] * rows_[r][active[i]];
      }
    }
    Vector x(active.size());
    for (std::size_t i = 0; i < active.size(); ++i) {
      x[i] = std::inner_product(right.begin(), right.end(), (*inverted)[i].begin(), 0.0);
    }
    return x;
  }

 private:
  std::vector<Vector> rows_;
  Vector weights_;
  Vector scale_;
  std::size_t columns_ = 0;
};

/// Moves from x towards the solution over `active` until a coefficient would turn negative; drops
/// those that reach 0. True once the whole way was gone.
bool advance(Vector& x, const Vector& solution, std::vector<std::size_t>& active) {
  double step = 1;
  for (std::size_t i = 0; i < active.size(); ++i) {
    const double from = x[active[i]];
    if (solution[i] <= 0) step = std::min(step, from / (from - solution[i]));
  }
  for (std::size_t i = 0; i < active.size(); ++i) {
    x[active[i]] += step * (solution[i] - x[active[i]]);
  }
  const bool whole = step >= 1;
  std::erase_if(active, [&](std::size_t i) {
    if (x[i] > 1e-14) return false;
    x[i] = 0;
    return true;
  });
  return whole;
}

struct Solution {
  Vector x;
  std::vector<std::size_t> active;  ///< Those not held at 0.
};

Solution solve_non_negative(const Problem& problem) {
  Solution solution{.x = Vector(problem.columns()), .active = {}};
  auto& [x, active] = solution;
  std::vector<bool> refused(problem.columns());  // cannot be told apart from what is active
  for (std::size_t round = 0; round < 10 * problem.columns() + 10; ++round) {
    const Vector w = problem.gradient(x);
    std::size_t best = problem.columns();
    for (std::size_t i = 0; i < problem.columns(); ++i) {
      const bool taken = refused[i] || std::ranges::find(active, i) != active.end();
      if (!taken && w[i] > 1e-10 && (best == problem.columns() || w[i] > w[best])) best = i;
    }
    if (best == problem.columns()) break;
    active.push_back(best);
    for (bool whole = false; !whole && !active.empty();) {
      const auto free = problem.solve(active);
      if (!free) {
        refused[best] = true;
        std::erase(active, best);
        break;
      }
      whole = advance(x, *free, active);
    }
  }
  return solution;
}

/// Gives rows that are far off less weight; their scale is the median of the errors.
void reweight(Problem& problem, const Vector& x) {
  constexpr double tuning = 1.345;  // 95 % as efficient as least squares on normal errors
  constexpr double median_to_sigma = 1.4826;
  Vector errors;
  for (std::size_t r = 0; r < problem.rows(); ++r) {
    errors.push_back(std::abs(problem.predict(r, x) - 1));
  }
  Vector copy = errors;
  const double bound = std::max(tuning * median_to_sigma * median_of(copy), 1e-9);
  for (std::size_t r = 0; r < errors.size(); ++r) {
    problem.set_weight(r, errors[r] <= bound ? 1 : bound / errors[r]);
  }
}

/// Standard error of coefficient i, scaled, for a variance of 1: with those in use beside it.
double unit_error(const Problem& problem, std::vector<std::size_t> active, std::size_t i) {
  if (std::ranges::find(active, i) == active.end()) active.push_back(i);
  const auto inverted = inverse(problem.normal(active));
  if (!inverted) return infinity;
  const auto at = static_cast<std::size_t>(std::ranges::find(active, i) - active.begin());
  return std::sqrt((*inverted)[at][at]);
}

void describe(const Problem& problem, const Solution& solution,
              std::span<const Observation> observations, Fit& fit) {
  const auto& [x, active] = solution;
  double squares = 0;
  double weighted_squares = 0;
  for (std::size_t r = 0; r < problem.rows(); ++r) {
    const double predicted = problem.predict(r, x);
    squares += (predicted - 1) * (predicted - 1);
    weighted_squares += problem.weight(r) * (predicted - 1) * (predicted - 1);
    fit.predicted.push_back(predicted * observations[r].observed);
  }
  fit.residual = std::sqrt(squares / static_cast<double>(problem.rows()));
  const Matrix normal = problem.normal(active);
  const auto inverted = inverse(normal);
  if (!inverted || active.empty()) return;
  fit.condition_number = std::sqrt(largest_eigenvalue(normal) * largest_eigenvalue(*inverted));
  const double freedom =
      std::max(1.0, static_cast<double>(problem.rows()) - static_cast<double>(active.size()));
  for (std::size_t i = 0; i < problem.columns(); ++i) {
    const double error = std::sqrt(weighted_squares / freedom) * unit_error(problem, active, i);
    fit.error_shares[i] = std::isinf(error) ? infinity : problem.largest_share(i, error);
    if (x[i] > 0) fit.relative_errors[i] = error / x[i];
  }
}

}  // namespace

Fit fit_non_negative(std::span<const Observation> observations) {
  CLAMOR_ASSERT(!observations.empty());
  constexpr int reweightings = 20;
  Problem problem{observations};
  Solution solution = solve_non_negative(problem);
  for (int i = 0; i < reweightings; ++i) {
    reweight(problem, solution.x);
    solution = solve_non_negative(problem);
  }
  Fit fit;
  fit.relative_errors.assign(problem.columns(), infinity);
  fit.error_shares.assign(problem.columns(), infinity);
  describe(problem, solution, observations, fit);
  for (std::size_t i = 0; i < problem.columns(); ++i) {
    fit.coefficients.push_back(problem.unscaled(i, solution.x[i]));
  }
  return fit;
}

}  // namespace clamor::report
