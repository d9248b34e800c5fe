// What every Multiboot guest of the bench needs: ports, text on the first serial line, the command line, and how to end.

#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4

struct multiboot_info {
  uint32_t flags, mem_lower, mem_upper, boot_device;
  const char *cmdline;
};

static inline void out8(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static void print(const char *text) {
  for (; *text; text++) {
    while (!(in8(COM1 + 5) & 0x20)) {
    }
    out8(COM1, (uint8_t)*text);
  }
}

static void print_number(uint32_t value, uint32_t base, int digits) {
  char text[12];
  int at = 11;
  text[at] = 0;
  do {
    text[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value || 11 - at < digits);
  print(text + at);
}

// The text after `key` on the command line, or null.
static const char *option(const char *line, const char *key) {
  for (; *line; line++) {
    const char *a = line, *b = key;
    while (*b && *a == *b) a++, b++;
    if (!*b) return a;
  }
  return 0;
}

// The number after `key` on the command line.
__attribute__((unused)) static uint32_t number_option(const char *line, const char *key, uint32_t otherwise) {
  const char *at = option(line, key);
  if (!at || *at < '0' || *at > '9') return otherwise;
  uint32_t value = 0;
  for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (uint32_t)(*at - '0');
  return value;
}

static int names(const char *word, const char *name) {
  while (*name && *word == *name) word++, name++;
  return !*name && (*word == 0 || *word == ' ');
}

__attribute__((noreturn)) static void end(void) {
  print("ALL DONE\n");
  out8(DEBUG_EXIT, 0);
  for (;;) __asm__ volatile("cli; hlt");
}

#endif
