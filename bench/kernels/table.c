// The list of the bench kernels.

#include "kernel.h"

uint8_t arena[ARENA_BYTES] __attribute__((aligned(4096)));

#define EACH_KERNEL(row) \
  row(sieve) row(crc32) row(sha256) row(quicksort) row(recursion) row(tree) row(x87_matrix) row(x87_mandelbrot) row(sse2) row(strings) row(interpreter) \
  row(self_modifying) row(div64)

#define DECLARE(name) uint32_t name##_kernel(void);
EACH_KERNEL(DECLARE)

#define ROW(name) {#name, name##_kernel},
const struct kernel kernels[] = {EACH_KERNEL(ROW)};
const unsigned kernel_count = sizeof kernels / sizeof kernels[0];
