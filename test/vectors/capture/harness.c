/* Runs single instructions on the CPU at hand and records what they did.
 *
 * Reads a list of cases on standard input, writes one outcome per case to standard output; both are the packed little-endian
 * records below, which ../generate/records.ts mirrors. Built 32-bit and static, so that it also runs under qemu-i386.
 *
 * What a case sees (../layout.ts has the same numbers):
 *   code    one page of INT3 with the instruction at its middle, followed by a jump out, or by more INT3 for branches
 *   data    two pages, refilled with a fixed pattern before each case; an unmapped page follows
 *   low     the same two pages again, where 16-bit addresses reach them
 *   constant one read-only page with the same pattern
 *   LDT     a few segments over the data pages
 * An exception arrives as a signal on a stack of its own; vector, error code and CR2 come from the signal context.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { CODE = 0x10000000, ENTRY = CODE + 0x800, DATA = 0x20000000, LOW = 0x4000, CONSTANT = 0x20004000, PAGE = 4096, DATA_SIZE = 2 * PAGE };
enum { FX_STORED = 288 }; /* control words, ST0-7, XMM0-7 */

struct State {
  uint32_t gpr[8];
  uint32_t eflags;
  uint16_t segment[4]; /* es ds fs gs */
  uint32_t pad;
  uint8_t fx[512];
} __attribute__((aligned(16)));

struct CaseHeader {
  uint8_t length, with_fpu, branch, chunks;
  uint8_t bytes[20];
  uint32_t gpr[8];
  uint32_t eflags;
  uint16_t segment[4];
}; /* then FX_STORED bytes if with_fpu, then chunks of { u16 offset, u16 length, bytes } */

struct OutcomeHeader {
  uint8_t trapped, vector;
  uint16_t chunks;
  uint32_t error, cr2, eip;
  uint32_t gpr[8];
  uint32_t eflags;
  uint16_t segment[4];
}; /* then as above */

struct State in, out;
uint32_t host_esp, entry = ENTRY, with_fpu, trapped;
uint16_t host_ds, host_fs, host_gs;
static uint32_t trap_vector, trap_error, trap_cr2, trap_eip;
static uint8_t pattern[DATA_SIZE];
static uint8_t signal_stack[65536] __attribute__((aligned(64)));

void run_case(void);
void fall_through(void);
extern char resume_from_signal[];

