#include <cstdio>

int main() {
  std::puts("clamor 0.1.0");
  return 0;
}
