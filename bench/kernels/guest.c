// The bench kernels' surroundings in a guest: a Multiboot 1 kernel with 4 KiB paging on. It runs the kernel its command line names (`kernel=NAME`, or all)
// `passes=N` times and writes markers to the serial port, which the host times as they arrive:
//
//   BEGIN <name> <pass>
//   END <name> <pass> <checksum>
//
// then "ALL DONE", and ends the machine through isa-debug-exit (port 0xf4). The guest itself reads no clock.

#include "console.h"
#include "kernel.h"

#define MAPPED_BYTES (16u << 20)
#define PAGE 4096u
#define PRESENT_WRITABLE 3u
#define CR0_PG_WP_MP (1u << 31 | 1u << 16 | 1u << 1)
#define CR0_EM_TS (1u << 2 | 1u << 3)
#define CR4_OSFXSR_OSXMMEXCPT (1u << 9 | 1u << 10)

static uint32_t page_directory[1024] __attribute__((aligned(4096)));
static uint32_t page_tables[MAPPED_BYTES / PAGE] __attribute__((aligned(4096)));
static uint8_t code_page[CODE_BYTES] __attribute__((aligned(4096)));
uint8_t *code_memory = code_page;

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
  uint32_t passes = number_option(line, "passes=", 1);
  for (unsigned i = 0; i < kernel_count; i++)
    if (!wanted || names(wanted, kernels[i].name)) run(&kernels[i], passes);
  end();
}