static void on_signal(int number, siginfo_t *info, void *context) {
  const greg_t *g;
  const uint8_t *fp;
  __asm__ volatile("mov %0, %%gs" ::"r"(host_gs));
  g = ((ucontext_t *)context)->uc_mcontext.gregs;
  out.gpr[0] = g[REG_EAX]; out.gpr[1] = g[REG_ECX]; out.gpr[2] = g[REG_EDX]; out.gpr[3] = g[REG_EBX];
  out.gpr[4] = g[REG_ESP]; out.gpr[5] = g[REG_EBP]; out.gpr[6] = g[REG_ESI]; out.gpr[7] = g[REG_EDI];
  out.eflags = g[REG_EFL];
  out.segment[0] = g[REG_ES]; out.segment[1] = g[REG_DS]; out.segment[2] = g[REG_FS]; out.segment[3] = g[REG_GS];
  trap_vector = g[REG_TRAPNO];
  /* qemu-user leaves the vector out of the context: take what the signal says, so that comparisons are of use. */
  if (trap_vector > 31) trap_vector = number == SIGTRAP ? 3 : number == SIGILL ? 6 : number == SIGFPE ? (info->si_code == FPE_INTDIV ? 0 : 16) : 14;
  trap_error = g[REG_ERR];
  trap_cr2 = ((ucontext_t *)context)->uc_mcontext.cr2;
  trap_eip = g[REG_EIP];
  /* A 32-bit frame holds FSAVE's 112 bytes, then FXSAVE's image. */
  fp = (const uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs;
  if (with_fpu && fp) memcpy(out.fx, fp + 112, FX_STORED);
  __asm__ volatile("jmp resume_from_signal");
}

static void *map(uint32_t at, uint32_t size, int protection, int fd) {
  void *p = mmap((void *)at, size, protection, (fd < 0 ? MAP_ANONYMOUS | MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, fd, 0);
  if (p != (void *)at) { perror("mmap"); exit(1); }
  return p;
}

/* base, limit and type of LDT entries 0..; selectors 0x07, 0x0f, ... (layout.ts) */
static const struct user_desc ldt[] = {
  {.entry_number = 0, .base_addr = DATA, .limit = DATA_SIZE - 1, .seg_32bit = 1},                                       /* data */
  {.entry_number = 1, .base_addr = DATA, .limit = DATA_SIZE - 1, .seg_32bit = 1, .read_exec_only = 1},                  /* read-only */
  {.entry_number = 2, .base_addr = DATA, .limit = 0xfff, .seg_32bit = 1, .contents = MODIFY_LDT_CONTENTS_STACK},        /* expand-down */
  {.entry_number = 3, .base_addr = DATA, .limit = DATA_SIZE - 1, .seg_32bit = 1, .contents = MODIFY_LDT_CONTENTS_CODE}, /* readable code */
  {.entry_number = 4, .base_addr = DATA, .limit = 0xfff, .seg_32bit = 1, .contents = MODIFY_LDT_CONTENTS_CODE, .read_exec_only = 1},
  {.entry_number = 5, .base_addr = DATA, .limit = 0xfff, .seg_32bit = 1, .seg_not_present = 1},
  {.entry_number = 6, .base_addr = DATA + 0x800, .limit = 1, .seg_32bit = 0, .limit_in_pages = 1},                      /* 16-bit, granular */
};

static void set_up(void) {
  struct sigaction action = {0};
  stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
  static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
  int fd = memfd_create("data", 0);
  if (fd < 0 || ftruncate(fd, DATA_SIZE)) { perror("memfd"); exit(1); }
  for (uint32_t i = 0; i < DATA_SIZE; i++) pattern[i] = (i * 2654435761u) >> 24;
  memset(map(CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1), 0xcc, PAGE);
  map(DATA, DATA_SIZE, PROT_READ | PROT_WRITE, fd);
  map(LOW, DATA_SIZE, PROT_READ | PROT_WRITE, fd);
  memcpy(map(CONSTANT, PAGE, PROT_READ | PROT_WRITE, -1), pattern, PAGE);
  mprotect((void *)CONSTANT, PAGE, PROT_READ);
  (void)*(volatile uint8_t *)CONSTANT;
  for (unsigned i = 0; i < sizeof ldt / sizeof *ldt; i++)
    if (syscall(SYS_modify_ldt, 0x11, &ldt[i], sizeof *ldt)) { perror("modify_ldt"); exit(1); }
  sigaltstack(&stack, 0);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
  __asm__("mov %%ds, %0" : "=r"(host_ds));
  __asm__("mov %%fs, %0" : "=r"(host_fs));
  __asm__("mov %%gs, %0" : "=r"(host_gs));
}

static void read_exactly(void *to, size_t size) {
  if (size && fread(to, size, 1, stdin) != 1) { fprintf(stderr, "harness: input ends inside a case\n"); exit(1); }
}

/* The differences between the data pages and what they held, as runs that join over gaps of up to 3 bytes. */
static unsigned differences(const uint8_t *before, uint8_t *to, size_t *size) {
  const uint8_t *now = (const uint8_t *)DATA;
  unsigned count = 0;
  *size = 0;
  for (uint32_t i = 0; i < DATA_SIZE; i++) {
    if (!(i & 63) && !memcmp(before + i, now + i, 64)) { i += 63; continue; }
    if (before[i] == now[i]) continue;
    uint32_t end = i + 1;
    for (uint32_t j = end; j < DATA_SIZE && j < end + 4; j++) if (before[j] != now[j]) end = j + 1;
    uint16_t head[2] = {i, end - i};
    memcpy(to + *size, head, 4);
    memcpy(to + *size + 4, now + i, end - i);
    *size += 4 + end - i;
    count++;
    i = end - 1;
  }
  return count;
}

int main(void) {
  static uint8_t before[DATA_SIZE], changes[DATA_SIZE * 3];
  static char output_buffer[1 << 20];
  struct CaseHeader c;
  setvbuf(stdout, output_buffer, _IOFBF, sizeof output_buffer);
  set_up();
  while (fread(&c, sizeof c, 1, stdin) == 1) {
    uint8_t *code = (uint8_t *)ENTRY;
    with_fpu = c.with_fpu;
    memcpy(in.gpr, c.gpr, sizeof in.gpr);
    in.eflags = c.eflags | 0x202;
    memcpy(in.segment, c.segment, sizeof in.segment);
    if (with_fpu) {
      memset(in.fx, 0, sizeof in.fx);
      memset(out.fx, 0, sizeof out.fx);
      read_exactly(in.fx, FX_STORED);
    }
    memcpy(before, pattern, DATA_SIZE);
    for (unsigned i = 0; i < c.chunks; i++) {
      uint16_t head[2];
      read_exactly(head, 4);
      if (head[0] + head[1] > DATA_SIZE) { fprintf(stderr, "harness: chunk outside the data pages\n"); exit(1); }
      read_exactly(before + head[0], head[1]);
    }
    memcpy((void *)DATA, before, DATA_SIZE);
    memcpy(code, c.bytes, c.length);
    if (!c.branch) {
      code[c.length] = 0xe9;
      *(uint32_t *)(code + c.length + 1) = (uint32_t)fall_through - (ENTRY + c.length + 5);
    }
    run_case();
    memset(code, 0xcc, 32);
    struct OutcomeHeader o = {.trapped = trapped, .eip = ENTRY + c.length};
    if (trapped) { o.vector = trap_vector; o.error = trap_error; o.cr2 = trap_cr2; o.eip = trap_eip; }
    memcpy(o.gpr, out.gpr, sizeof o.gpr);
    o.eflags = out.eflags;
    memcpy(o.segment, out.segment, sizeof o.segment);
    size_t size;
    o.chunks = differences(before, changes, &size);
    fwrite(&o, sizeof o, 1, stdout);
    if (with_fpu) fwrite(out.fx, FX_STORED, 1, stdout);
    fwrite(changes, size, 1, stdout);
  }
  return fflush(stdout) ? 1 : 0;
}
