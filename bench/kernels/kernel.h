// What every bench kernel shares. A kernel is one function: it does a fixed amount of work (about 40 million instructions) on fixed data and returns a
// checksum of its results. The same C file runs in two surroundings: freestanding in a guest (guest.c) and as a Linux program (native.c).

#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>

typedef uint32_t (*kernel_function)(void);

struct kernel {
  const char *name;
  kernel_function run;
};

extern const struct kernel kernels[];
extern const unsigned kernel_count;

// Scratch memory, one for all kernels: only one runs at a time.
#define ARENA_BYTES (4u << 20)
extern uint8_t arena[ARENA_BYTES] __attribute__((aligned(4096)));

// Memory that may be written and executed, given by the surroundings.
#define CODE_BYTES 4096u
extern uint8_t *code_memory;

// Numerical Recipes' linear congruential generator: the same data everywhere.
static inline uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state;
}

static inline uint32_t mix(uint32_t checksum, uint32_t value) {
  return (checksum << 5 | checksum >> 27) ^ value;
}

#endif
