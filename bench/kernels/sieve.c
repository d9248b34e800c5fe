// The sieve of Eratosthenes, a byte a number: strided byte stores.

#include "kernel.h"

#define LIMIT 1000000u

static uint32_t count_primes(void) {
  for (uint32_t i = 0; i < LIMIT; i++) arena[i] = 0;
  uint32_t count = 0;
  for (uint32_t i = 2; i < LIMIT; i++) {
    if (arena[i]) continue;
    count++;
    for (uint64_t j = (uint64_t)i * i; j < LIMIT; j += i) arena[j] = 1;
  }
  return count;
}

uint32_t sieve_kernel(void) {
  uint32_t checksum = 0;
  for (int round = 0; round < 3; round++) checksum = mix(checksum, count_primes());
  return checksum;
}
