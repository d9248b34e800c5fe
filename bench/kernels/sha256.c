// SHA-256 (FIPS 180-4): rotates, adds and boolean functions on more variables than there are registers. The round constants are computed, as the first
// 32 bits of the fractional parts of the cube roots of the first 64 primes, by integer arithmetic.

#include "kernel.h"

#define LENGTH (1u << 20)

static uint32_t round_constants[64];
static uint32_t hash[8];

static inline uint32_t rotate(uint32_t x, int n) {
  return x >> n | x << (32 - n);
}

// floor(root * 2^32) mod 2^32 for the power-th root of a small number, by bisection on 64-bit integers held in 32-bit limbs.
static int power_at_most(uint64_t x, int power, uint32_t n) {
  // Compares x^power with n * 2^(32 * power); x has at most 36 bits.
  uint32_t product[6] = {1, 0, 0, 0, 0, 0};
  uint32_t low = (uint32_t)x, high = (uint32_t)(x >> 32);
  for (int p = 0; p < power; p++) {
    uint32_t next[6] = {0};
    uint64_t carry = 0;
    for (int i = 0; i < 6; i++) {
      uint64_t sum = (uint64_t)product[i] * low + (carry & 0xffffffffu);
      uint64_t above = (carry >> 32) + (sum >> 32);
      uint64_t second = (uint32_t)sum + (i > 0 ? (uint64_t)product[i - 1] * high : 0);
      next[i] = (uint32_t)second;
      carry = above + (second >> 32);
    }
    for (int i = 0; i < 6; i++) product[i] = next[i];
  }
  for (int i = 5; i > power; i--)
    if (product[i]) return 0;
  return product[power] < n;
}

static uint32_t root_fraction(uint32_t n, int power) {
  uint64_t x = 0;
  for (int bit = 36; bit >= 0; bit--)
    if (power_at_most(x | 1ull << bit, power, n)) x |= 1ull << bit;
  return (uint32_t)x;
}

static void prepare(void) {
  uint32_t found = 0;
  for (uint32_t candidate = 2; found < 64; candidate++) {
    int prime = 1;
    for (uint32_t d = 2; d * d <= candidate; d++)
      if (candidate % d == 0) prime = 0;
    if (!prime) continue;
    round_constants[found] = root_fraction(candidate, 3);
    if (found < 8) hash[found] = root_fraction(candidate, 2);
    found++;
  }
}

static void compress(const uint8_t *block) {
  uint32_t w[64];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4], f = hash[5], g = hash[6], h = hash[7];
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e, hash[5] += f, hash[6] += g, hash[7] += h;
}

uint32_t sha256_kernel(void) {
  prepare();
  uint32_t state = 2;
  for (uint32_t i = 0; i < LENGTH; i++) arena[i] = next_random(&state) >> 24;
  for (uint32_t i = 0; i < LENGTH; i += 64) compress(arena + i);
  // The padding block: a one bit and the length in bits.
  uint8_t last[64] = {0x80};
  uint32_t bits = LENGTH * 8;
  for (int i = 0; i < 4; i++) last[60 + i] = bits >> (24 - 8 * i);
  compress(last);
  return hash[0];
}
