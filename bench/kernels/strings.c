// String instructions: REP MOVS, REP STOS and REPNE SCAS over long and short runs, and a byte scan with LODSB, as C libraries of the 32-bit years did it.

#include "kernel.h"

#define LENGTH (1u << 20)

static void copy_dwords(void *to, const void *from, uint32_t count) {
  __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void copy_bytes(void *to, const void *from, uint32_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void fill_bytes(void *to, uint8_t value, uint32_t count) {
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

static uint32_t length_of(const void *text) {
  uint32_t left = ~0u;
  __asm__ volatile("repne scasb" : "+D"(text), "+c"(left) : "a"(0) : "memory", "cc");
  return ~left - 1;
}

static uint32_t add_bytes(const void *from, uint32_t count) {
  uint32_t sum = 0, value = 0;
  __asm__ volatile("1: lodsb\n\taddl %%eax, %1\n\tdecl %2\n\tjnz 1b" : "+S"(from), "+r"(sum), "+r"(count), "+a"(value) : : "memory", "cc");
  return sum;
}

uint32_t strings_kernel(void) {
  uint8_t *from = arena, *to = arena + LENGTH;
  uint32_t state = 7, checksum = 0;
  for (uint32_t i = 0; i < LENGTH; i++) from[i] = (next_random(&state) >> 24) | 1;
  from[LENGTH - 1] = 0;
  for (int round = 0; round < 8; round++) {
    copy_dwords(to, from, LENGTH / 4);
    copy_bytes(to + round + 1, from, LENGTH - 16);  // unaligned
    checksum = mix(checksum, length_of(to));
    fill_bytes(to + round * 1000, (uint8_t)round, 500);
    checksum = mix(checksum, add_bytes(to, LENGTH / 2));
  }
  // Short runs: what most calls of memcpy and strlen look like.
  for (uint32_t i = 0; i < 200000; i++) {
    uint32_t at = next_random(&state) >> 13, count = 1 + (at & 31);
    copy_bytes(to + at, from + (at ^ 0x3fff), count);
    to[at + count] = 0;
    checksum = mix(checksum, length_of(to + at));
  }
  return checksum;
}
