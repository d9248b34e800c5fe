// 64-bit arithmetic on a 32-bit machine: carries, MUL and DIV, the compiler's helper routines for division.

#include "kernel.h"

static uint64_t gcd(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t t = a % b;
    a = b;
    b = t;
  }
  return a;
}

static uint64_t multiply_modulo(uint64_t a, uint64_t b, uint32_t modulus) {
  return (a % modulus) * (b % modulus) % modulus;
}

uint32_t div64_kernel(void) {
  uint64_t state = 9;
  uint32_t checksum = 0;
  for (int i = 0; i < 16000; i++) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t a = state ^ state >> 29;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t b = (state ^ state >> 31) >> (i & 31);
    checksum = mix(checksum, (uint32_t)gcd(a, b));
    checksum = mix(checksum, (uint32_t)(a / (b | 1)));
    checksum = mix(checksum, (uint32_t)((int64_t)a / (int64_t)(b >> 7 | 1)));
    checksum = mix(checksum, (uint32_t)multiply_modulo(a, b, 0xfffffffbu));
  }
  return checksum;
}
