#include "server/base/compact_vector.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <rapidcheck.h>
#include <vector>

namespace clamor {
namespace {

TEST(CompactVector, TakesAPointerAndNoMemoryWhileItIsEmpty) {
  CompactVector<int> vector;
  EXPECT_EQ(sizeof(vector), sizeof(void*));
  EXPECT_EQ(vector.capacity(), 0U);
  vector.push_back(1);
  vector.pop_back();
  EXPECT_EQ(vector.capacity(), 0U);
  EXPECT_EQ(vector.begin(), vector.end());
}

TEST(CompactVector, FewElementsTakeExactlyTheirRoom) {
  CompactVector<int> vector;
  for (std::size_t i = 1; i <= 8; ++i) {
    vector.push_back(0);
    EXPECT_EQ(vector.capacity(), i);
  }
}

// Method: random changes, made to a std::vector as well. Elements own memory, so that the
// sanitizers see one that is lost or freed twice.
TEST(CompactVector, BehavesAsAVectorUnderAnyMixOfChanges) {
  using Element = std::shared_ptr<int>;
  EXPECT_TRUE(rc::check("mix", [] {
    CompactVector<Element> vector;
    std::vector<Element> model;
    const int steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
      const auto at = *rc::gen::inRange<std::size_t>(0, model.size() + 1);
      const auto to = *rc::gen::inRange<std::size_t>(at, model.size() + 1);
      const auto model_at = model.begin() + static_cast<std::ptrdiff_t>(at);
      switch (*rc::gen::weightedElement<int>({{8, 0}, {2, 1}, {2, 2}, {2, 3}, {1, 4}, {1, 5}})) {
        case 0: {
          const auto element = std::make_shared<int>(step);
          vector.insert(vector.begin() + at, element);
          model.insert(model_at, element);
          break;
        }
        case 1:
          vector.erase(vector.begin() + at, vector.begin() + to);
          model.erase(model_at, model.begin() + static_cast<std::ptrdiff_t>(to));
          break;
        case 2: {
          const auto odd = [](const Element& element) { return element && *element % 2 != 0; };
          RC_ASSERT(erase_if(vector, odd) == std::erase_if(model, odd));
          break;
        }
        case 3:
          vector.resize(to);
          model.resize(to);
          break;
        case 4:
          vector = CompactVector<Element>{vector};
          break;
        default:
          vector = std::span<const Element>{model};
      }
      RC_ASSERT(std::equal(vector.begin(), vector.end(), model.begin(), model.end()));
      RC_ASSERT(vector.size() == model.size() && vector.capacity() >= vector.size());
    }
  }));
}

}  // namespace
}  // namespace clamor
