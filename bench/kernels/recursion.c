// Calls and returns: Fibonacci and Takeuchi by the book.

#include "kernel.h"

__attribute__((noinline, noclone)) static uint32_t fibonacci(uint32_t n) {
  if (n < 2) return n;
  return fibonacci(n - 1) + fibonacci(n - 2);
}

__attribute__((noinline, noclone)) static int takeuchi(int x, int y, int z) {
  if (y >= x) return z;
  return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

uint32_t recursion_kernel(void) {
  uint32_t checksum = fibonacci(29);
  for (int i = 0; i < 8; i++) checksum = mix(checksum, (uint32_t)takeuchi(18, 12, 6));
  return checksum;
}
