// A bytecode interpreter with computed goto: one indirect jump for every few instructions.

#include "kernel.h"

enum { LOAD, ADD, SUBTRACT, XOR, SHIFT, MULTIPLY, STORE, DECREMENT, LOOP, HALT };

#define VARIABLES 16

static uint32_t interpret(const uint8_t *code, uint32_t *variables) {
  static const void *const handlers[] = {&&load, &&add, &&subtract, &&xor_, &&shift, &&multiply, &&store, &&decrement, &&loop, &&halt};
  const uint8_t *at = code;
  uint32_t accumulator = 0;
#define NEXT goto *handlers[*at++]
  NEXT;
load:
  accumulator = variables[*at++];
  NEXT;
add:
  accumulator += variables[*at++];
  NEXT;
subtract:
  accumulator -= variables[*at++];
  NEXT;
xor_:
  accumulator ^= variables[*at++];
  NEXT;
shift:
  accumulator = accumulator << 3 | accumulator >> 29;
  NEXT;
multiply:
  accumulator *= variables[*at++] | 1;
  NEXT;
store:
  variables[*at++] = accumulator;
  NEXT;
decrement:
  variables[*at++]--;
  NEXT;
loop:
  if (variables[at[0]]) at -= at[1];
  else at += 2;
  NEXT;
halt:
  return accumulator;
}

uint32_t interpreter_kernel(void) {
  // for (v0 = 250000; v0; v0--) { v1 = (v1 + v2) rotated, times v3; v2 = (v2 ^ v1) - v0; v3 = v3 rotated + v2; }
  static const uint8_t program[] = {
      LOAD, 1, ADD, 2, SHIFT, MULTIPLY, 3, STORE, 1,   // 9 bytes
      LOAD, 2, XOR, 1, SUBTRACT, 0, STORE, 2,          // 8
      LOAD, 3, SHIFT, ADD, 2, STORE, 3,                // 7
      DECREMENT, 0, LOOP, 0, 27, LOAD, 1, XOR, 2, HALT,
  };
  uint32_t variables[VARIABLES] = {500000, 12345, 67890, 13579};
  uint32_t checksum = interpret(program, variables);
  return mix(checksum, variables[3]);
}
