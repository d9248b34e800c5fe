// Matrix product in double precision by the x87: loads, multiplies and adds on the register stack, memory operands.

#include "kernel.h"

#define SIZE 96
#define ROUNDS 7

uint32_t x87_matrix_kernel(void) {
  double(*a)[SIZE] = (double(*)[SIZE])arena;
  double(*b)[SIZE] = a + SIZE;
  double(*c)[SIZE] = b + SIZE;
  uint32_t state = 5;
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) {
      a[i][j] = (int32_t)(next_random(&state) >> 8) / 16777216.0;
      b[i][j] = (int32_t)(next_random(&state) >> 8) / 16777216.0;
    }
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < SIZE; i++)
      for (int j = 0; j < SIZE; j++) {
        double sum = 0;
        for (int k = 0; k < SIZE; k++) sum += a[i][k] * b[k][j];
        c[i][j] = sum / SIZE;
      }
    for (int i = 0; i < SIZE; i++)
      for (int j = 0; j < SIZE; j++) a[i][j] = c[i][j];
  }
  // The bit patterns: any difference in rounding shows.
  const uint32_t *words = (const uint32_t *)c;
  uint32_t checksum = 0;
  for (int i = 0; i < SIZE * SIZE * 2; i++) checksum = mix(checksum, words[i]);
  return checksum;
}
