/*
 * The frame of the tests: tables, entering a context, writing down what came of it. The report is text in memory: its length at REPORT, then the
 * bytes. Started by a Multiboot loader the kernel leaves it there and exits through port F4h; started otherwise it sends it over COM1.
 */
#include "kernel.h"

static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }

void *memset(void *to, int value, unsigned count) {
  void *at = to;
  __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
  return to;
}
void *memcpy(void *to, const void *from, unsigned count) { u8 *p = to; const u8 *q = from; while (count--) *p++ = *q++; return to; }

u32 gdt[GDT_END / 4] __attribute__((aligned(16)));
u32 idt[256 * 2] __attribute__((aligned(16)));
u32 ldt[16] __attribute__((aligned(16)));
u32 tss[64] __attribute__((aligned(256)));
u32 tss2[64] __attribute__((aligned(256)));
u32 dftss[64] __attribute__((aligned(256)));
u8 code[4096] __attribute__((aligned(4096)));
static u8 stacks[4][4096] __attribute__((aligned(4096)));
static u8 df_stack[1024] __attribute__((aligned(16)));
u32 ring_stack[4];
struct context c;
u32 tss_limit = 0xff;
extern u32 stub_table[], boot_magic;

#define REPORT 0x1000000
#define length_ (*(volatile u32 *)REPORT)
static void character(char ch) { *(volatile char *)(REPORT + 4 + length_) = ch, length_ = length_ + 1; }
static void serial(char ch) {
  while (!(inb(0x3fd) & 0x20)) {}
  outb(0x3f8, (u8)ch);
}
void put(const char *s) { while (*s) character(*s++); }
void hex(u32 v, int digits) { while (digits--) character("0123456789abcdef"[(v >> (4 * digits)) & 15]); }
void number(u32 v) { hex(v, v > 0xffff ? 8 : v > 0xff ? 4 : 2); }
void newline(void) { character('\n'); }

