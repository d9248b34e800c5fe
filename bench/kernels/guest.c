// The bench kernels' surroundings in a guest: a Multiboot 1 kernel with 4 KiB paging on. It runs the kernel its command line names (`kernel=NAME`, or all)
// `passes=N` times and writes markers to the serial port, which the host times as they arrive:
//
//   BEGIN <name> <pass>
//   END <name> <pass> <checksum>
//
// then "ALL DONE", and ends the machine through isa-debug-exit (port 0xf4). The guest itself reads no clock.

#include "kernel.h"

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4
#define MAPPED_BYTES (16u << 20)
#define PAGE 4096u
#define PRESENT_WRITABLE 3u
#define CR0_PG_WP_MP (1u << 31 | 1u << 16 | 1u << 1)
#define CR0_EM_TS (1u << 2 | 1u << 3)
#define CR4_OSFXSR_OSXMMEXCPT (1u << 9 | 1u << 10)

struct multiboot_info {
  uint32_t flags, mem_lower, mem_upper, boot_device;
  const char *cmdline;
};

static uint32_t page_directory[1024] __attribute__((aligned(4096)));
static uint32_t page_tables[MAPPED_BYTES / PAGE] __attribute__((aligned(4096)));
static uint8_t code_page[CODE_BYTES] __attribute__((aligned(4096)));
uint8_t *code_memory = code_page;

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

static void enable_paging(void) {
  for (uint32_t i = 0; i < MAPPED_BYTES / PAGE; i++) page_tables[i] = i * PAGE | PRESENT_WRITABLE;
  for (uint32_t i = 0; i < MAPPED_BYTES / PAGE / 1024; i++) page_directory[i] = (uint32_t)(page_tables + 1024 * i) | PRESENT_WRITABLE;
  uint32_t cr0;
  __asm__ volatile("movl %0, %%cr3" : : "r"(page_directory));
  __asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
  __asm__ volatile("movl %0, %%cr0" : : "r"((cr0 | CR0_PG_WP_MP) & ~CR0_EM_TS) : "memory");
}

static void enable_float(void) {
  uint32_t features, unused_a = 1, unused_b, unused_c, cr4;
  __asm__ volatile("fninit");
  __asm__ volatile("cpuid" : "+a"(unused_a), "=b"(unused_b), "=c"(unused_c), "=d"(features));
  if (!(features >> 24 & 1)) return;  // no FXSAVE, so no SSE either
  __asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
  __asm__ volatile("movl %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR_OSXMMEXCPT));
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

static int names(const char *word, const char *name) {
  while (*name && *word == *name) word++, name++;
  return !*name && (*word == 0 || *word == ' ');
}

static void run(const struct kernel *kernel, uint32_t passes) {
  for (uint32_t pass = 0; pass < passes; pass++) {
    print("BEGIN "), print(kernel->name), print(" "), print_number(pass, 10, 1), print("\n");
    uint32_t checksum = kernel->run();
    print("END "), print(kernel->name), print(" "), print_number(pass, 10, 1), print(" "), print_number(checksum, 16, 8), print("\n");
  }
}

void guest_main(const struct multiboot_info *info) {
  enable_paging();
  enable_float();
  const char *line = info->flags & 4 ? info->cmdline : "";
  const char *wanted = option(line, "kernel=");
  const char *count = option(line, "passes=");
  uint32_t passes = 0;
  for (; count && *count >= '0' && *count <= '9'; count++) passes = passes * 10 + (uint32_t)(*count - '0');
  for (unsigned i = 0; i < kernel_count; i++)
    if (!wanted || names(wanted, kernels[i].name)) run(&kernels[i], passes ? passes : 1);
  print("ALL DONE\n");
  out8(DEBUG_EXIT, 0);
  for (;;) __asm__ volatile("cli; hlt");
}
