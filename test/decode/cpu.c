/*
 * Asks this CPU where instructions end and which it knows. Each encoding is put against the end of a page whose successor may not be
 * executed, first one byte of it, then two, and so on: the CPU faults on the fetch until it has the whole instruction, and then either
 * runs it (single-step trap, or whatever fault its operands give: all registers are 0) or raises #UD. Written for 32-bit user mode.
 *
 * Input, on stdin: slots of 16 bytes, the encoding padded with zeros. Output: per slot a signal number and the count of bytes fetched.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { slotLength = 16, longest = 15, page = 4096 };

static unsigned char handlerStack[65536];
static unsigned char *edge, *start, *slots, *answers;
static int given, running, slot, count, savedGs;

static void onSignal(int signal, siginfo_t *info, void *context) {
  /* The instruction may have loaded GS, which the C library needs and the kernel leaves as it is. */
  __asm__ volatile("movl %0, %%gs" : : "r"(savedGs));
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (running && signal == SIGSEGV && regs[REG_EIP] == (greg_t)start && info->si_addr == edge && given < longest) {
    given++;
  } else {
    if (running) {
      answers[slot * 2] = signal;
      answers[slot * 2 + 1] = given;
      slot++;
    }
    running = given = 1;
    if (slot == count) _exit(fwrite(answers, 2, count, stdout) == (size_t)count && fflush(stdout) == 0 ? 0 : 1);
  }
  start = edge - given;
  memcpy(start, slots + slot * slotLength, given);
  regs[REG_EIP] = (greg_t)start;
  regs[REG_EAX] = regs[REG_EBX] = regs[REG_ECX] = regs[REG_EDX] = regs[REG_ESI] = regs[REG_EDI] = regs[REG_EBP] = regs[REG_ESP] = 0;
  regs[REG_EFL] = 0x302; /* TF, IF */
  regs[REG_DS] = regs[REG_ES] = regs[REG_SS];
  regs[REG_FS] = 0;
  regs[REG_GS] = savedGs;
}

int main(void) {
  enum { most = 1 << 20 };
  slots = malloc(most * slotLength);
  answers = malloc(most * 2);
  if (!slots || !answers) return 1;
  count = fread(slots, slotLength, most, stdin);
  unsigned char *pages = mmap(0, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return 1;
  edge = pages + page;
  if (mprotect(edge, page, PROT_NONE)) return 1;
  __asm__("movl %%gs, %0" : "=r"(savedGs));
  stack_t stack = {.ss_sp = handlerStack, .ss_size = sizeof handlerStack};
  sigaltstack(&stack, 0);
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  action.sa_sigaction = onSignal;
  const int signals[] = {SIGSEGV, SIGILL, SIGTRAP, SIGFPE, SIGBUS};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
  raise(SIGTRAP);
  return 1;
}
