/*
 * Runs single x87 instructions on this CPU. Standard input: records of a fixed size, each a whole x87 state (FSAVE image, 32-bit protected
 * format), 16 bytes of memory, EFLAGS and an instruction of two bytes, whose memory operand (if any) is [rdi] = those 16 bytes.
 * Standard output: the state, memory, AX, EFLAGS after it, and whether it raised #MF. x87 behaves alike in 64-bit mode, so plain gcc does.
 *
 * With the argument "images" the records are a state, 512 bytes of memory at [rdi] and an instruction of up to eight bytes; the output is the state and
 * the memory after it. With "sequences" they are a state, EAX, EFLAGS, code that ends in RET, 256 bytes of memory at [rdi - 128]. "images" is for FNSTENV, FNSAVE, FXSAVE and what loads their images.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct input {
  uint8_t state[108];
  uint8_t memory[16];
  uint32_t flags;
  uint8_t code[4];
};
struct output {
  uint8_t state[108];
  uint8_t memory[16];
  uint32_t eax;
  uint32_t flags;
  uint32_t trapped;
};

static sigjmp_buf escape;
static void on_fpe(int signal) {
  (void)signal;
  siglongjmp(escape, 1);
}

static uint8_t *stubs;
static uint8_t made[8 * 256];

static void run(const struct input *in, struct output *out) {
  unsigned index = (in->code[0] & 7) * 256 + in->code[1];
  uint8_t *stub = stubs + index * 4;
  if (!made[index]) {
    stub[0] = in->code[0];
    stub[1] = in->code[1];
    stub[2] = 0xc3;
    made[index] = 1;
  }
  memset(out, 0, sizeof *out);
  memcpy(out->memory, in->memory, 16);
  if (sigsetjmp(escape, 1)) {
    __asm__ volatile("fninit");
    out->trapped = 1;
    return;
  }
  uint64_t flags = in->flags, rax = 0;
  __asm__ volatile(
      "frstor %[state]\n\t"
      "pushq %[flags]\n\t"
      "popfq\n\t"
      "call *%[stub]\n\t"
      "pushfq\n\t"
      "popq %[flags]\n\t"
      "fnsave %[after]\n\t"
      : [flags] "+r"(flags), "+a"(rax), [after] "=m"(*(uint8_t(*)[108])out->state)
      : [state] "m"(*(const uint8_t(*)[108])in->state), [stub] "r"(stub), "D"(out->memory)
      : "memory", "cc");
  out->eax = (uint32_t)rax;
  out->flags = (uint32_t)flags;
}

struct image {
  uint8_t state[112];
  uint8_t code[8];
  uint8_t reserved[8];
  uint8_t memory[512];
};

static int run_images(void) {
  static struct image record;
  static uint8_t memory[512] __attribute__((aligned(64)));
  while (fread(&record, sizeof record, 1, stdin) == 1) {
    memcpy(memory, record.memory, 512);
    memcpy(stubs, record.code, 8);
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile(
        "frstor %[state]\n\t"
        "call *%[stub]\n\t"
        "fnsave %[after]\n\t"
        "ldmxcsr %[mxcsr]\n\t"
        : [after] "=m"(record.state)
        : [state] "m"(record.state), [stub] "r"(stubs), "D"(memory), [mxcsr] "m"(mxcsr)
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
          "xmm15");
    memcpy(record.memory, memory, 512);
    if (fwrite(&record, sizeof record, 1, stdout) != 1) return 1;
  }
  return 0;
}

struct sequence {
  uint8_t state[112];
  uint32_t eax;
  uint32_t flags;
  uint8_t code[264];
  uint8_t memory[256];
};

static int run_sequences(void) {
  static struct sequence record;
  static uint8_t memory[256] __attribute__((aligned(64)));
  while (fread(&record, sizeof record, 1, stdin) == 1) {
    memcpy(memory, record.memory, 256);
    memcpy(stubs, record.code, sizeof record.code);
    uint64_t flags = record.flags, rax = record.eax;
    __asm__ volatile(
        "frstor %[state]\n\t"
        "pushq %[flags]\n\t"
        "popfq\n\t"
        "call *%[stub]\n\t"
        "pushfq\n\t"
        "popq %[flags]\n\t"
        "fnsave %[after]\n\t"
        : [flags] "+r"(flags), "+a"(rax), [after] "=m"(record.state)
        : [state] "m"(record.state), [stub] "r"(stubs), "D"(memory + 128)
        : "memory", "cc", "rcx", "rdx");
    record.eax = (uint32_t)rax;
    record.flags = (uint32_t)flags;
    memcpy(record.memory, memory, 256);
    if (fwrite(&record, sizeof record, 1, stdout) != 1) return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  stubs = mmap(0, 8 * 256 * 4, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stubs == MAP_FAILED) return 1;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_fpe;
  sigaction(SIGFPE, &action, 0);
  if (argc > 1 && strcmp(argv[1], "images") == 0) return run_images();
  if (argc > 1 && strcmp(argv[1], "sequences") == 0) return run_sequences();
  static struct input in[256];
  static struct output out[256];
  size_t n;
  while ((n = fread(in, sizeof in[0], 256, stdin)) > 0) {
    for (size_t i = 0; i < n; i++) run(&in[i], &out[i]);
    if (fwrite(out, sizeof out[0], n, stdout) != n) return 1;
  }
  return 0;
}