static void set_at(u32 *d, u32 base, u32 limit, u32 access, u32 flags) {
  d[0] = (limit & 0xffff) | (base << 16);
  d[1] = ((base >> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000);
}
void set(u32 selector, u32 base, u32 limit, u32 access, u32 flags) { set_at(&gdt[selector / 4 & ~1u], base, limit, access, flags); }
void set_ldt(u32 index, u32 base, u32 limit, u32 access, u32 flags) { set_at(&ldt[2 * index], base, limit, access, flags); }
void gate(u32 *at, u32 selector, u32 offset, u32 type, u32 parameters) {
  at[0] = (offset & 0xffff) | (selector << 16);
  at[1] = (offset & 0xffff0000) | (type << 8) | parameters;
}
u32 access_of(u32 selector) { return (gdt[(selector / 4 & ~1u) + 1] >> 8) & 0xff; }

void reset_tables(void) {
  static const u8 vectors[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 32, 33};
  memset(gdt, 0, sizeof gdt);
  memset(idt, 0, sizeof idt);
  memset(tss, 0, sizeof tss);
  memset(tss2, 0, sizeof tss2);
  for (int ring = 0; ring < 4; ring++) {
    set(CODE0 + 16 * ring, 0, 0xfffff, 0x9b | ring << 5, 0xc);
    set(DATA0 + 16 * ring, 0, 0xfffff, 0x93 | ring << 5, 0xc);
  }
  set(TSS, (u32)tss, 0xff, 0x89, 0);
  set(DFTSS, (u32)dftss, 0x67, 0x89, 0);
  set(TSS2, (u32)tss2, 0x67, 0x89, 0);
  set(LDT, (u32)ldt, sizeof ldt - 1, 0x82, 0);
  /* 16-bit offsets reach `landing` and `code` through these. */
  set(NEAR0, (u32)landing & ~0xffff, 0xfffff, 0x9b, 0xc);
  set(NEAR3, (u32)landing & ~0xffff, 0xfffff, 0xfb, 0xc);
  for (u32 i = 0; i < sizeof vectors; i++) gate(&idt[2 * vectors[i]], CODE0, stub_table[i], 0x8e, 0);
  /* #DF in a task of its own: the stack may be what is broken. */
  memset(dftss, 0, sizeof dftss);
  dftss[8] = (u32)df_entry;
  dftss[9] = 2;
  dftss[14] = (u32)(df_stack + sizeof df_stack - 16);
  dftss[18] = dftss[20] = dftss[21] = dftss[22] = dftss[23] = DATA0;
  dftss[19] = CODE0;
  u32 cr3;
  __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
  dftss[7] = cr3;
  gate(&idt[2 * 8], DFTSS, 0, 0x85, 0);
  for (int ring = 0; ring < 3; ring++) {
    tss[1 + 2 * ring] = ring_stack[ring];
    tss[2 + 2 * ring] = (DATA0 + 16 * ring) | ring;
  }
  tss[7] = cr3;
  tss[25] = 0x68 << 16;
  struct __attribute__((packed)) { u16 limit; u32 base; } g = {GDT_END - 1, (u32)gdt}, i = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lgdt %0; lidt %1; ljmp %2, $1f; 1: mov %3, %%ds; mov %3, %%es; mov %3, %%fs; mov %3, %%gs; mov %3, %%ss" : : "m"(g), "m"(i), "i"(CODE0), "r"(DATA0));
  __asm__ volatile("lldt %%ax" : : "a"(0));
  __asm__ volatile("ltr %%ax" : : "a"(TSS));
}

void assemble(const u8 *bytes, u32 length) {
  memcpy(code, bytes, length);
  code[length] = 0x0f;
  code[length + 1] = 0x0b;
}

void start(int ring, u32 eflags) {
  memset(&c, 0, sizeof c);
  u32 data = (DATA0 + 16 * ring) | ring;
  c.eax = 0xa0a0a0a0, c.ebx = 0xb1b1b1b1, c.ecx = 0xc2c2c2c2, c.edx = 0xd3d3d3d3, c.esi = 0xe4e4e4e4, c.edi = 0xf5f5f5f5, c.ebp = 0x96969696;
  c.ds = c.es = c.fs = c.gs = data;
  c.frame[0] = (u32)code;
  c.frame[1] = (CODE0 + 16 * ring) | ring;
  c.frame[2] = eflags | 2;
  c.frame[3] = ring_stack[ring];
  c.frame[4] = data;
  c.words = ring ? 5 : 3;
  c.esp = ring ? 0 : ring_stack[3] - 256;
}

void run(void) {
  /* The task register's TSS may be busy, or not the current one, after a test that switched tasks. */
  set(TSS, (u32)tss, tss_limit, 0x89, 0);
  set(DFTSS, (u32)dftss, 0x67, 0x89, 0);
  __asm__ volatile("ltr %%ax" : : "a"(TSS));
  memset((void *)&capture, 0, sizeof capture);
  enter(&c);
  __asm__ volatile("clts");
  if (capture.vector == 0x100) {
    /* By task: what was interrupted is in the TSS it links to. */
    u32 link = dftss[0] & 0xffff;
    u32 *from = link == TSS ? tss : link == TSS2 ? tss2 : tss;
    capture.eip = from[8], capture.eflags = from[9];
    capture.eax = from[10], capture.ecx = from[11], capture.edx = from[12], capture.ebx = from[13], capture.esp = from[14], capture.ebp = from[15];
    capture.esi = from[16], capture.edi = from[17];
    capture.es = from[18] & 0xffff, capture.cs = from[19] & 0xffff, capture.ss = from[20] & 0xffff, capture.ds = from[21] & 0xffff;
    capture.fs = from[22] & 0xffff, capture.gs = from[23] & 0xffff;
    return;
  }
  /* The upper halves of pushed selectors are not architectural. */
  capture.ds &= 0xffff, capture.es &= 0xffff, capture.fs &= 0xffff, capture.gs &= 0xffff;
  if ((capture.cs & 3) == 0 && !(capture.eflags & 0x20000)) {
    /* No SS:ESP was pushed: the stack went on below them. */
    capture.ss = capture.handler_ss;
    capture.esp = capture.handler_esp + 68;
  }
}

static void place(u32 eip) {
  if (eip - (u32)code < 4096) put("c+"), number(eip - (u32)code);
  else if (eip == (u32)landing) put("landed");
  else if (eip == ((u32)landing & 0xffff)) put("landed16");
  else number(eip);
}
void outcome(void) {
  number(capture.vector);
  put("(");
  number(capture.error);
  put(")@");
  place(capture.eip);
}
void state(void) {
  put(" cs "), number(capture.cs), put(" ss "), number(capture.ss);
  put(" esp ");
  int ring = -1;
  for (int i = 0; i < 4; i++) if (ring_stack[i] - capture.esp < 2048) ring = i;
  if (ring >= 0) hex(ring, 1), put("-"), number(ring_stack[ring] - capture.esp);
  else number(capture.esp);
  put(" fl "), number(capture.eflags);
}
u32 linear_stack(void) {
  u32 *d = &gdt[(capture.ss & 0xfff8) / 4];
  return (d[0] >> 16 | (d[1] & 0xff) << 16 | (d[1] & 0xff000000)) + capture.esp;
}
void stack(int count, int size) {
  u32 at = linear_stack();
  put(" [");
  for (int i = 0; i < count; i++) {
    u32 v = size == 4 ? ((u32 *)at)[i] : ((u16 *)at)[i];
    if (i) put(" ");
    int ring = -1;
    if (size == 4) for (int k = 0; k < 4; k++) if (ring_stack[k] - v < 2048) ring = k;
    if (ring >= 0) put("sp"), hex(ring, 1), put("-"), number(ring_stack[ring] - v);
    else if (v - (u32)code < 4096) put("c+"), number(v - (u32)code);
    else if (size == 2 && v >= ((u32)code & 0xffff) && v < ((u32)code & 0xffff) + 64) put("c+"), number(v - ((u32)code & 0xffff));
    else number(v);
  }
  put("]");
}

void main(void) {
  outb(0x3f9, 0), outb(0x3fb, 0x80), outb(0x3f8, 1), outb(0x3f9, 0), outb(0x3fb, 3), outb(0x3fa, 1), outb(0x3fc, 3);
  length_ = 0;
  __asm__ volatile("mov %0, %%cr0" : : "r"(0x11));
  /* Mask the interrupt controllers. */
  outb(0x21, 0xff), outb(0xa1, 0xff);
  for (int i = 0; i < 4; i++) ring_stack[i] = (u32)(stacks[i] + 4096 - 64);
  group_loads();
  group_transfers();
  group_gates();
  group_returns();
  group_flags();
  group_ports();
  group_limits();
  group_tasks();
  group_control();
  group_debug();
  group_v86();
  group_paging();
  put("END"), newline();
  if (boot_magic != 0x2badb002) for (u32 i = 0; i < length_; i++) serial(((char *)REPORT)[4 + i]);
  outb(0xf4, 0);
  /* Bochs' way off. */
  for (const char *s = "Shutdown"; *s; s++) outb(0x8900 & 0xffff, *s);
  for (;;) __asm__ volatile("cli; hlt");
}
