#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace clamor {

/// A vector of few elements among very many of its kind: 8 bytes where std::vector takes 24, and it
/// grows by one up to eight elements, then by half. Size and capacity stand before the elements.
/// Element references are valid until the next insertion or removal. Not thread-safe.
template <class T>
class CompactVector {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  CompactVector() = default;
  explicit CompactVector(std::size_t count) { resize(count); }
  CompactVector(CompactVector&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
  CompactVector& operator=(CompactVector&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  CompactVector(const CompactVector& other) { assign(other); }
  CompactVector& operator=(const CompactVector& other) {
    if (this != &other) assign(other);
    return *this;
  }
  CompactVector& operator=(std::span<const T> elements) {
    assign(elements);
    return *this;
  }
  ~CompactVector() { release(); }

  [[nodiscard]] std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const { return block_ == nullptr ? 0 : block_->capacity; }
  [[nodiscard]] T* data() { return elements(); }
  [[nodiscard]] const T* data() const { return elements(); }
  [[nodiscard]] iterator begin() { return elements(); }
  [[nodiscard]] iterator end() { return elements() + size(); }
  [[nodiscard]] const_iterator begin() const { return elements(); }
  [[nodiscard]] const_iterator end() const { return elements() + size(); }
  [[nodiscard]] T& operator[](std::size_t i) { return elements()[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return elements()[i]; }
  [[nodiscard]] T& back() { return elements()[size() - 1]; }
  [[nodiscard]] const T& back() const { return elements()[size() - 1]; }

  void push_back(T element) { insert(end(), std::move(element)); }
  /// Inserts before `place`. O(elements behind it).
  iterator insert(const_iterator place, T element) {
    const auto at = static_cast<std::size_t>(place - begin());
    const std::size_t count = size();
    if (count == capacity()) reallocate(count < 8 ? count + 1 : count + count / 2);
    T* const first = elements();
    if (at == count) {
      new (first + count) T(std::move(element));
    } else {
      new (first + count) T(std::move(first[count - 1]));
      std::move_backward(first + at, first + count - 1, first + count);
      first[at] = std::move(element);
    }
    ++block_->size;
    return first + at;
  }
  iterator erase(const_iterator place) { return erase(place, place + 1); }
  /// Removes [first, last); an empty one holds no memory. O(elements behind `first`).
  iterator erase(const_iterator first, const_iterator last) {
    const auto at = static_cast<std::size_t>(first - begin());
    if (first == last) return begin() + at;
    T* const kept_end = std::move(begin() + (last - begin()), end(), begin() + at);
    std::destroy(kept_end, end());
    block_->size = static_cast<std::uint32_t>(kept_end - begin());
    if (block_->size == 0) release();
    return begin() + at;
  }
  /// Appends value-initialised elements, or removes the last ones.
  void resize(std::size_t count) {
    if (count <= size()) {
      erase(begin() + count, end());
      return;
    }
    if (count > capacity()) reallocate(count);
    std::uninitialized_value_construct(end(), begin() + count);
    block_->size = static_cast<std::uint32_t>(count);
  }
  void pop_back() { erase(end() - 1); }
  void clear() { release(); }

  template <class Gone>
  friend std::size_t erase_if(CompactVector& vector, Gone gone) {
    T* const kept_end = std::remove_if(vector.begin(), vector.end(), gone);
    const auto erased = static_cast<std::size_t>(vector.end() - kept_end);
    vector.erase(kept_end, vector.end());
    return erased;
  }
  friend std::size_t erase(CompactVector& vector, const T& element) {
    return erase_if(vector, [&](const T& other) { return other == element; });
  }
  friend bool operator==(const CompactVector& a, const CompactVector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  struct Block {
    std::uint32_t size = 0;
    std::uint32_t capacity = 0;
  };
  static_assert(alignof(T) <= alignof(std::max_align_t) && alignof(T) <= sizeof(Block));

  [[nodiscard]] T* elements() const {
    return block_ == nullptr ? nullptr : std::launder(reinterpret_cast<T*>(block_ + 1));
  }
  void reallocate(std::size_t capacity) {
    auto* const larger = new (::operator new(sizeof(Block) + capacity * sizeof(T)))
        Block{0, static_cast<std::uint32_t>(capacity)};
    std::uninitialized_move(begin(), end(), reinterpret_cast<T*>(larger + 1));
    larger->size = static_cast<std::uint32_t>(size());
    release();
    block_ = larger;
  }
  void assign(std::span<const T> from) {
    CompactVector copy;
    if (!from.empty()) {
      copy.reallocate(from.size());
      std::uninitialized_copy(from.begin(), from.end(), copy.elements());
      copy.block_->size = static_cast<std::uint32_t>(from.size());
    }
    std::swap(block_, copy.block_);
  }
  void release() {
    if (block_ == nullptr) return;
    std::destroy(begin(), end());
    ::operator delete(std::exchange(block_, nullptr));
  }

  Block* block_ = nullptr;
};

}  // namespace clamor
