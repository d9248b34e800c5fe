// Code that is written while the program runs: a small code generator's work. Functions are made anew often and run briefly; one loop is patched seldom
// and runs long.

#include "kernel.h"

typedef uint32_t (*generated)(uint32_t);

static uint8_t *emit32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) *at++ = value >> (8 * i);
  return at;
}

// uint32_t f(uint32_t x): x = (x + a) ^ b, `count` times, by straight code.
static void generate_straight(uint8_t *at, uint32_t a, uint32_t b, int count) {
  *at++ = 0x8b, *at++ = 0x44, *at++ = 0x24, *at++ = 0x04;  // mov eax, [esp + 4]
  for (int i = 0; i < count; i++) {
    *at++ = 0x05, at = emit32(at, a + i);  // add eax, imm32
    *at++ = 0x35, at = emit32(at, b ^ i);  // xor eax, imm32
  }
  *at = 0xc3;  // ret
}

// uint32_t f(uint32_t x): `count` rounds of x = x * 5 + a in a loop; returns where `a` is, for patching.
static uint8_t *generate_loop(uint8_t *at, uint32_t a, uint32_t count) {
  *at++ = 0x8b, *at++ = 0x44, *at++ = 0x24, *at++ = 0x04;  // mov eax, [esp + 4]
  *at++ = 0xb9, at = emit32(at, count);                    // mov ecx, imm32
  *at++ = 0x8d, *at++ = 0x04, *at++ = 0x80;                // lea eax, [eax + eax * 4]
  *at++ = 0x05;                                            // add eax, imm32
  uint8_t *operand = at;
  at = emit32(at, a);
  *at++ = 0x49;                     // dec ecx
  *at++ = 0x75, *at++ = (uint8_t)-11;  // jnz to the lea
  *at = 0xc3;
  return operand;
}

uint32_t self_modifying_kernel(void) {
  generated straight = (generated)code_memory;
  generated looping = (generated)(code_memory + 2048);
  uint32_t state = 8, checksum = 0;
  for (int i = 0; i < 4000; i++) {
    generate_straight(code_memory, next_random(&state), next_random(&state), 8 + (i & 15));
    for (int call = 0; call < 4; call++) checksum = mix(checksum, straight(checksum));
  }
  uint8_t *operand = generate_loop(code_memory + 2048, 1, 20000);
  for (int i = 0; i < 300; i++) {
    emit32(operand, next_random(&state));
    checksum = mix(checksum, looping(checksum));
  }
  return checksum;
}
