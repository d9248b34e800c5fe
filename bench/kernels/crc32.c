// CRC-32 (IEEE 802.3) by table: byte loads, shifts and a dependent table look-up.

#include "kernel.h"

#define LENGTH (1u << 20)

static uint32_t table[256];

uint32_t crc32_kernel(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    table[i] = c;
  }
  uint32_t state = 1;
  for (uint32_t i = 0; i < LENGTH; i++) arena[i] = next_random(&state) >> 24;
  uint32_t crc = ~0u;
  for (int round = 0; round < 5; round++)
    for (uint32_t i = 0; i < LENGTH; i++) crc = table[(crc ^ arena[i]) & 255] ^ crc >> 8;
  return ~crc;
}
