#include "reports/model/least_squares.hpp"

#include "server/base/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace clamor::report {
namespace {

double uniform(std::uint64_t i, std::uint32_t ordinal) {
  return unit_from_bits(draw_bits(7, DrawPurpose::test, i, ordinal));
}

/// Observations of known costs, each off by up to `noise` of itself.
std::vector<Observation> observe(const std::vector<double>& truth, std::size_t rows, double noise) {
  std::vector<Observation> out;
  for (std::size_t r = 0; r < rows; ++r) {
    Observation o;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      o.counts.push_back(std::floor(std::pow(10, 4 * uniform(r, static_cast<std::uint32_t>(i)))));
      o.observed += truth[i] * o.counts.back();
    }
    o.observed *= 1 + noise * (2 * uniform(r, 99) - 1);
    out.push_back(std::move(o));
  }
  return out;
}

TEST(LeastSquares, FindsKnownCostsOfAnySize) {
  const std::vector<double> truth{2500, 6300, 12, 0.5};
  const auto observations = observe(truth, 20, 0);
  const Fit fit = fit_non_negative(observations);
  for (std::size_t i = 0; i < truth.size(); ++i) {
    EXPECT_NEAR(fit.coefficients[i] / truth[i], 1, 1e-6) << i;
    EXPECT_LT(fit.relative_errors[i], 1e-3);
  }
  EXPECT_LT(fit.residual, 1e-9);
  EXPECT_NEAR(fit.predicted[3], observations[3].observed, 1e-3);
}

TEST(LeastSquares, ToleratesNoiseAndSaysHowMuch) {
  const std::vector<double> truth{2500, 6300, 120};
  const Fit fit = fit_non_negative(observe(truth, 60, 0.1));
  for (std::size_t i = 0; i < truth.size(); ++i) {
    EXPECT_NEAR(fit.coefficients[i] / truth[i], 1, 0.15) << i;
    EXPECT_LT(std::abs(fit.coefficients[i] / truth[i] - 1), 4 * fit.relative_errors[i]) << i;
  }
  EXPECT_GT(fit.residual, 0.02);
  EXPECT_LT(fit.residual, 0.1);
}

TEST(LeastSquares, NeverGivesANegativeCost) {
  // The second count would get a negative coefficient: what it counts comes with less time.
  std::vector<Observation> observations;
  for (double n = 1; n <= 8; ++n) {
    observations.push_back({.counts = {10, n}, .observed = 1000 - 20 * n});
  }
  const Fit fit = fit_non_negative(observations);
  EXPECT_GT(fit.coefficients[0], 0);
  EXPECT_EQ(fit.coefficients[1], 0);
  EXPECT_TRUE(std::isinf(fit.relative_errors[1])) << "not identified";
}

TEST(LeastSquares, DoesNotTellApartWhatAlwaysComesTogether) {
  std::vector<Observation> observations;
  for (double n = 1; n <= 8; ++n) {
    observations.push_back({.counts = {n, 2 * n, 0}, .observed = 30 * n});
  }
  const Fit fit = fit_non_negative(observations);
  EXPECT_NEAR(fit.coefficients[0] + 2 * fit.coefficients[1], 30, 1e-6);
  EXPECT_TRUE(std::isinf(fit.relative_errors[0]) || std::isinf(fit.relative_errors[1]));
  EXPECT_EQ(fit.coefficients[2], 0) << "never seen";
}

TEST(LeastSquares, ConditionNumberGrowsAsLoadsResembleEachOther) {
  std::vector<Observation> apart;
  std::vector<Observation> alike;
  for (double n = 1; n <= 8; ++n) {
    apart.push_back({.counts = {n, 9 - n}, .observed = 9});
    const double almost = n + (n > 4 ? 0.02 : 0);
    alike.push_back({.counts = {n, almost}, .observed = n + almost});
  }
  EXPECT_LT(fit_non_negative(apart).condition_number, 10);
  EXPECT_GT(fit_non_negative(alike).condition_number, 100);
}

}  // namespace
}  // namespace clamor::report
