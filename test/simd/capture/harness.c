/*
 * Runs single MMX, SSE, AES and SHA instructions on the CPU. Cases come in on standard input and outcomes go out on standard output, as the
 * packed structures below. Build: gcc -m32 -O2 -static -no-pie harness.c
 *
 * The instruction sees EAX from the case, ECX = EDI = address of its memory operand, XMM0, XMM1, MM0 and MM1, an x87 with all registers empty
 * and TOP = 3 (so that a switch to MMX shows), and MXCSR.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct __attribute__((packed)) input {
  uint8_t length, offset, pad[2], code[12];
  uint32_t mxcsr, eax;
  uint8_t xmm0[16], xmm1[16], mm0[8], mm1[8], memory[64];
};
struct __attribute__((packed)) outcome {
  uint32_t trap, mxcsr, eax, eflags;
  uint16_t fsw;
  uint8_t ftw, pad;
  uint8_t xmm0[16], xmm1[16], mm0[10], pad2[2], memory[64];
};

static uint8_t before[512] __attribute__((aligned(16)));
static uint8_t after[512] __attribute__((aligned(16)));
static uint8_t memory[64] __attribute__((aligned(64)));
uint32_t g_eax, g_address, g_flags, g_default_mxcsr = 0x1f80, g_trap;
void *g_code;
void run(void);
void landing(void);

asm(".globl run\n run:\n"
    " pushal\n"
    " fxrstor before\n"
    " pushl $0x202\n popfl\n"
    " movl g_address, %ecx\n movl %ecx, %edi\n"
    " movl g_eax, %eax\n"
    " jmp *g_code\n"
    ".globl landing\n landing:\n"
    " movl %eax, g_eax\n"
    " pushfl\n popl g_flags\n"
    " fxsave after\n"
    " fninit\n ldmxcsr g_default_mxcsr\n"
    " popal\n ret\n");

static void on_signal(int number, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  (void)info;
  g_trap = number;
  u->uc_mcontext.gregs[REG_EIP] = (greg_t)landing;
}

/* Place of MMX register i in the image: registers lie there in stack order. */
static uint8_t *mmx(uint8_t *image, int i, int top) { return image + 32 + 16 * ((i - top) & 7); }

int main(void) {
  uint8_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGSEGV, &action, 0);
  sigaction(SIGILL, &action, 0);
  sigaction(SIGBUS, &action, 0);
  g_code = code;
  static char outBuffer[1 << 20], inBuffer[1 << 20];
  setvbuf(stdout, outBuffer, _IOFBF, sizeof outBuffer);
  setvbuf(stdin, inBuffer, _IOFBF, sizeof inBuffer);
  struct input in;
  struct outcome out;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    memset(before, 0, sizeof before);
    *(uint16_t *)before = 0x37f;
    *(uint16_t *)(before + 2) = 3 << 11;
    *(uint32_t *)(before + 24) = in.mxcsr;
    memcpy(mmx(before, 0, 3), in.mm0, 8);
    memcpy(mmx(before, 1, 3), in.mm1, 8);
    memcpy(before + 160, in.xmm0, 16);
    memcpy(before + 176, in.xmm1, 16);
    memcpy(memory, in.memory, 64);
    g_eax = in.eax;
    g_address = (uint32_t)memory + in.offset;
    g_trap = 0;
    memcpy(code, in.code, in.length);
    code[in.length] = 0xe9;
    int32_t distance = (uint8_t *)landing - (code + in.length + 5);
    memcpy(code + in.length + 1, &distance, 4);
    run();
    memset(&out, 0, sizeof out);
    out.trap = g_trap;
    out.mxcsr = *(uint32_t *)(after + 24);
    out.eax = g_eax;
    out.eflags = g_flags & 0x8d5;
    out.fsw = *(uint16_t *)(after + 2);
    out.ftw = after[4];
    memcpy(out.mm0, mmx(after, 0, (out.fsw >> 11) & 7), 10);
    memcpy(out.xmm0, after + 160, 16);
    memcpy(out.xmm1, after + 176, 16);
    memcpy(out.memory, memory, 64);
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
