// Runs the 16-bit kernels of kernels.s: a Multiboot 1 kernel whose command line names one ("kernel=real/sieve", or all) and `passes=N`, with the same markers on the
// serial port as the kernels in 32-bit code (bench/kernels/guest.c).

#include "console.h"

extern const uint8_t image16[], image16_end[];
extern void run16(void), back_from_16(void);

// The head of the image, as kernels.s has it.
struct head {
  uint32_t entry;
  uint16_t target, result, is_real, padding;
  uint32_t back;
  uint16_t back_selector, padding_too;
  uint16_t kernels[];
};
#define HEAD ((volatile struct head *)0x10000)

static const char *const kernel_names[] = {"sieve", "copy", "scan", "calls", "far_calls", "interpreter", "crc16", "walk", "interrupts"};
#define KERNELS (sizeof kernel_names / sizeof *kernel_names)
#define NEEDS_REAL_MODE 7

static void copy_image(void) {
  volatile uint8_t *to = (volatile uint8_t *)0x10000;
  for (const uint8_t *from = image16; from < image16_end; from++) *to++ = *from;
  HEAD->back = (uint32_t)back_from_16;
  HEAD->back_selector = 8;
}

static void print_name(int is_real, unsigned k) {
  print(is_real ? "real/" : "protected16/"), print(kernel_names[k]);
}

static void run(int is_real, unsigned k, uint32_t passes) {
  for (uint32_t pass = 0; pass < passes; pass++) {
    HEAD->target = HEAD->kernels[k];
    HEAD->is_real = (uint16_t)is_real;
    print("BEGIN "), print_name(is_real, k), print(" "), print_number(pass, 10, 1), print("\n");
    // One pass is short.
    uint32_t sum = 0;
    for (int n = 0; n < 32; n++) {
      run16();
      sum = sum * 31 + HEAD->result;
    }
    print("END "), print_name(is_real, k), print(" "), print_number(pass, 10, 1), print(" "), print_number(sum, 16, 8), print("\n");
  }
}

// Whether `wanted` is "real/NAME" or "protected16/NAME".
static int is_wanted(const char *wanted, int is_real, unsigned k) {
  const char *prefix = is_real ? "real/" : "protected16/";
  for (; *prefix; prefix++, wanted++)
    if (*wanted != *prefix) return 0;
  return names(wanted, kernel_names[k]);
}

void guest_main(const struct multiboot_info *info) {
  const char *line = info->flags & 4 ? info->cmdline : "";
  const char *wanted = option(line, "kernel=");
  copy_image();
  uint32_t passes = number_option(line, "passes=", 1);
  for (int is_real = 1; is_real >= 0; is_real--)
    for (unsigned k = 0; k < (is_real ? KERNELS : NEEDS_REAL_MODE); k++)
      if (!wanted || is_wanted(wanted, is_real, k)) run(is_real, k, passes);
  end();
}
