/* EFLAGS, tasks, control and debug registers, virtual-8086 mode, paging. */
#include "kernel.h"

#define WRITE_CR(n, v) __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory")
#define READ_CR(n) ({ u32 v_; __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v_)); v_; })
#define WRITE_DR(n, v) __asm__ volatile("mov %0, %%dr" #n : : "r"(v))
#define READ_DR(n) ({ u32 v_; __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v_)); v_; })

static const struct { const char *name; u8 bytes[2], length; int pops, size; } flag_operations[] = {
  {"pushf", {0x66, 0x9c}, 2, 0, 2}, {"pushfd", {0x9c}, 1, 0, 4}, {"popf", {0x66, 0x9d}, 2, 1, 2}, {"popfd", {0x9d}, 1, 1, 4},
  {"cli", {0xfa}, 1, 0, 0}, {"sti", {0xfb}, 1, 0, 0},
};
static const u32 flag_images[] = {0, 0x7ed7, 0x3cffd7 & ~0x20100, 0x202, 0x3002, 0x4002};
static const u32 flag_befores[] = {0x002, 0x202, 0x80002, 0x100002, 0x180202, 0x2408d7};

void group_flags(void) {
  for (u32 op = 0; op < 6; op++) {
    for (u32 ring = 0; ring < 4; ring++) {
      for (u32 iopl = 0; iopl < 4; iopl++) {
        for (u32 cr4 = 0; cr4 < 4; cr4++) {
          put(flag_operations[op].name), put(" cpl "), hex(ring, 1), put(" iopl "), hex(iopl, 1), put(" cr4 "), hex(cr4, 1), put(":");
          for (u32 b = 0; b < 6; b++) {
            for (u32 k = 0; k < (flag_operations[op].pops ? 6 : 1); k++) {
              reset_tables();
              WRITE_CR(4, cr4);
              assemble(flag_operations[op].bytes, flag_operations[op].length);
              start(ring, flag_befores[b] | iopl << 12);
              u32 *top = (u32 *)(ring ? c.frame[3] : c.esp);
              if (flag_operations[op].pops) {
                top = (u32 *)((u32)top - flag_operations[op].size);
                *top = flag_images[k];
                if (ring) c.frame[3] = (u32)top;
                else c.esp = (u32)top;
              }
              run();
              put(" "), outcome(), put("/"), hex(capture.eflags, 6);
              if (capture.vector == 6 && op < 2) put("/"), hex(op == 0 ? *(u16 *)capture.esp : *(u32 *)capture.esp, 6);
            }
          }
          newline();
        }
      }
    }
  }
  WRITE_CR(4, 0);
}

/* ---- tasks */

static void new_task(int ring) {
  u32 data = (DATA0 + 16 * ring) | ring;
  tss2[8] = (u32)landing;
  tss2[9] = 2;
  for (int i = 0; i < 8; i++) tss2[10 + i] = 0x11110000 * i + 0x2222;
  tss2[14] = ring_stack[2];
  tss2[18] = tss2[20] = tss2[21] = tss2[22] = tss2[23] = data;
  tss2[19] = (CODE0 + 16 * ring) | ring;
  tss2[24] = LDT;
  tss2[25] = 0x68 << 16;
  for (int k = 0; k < 3; k++) tss2[1 + 2 * k] = ring_stack[k], tss2[2 + 2 * k] = (DATA0 + 16 * k) | k;
  tss2[7] = tss[7];
}

static void task_result(void) {
  u16 tr, ldt_selector;
  __asm__ volatile("str %0; sldt %1" : "=r"(tr), "=r"(ldt_selector));
  put(" "), outcome(), state();
  put(" seg "), number(capture.ds), put(" "), number(capture.es), put(" "), number(capture.fs), put(" "), number(capture.gs);
  put(" ax "), number(capture.eax), put(" di "), number(capture.edi);
  put(" busy "), hex(access_of(TSS), 2), hex(access_of(TSS2), 2), put(" link "), number(tss2[0] & 0xffff);
  put(" tr "), number(tr), put(" ldt "), number(ldt_selector);
  put(" old "), number(tss[8] - (u32)code), put(" "), number(tss[9]), put(" "), number(tss[10]), put(" "), number(tss[19] & 0xffff);
}

static void task_code(u32 how, u32 selector) {
  if (how == 2) CODE(0xcd, 0x60);
  else if (how == 3) CODE(0x66, 0xb8, 0xf8, 0xff, 0x8e, 0xd8);
  else if (how == 4) CODE(0xcf);
  else {
    u8 bytes[7] = {how ? 0x9a : 0xea, 0x34, 0x12, 0, 0, (u8)selector, 0};
    assemble(bytes, 7);
  }
}

void group_tasks(void) {
  static const char *const names[] = {"jmp", "call", "int", "#GP", "iret"};
  for (u32 how = 0; how < 5; how++) {
    for (u32 ring = 0; ring < 4; ring += 3) {
      for (u32 from = 0; from < 4; from += 3) {
        for (u32 gate_kind = 0; gate_kind < 2; gate_kind++) {
          put("task "), put(names[how]), put(" from "), hex(from, 1), put(" to "), hex(ring, 1), put(gate_kind ? " gate:" : " tss:");
          reset_tables();
          new_task(ring);
          set(TSS2, (u32)tss2, 0x67, how == 4 ? 0xeb : 0xe9, 0);
          gate(&gdt[T / 4], TSS2, 0, 0xe5, 0);
          gate(&idt[2 * 0x60], TSS2, 0, 0xe5, 0);
          if (how == 3) gate(&idt[2 * 13], TSS2, 0, 0x85, 0);
          tss[0] = TSS2;
          task_code(how, gate_kind ? T : TSS2);
          start(from, how == 4 ? 0x4202 : 0x202);
          run();
          task_result();
          if (capture.vector == 6 && how == 3) stack(1, 4);
          newline();
        }
      }
    }
  }
  /* Every selector of the new task, of every kind. */
  static const u16 kinds[] = {0, 3, 4, GDT_END, CODE0, CODE3, CODE3 | 3, DATA0, DATA0 | 3, DATA3, DATA3 | 3, TSS, LDT, T, T | 3, U, U | 3};
  static const u8 accesses[] = {0x13, 0x1b, 0x91, 0x99, 0x9f, 0xf1, 0xff, 0xf9, 0x97, 0x82, 0x02};
  for (u32 field = 18; field <= 24; field++) {
    for (u32 ring = 0; ring < 4; ring += 3) {
      for (u32 a = 0; a < sizeof accesses; a++) {
        put("task field "), number(field), put(" ring "), hex(ring, 1), put(" type "), hex(accesses[a], 2), put(":");
        for (u32 k = 0; k < sizeof kinds / sizeof *kinds; k++) {
          if (a && kinds[k] / 8 != T / 8) continue;
          reset_tables();
          new_task(ring);
          set(T, 0, 0xfffff, accesses[a], 0xc);
          set(U, 0, 0xfffff, accesses[a] ^ 0x60, 0xc);
          tss2[field] = kinds[k];
          task_code(0, TSS2);
          start(0, 0x202);
          run();
          put(" "), outcome(), put("/"), number(capture.cs), put("/"), number(capture.eflags);
        }
        newline();
      }
    }
  }
  /* TSS descriptors of every type; limits; gates of every type. */
  for (u32 access = 0; access < 256; access++) {
    put("tss type "), hex(access, 2), put(":");
    for (u32 how = 0; how < 5; how++) {
      u32 type = access & 0x1f;
      if (type != 9 && type != 11) continue;
      for (u32 limit = 0x66; limit < 0x68; limit++) {
        reset_tables();
        new_task(0);
        set(TSS2, (u32)tss2, limit, access, 0);
        gate(&idt[2 * 0x60], TSS2, 0, 0xe5, 0);
        gate(&idt[2 * 13], TSS2, 0, 0xe5, 0);
        tss[0] = TSS2;
        if (how == 3 && !(type == 9 && limit == 0x67 && access & 0x80)) continue;
        task_code(how, TSS2);
        start(0, how == 4 ? 0x4202 : 0x202);
        run();
        put(" "), outcome();
      }
    }
    newline();
  }
  /* 16-bit tasks. */
  for (u32 how = 0; how < 3; how++) {
    put("task16 "), put(names[how]), put(":");
    reset_tables();
    u16 *t = (u16 *)tss2;
    t[7] = (u16)((u32)landing & 0xffff), t[8] = 0x3202;
    for (int i = 0; i < 8; i++) t[9 + i] = 0x1111 * i;
    t[13] = 0x800;
    t[17] = DATA0, t[18] = NEAR0, t[19] = T, t[20] = DATA0, t[21] = LDT;
    set(T, ring_stack[2] - 0x800, 0xffff, 0x93, 0);
    set(TSS2, (u32)tss2, 0x2b, 0x81, 0);
    gate(&idt[2 * 0x60], TSS2, 0, 0xe5, 0);
    task_code(how, TSS2);
    start(0, 0x202);
    run();
    put(" "), outcome(), put(" cs "), number(capture.cs), put(" ss "), number(capture.ss), put(" fl "), number(capture.eflags & 0xffff);
    put(" ds "), number(capture.ds), put(" "), number(capture.fs), put(" "), number(capture.gs), put(" ax "), number(capture.eax & 0xffff), put(" di "), number(capture.edi & 0xffff);
    put(" busy "), hex(access_of(TSS), 2), hex(access_of(TSS2), 2), put(" link "), number(t[0]);
    newline();
  }
}

/* ---- control and debug registers */

void group_control(void) {
  static const u32 cr0s[] = {0x80000010, 0x20000011, 0x60000011, 0x00000011, 0x11, 0x60050033, 0xffffffff & 0x7fffffff & ~0x20000000, 0xe0000010};
  put("cr0:");
  for (u32 k = 0; k < sizeof cr0s / sizeof *cr0s; k++) {
    reset_tables();
    u32 old = READ_CR(0);
    /* mov cr0, eax; mov ebx, cr0; mov cr0, ecx */
    CODE(0x0f, 0x22, 0xc0, 0x0f, 0x20, 0xc3, 0x0f, 0x22, 0xc1);
    start(0, 0);
    c.eax = cr0s[k], c.ecx = old;
    run();
    WRITE_CR(0, old);
    put(" "), outcome(), put("/"), hex(capture.ebx, 8);
  }
  newline();
  put("lmsw:");
  for (u32 k = 0; k < 16; k++) {
    reset_tables();
    u32 old = READ_CR(0);
    CODE(0x0f, 0x01, 0xf0, 0x0f, 0x20, 0xc3, 0x0f, 0x22, 0xc1);
    start(0, 0);
    c.eax = 0xfff0 | k, c.ecx = old & ~0xe;
    run();
    WRITE_CR(0, old);
    put(" "), outcome(), put("/"), hex(capture.ebx, 8);
  }
  newline();
  put("cr4:");
  for (u32 bit = 0; bit < 32; bit++) {
    /* Machine checks, performance counters and what came later depend on the processor. */
    if (bit == 6 || bit == 8 || bit == 5 || (bit > 10 && bit < 24)) continue;
    reset_tables();
    CODE(0x0f, 0x22, 0xe0, 0x0f, 0x20, 0xe3, 0x0f, 0x22, 0xe1);
    start(0, 0);
    c.eax = 1u << bit, c.ecx = 0;
    run();
    WRITE_CR(4, 0);
    put(" "), outcome(), put("/"), hex(capture.ebx, 8);
  }
  newline();
  static const u8 privileged[][3] = {
    {0x0f, 0x20, 0xc0}, {0x0f, 0x22, 0xd8}, {0x0f, 0x21, 0xf0}, {0x0f, 0x23, 0xf8}, {0x0f, 0x01, 0xf0}, {0x0f, 0x06, 0x90}, {0x0f, 0x08, 0x90}, {0x0f, 0x09, 0x90},
    {0x0f, 0x01, 0x38}, {0x0f, 0x01, 0x10}, {0x0f, 0x01, 0x18}, {0x0f, 0x00, 0xd0}, {0x0f, 0x00, 0xd8}, {0xf4, 0x90, 0x90}, {0x0f, 0x30, 0x90}, {0x0f, 0x32, 0x90},
    {0x0f, 0x35, 0x90}, {0x0f, 0x20, 0xc8}, {0x0f, 0x22, 0xe8}, {0x0f, 0xaa, 0x90},
  };
  for (u32 k = 0; k < sizeof privileged / 3; k++) {
    put("privileged "), number(k), put(":");
    for (u32 ring = 1; ring < 4; ring += 2) {
      reset_tables();
      assemble(privileged[k], 3);
      start(ring, 0x3202);
      run();
      put(" "), outcome();
    }
    newline();
  }
}

static void debug_result(void) {
  put(" "), outcome(), put("/"), number(capture.eflags), put("/"), hex(READ_DR(6) & 0xe00f, 4);
  WRITE_DR(6, 0);
}
static u32 watched[4] __attribute__((aligned(16)));

void group_debug(void) {
  static const struct { const char *name; u8 bytes[12], length; } programs[] = {
    {"nop", {0x90, 0x90}, 2}, {"mov ss", {0x8c, 0xd1, 0x8e, 0xd1, 0x90, 0x90}, 6}, {"pushfd popfd", {0x9c, 0x9d, 0x90}, 3}, {"cli sti", {0xfa, 0xfb, 0x90}, 3},
    {"jmp", {0xeb, 0x01, 0x90, 0x90}, 4}, {"rep movsb", {0xf3, 0xa4, 0x90}, 3}, {"int3", {0xcc, 0x90}, 2}, {"icebp", {0xf1, 0x90}, 2}, {"write", {0x89, 0x03, 0x90}, 3}, {"read", {0x8b, 0x03, 0x90}, 3},
    {"rmw", {0xff, 0x03, 0x90}, 3}, {"wide", {0x89, 0x43, 0xfe, 0x90}, 4}, {"push", {0x50, 0x90}, 2}, {"stosd", {0xab, 0x90}, 2}, {"fault", {0x0f, 0x0b}, 2},
  };
  static const u32 enables[] = {0, 0x00000001, 0x000d0001, 0x000f0001, 0x000c0001, 0x00010001, 0x00030001, 0x00070001, 0x000d0002};
  for (u32 tf = 0; tf < 2; tf++) {
    for (u32 p = 0; p < sizeof programs / sizeof *programs; p++) {
      for (u32 at = 0; at < 5; at++) {
        put("debug "), put(programs[p].name), put(tf ? " tf" : ""), put(" at "), number(at), put(":");
        for (u32 e = 0; e < sizeof enables / sizeof *enables; e++) {
          for (u32 rf = 0; rf < 2; rf++) {
            u32 execute = (enables[e] & 0xf0000) == 0;
            if ((e == 0 && at) || (!execute && at == 4)) continue;
            reset_tables();
            assemble(programs[p].bytes, programs[p].length);
            start(3, 0x3002 | (tf ? 0x100 : 0) | (rf ? 0x10000 : 0));
            c.ebx = (u32)&watched[1], c.esi = (u32)code, c.edi = (u32)&watched[1], c.ecx = 3;
            watched[1] = 0;
            WRITE_DR(0, execute ? (u32)code + at : p == 12 ? ring_stack[3] - 4 + at : (u32)&watched[1] + at);
            WRITE_DR(6, 0);
            WRITE_DR(7, enables[e] | 0x400);
            run();
            WRITE_DR(7, 0x400);
            debug_result();
          }
        }
        newline();
      }
    }
  }
  put("gd:");
  reset_tables();
  CODE(0x0f, 0x21, 0xc3, 0x90);
  start(0, 0);
  WRITE_DR(7, 0x2400);
  run();
  put(" "), outcome(), put("/"), number(capture.eflags), put("/dr7 "), number(READ_DR(7)), put("/dr6 "), hex(READ_DR(6) & 0xe00f, 4);
  newline();
}

/* ---- virtual-8086 mode */

static void start_v86(u32 eflags) {
  start(0, 0);
  u32 frame[9] = {0, 0x2000, eflags | 0x20002, 0x1000, 0x3000, 0x4000, 0x5000, 0x6000, 0x6800};
  for (int i = 0; i < 9; i++) c.frame[i] = frame[i];
  c.words = 9;
  c.esp = 0;
  c.ds = c.es = c.fs = c.gs = DATA0;
  u8 *to = (u8 *)0x20000;
  for (int i = 0; i < 64; i++) to[i] = code[i];
  /* Where the program's own handlers are. */
  to[0x800] = 0x0f, to[0x801] = 0x0b;
}
static void v86_state(void) {
  put(" "), number(capture.vector), put("("), number(capture.error), put(")@"), number(capture.cs), put(":"), number(capture.eip);
  if (capture.eflags & 0x20000) {
    put(" sp "), number(capture.ss), put(":"), number(capture.esp), put(" fl "), hex(capture.eflags, 6);
    put(" seg "), number(capture.ves), put(" "), number(capture.vds), put(" "), number(capture.vfs), put(" "), number(capture.vgs);
    put(" now "), number(capture.ds), put(" ["); /* the handler's own */
    u16 *top = (u16 *)(capture.ss * 16 + (capture.esp & 0xffff));
    for (int i = 0; i < 3; i++) number(top[i]), put(" ");
    put("]");
  } else state(), stack(9, 4);
}

void group_v86(void) {
  for (u32 *low = (u32 *)0x20000; low < (u32 *)0x70000; low++) *low = 0;
  static const struct { const char *name; u8 bytes[8], length; u16 image[3]; int pushed; } programs[] = {
    {"pushf", {0x9c}, 1, {0}, 0}, {"pushfd", {0x66, 0x9c}, 2, {0}, 0}, {"popf 0", {0x9d}, 1, {0}, 1}, {"popf all", {0x9d}, 1, {0xfed7}, 1}, {"popf tf", {0x9d}, 1, {0x100}, 1},
    {"popf if", {0x9d}, 1, {0x200}, 1}, {"popfd", {0x66, 0x9d}, 2, {0x7e02, 0x3c}, 2}, {"cli", {0xfa}, 1, {0}, 0}, {"sti", {0xfb}, 1, {0}, 0},
    {"iret", {0xcf}, 1, {0x800, 0x2000, 0x7ed7}, 3}, {"iret tf", {0xcf}, 1, {0x800, 0x2000, 0x102}, 3}, {"iret 0", {0xcf}, 1, {0xfff0, 0x1081, 0}, 3},
    {"int 60", {0xcd, 0x60}, 2, {0}, 0}, {"int3", {0xcc}, 1, {0}, 0}, {"hlt", {0xf4}, 1, {0}, 0}, {"in", {0xe4, 0x80}, 2, {0}, 0}, {"mov ds", {0x8e, 0xd8, 0x8c, 0xdb}, 4, {0}, 0},
    {"jmp far", {0xea, 0x00, 0x08, 0x00, 0x20}, 5, {0}, 0}, {"call far", {0x9a, 0x00, 0x08, 0x00, 0x20}, 5, {0}, 0}, {"retf", {0xcb}, 1, {0x800, 0x2000}, 2},
    {"lar", {0x0f, 0x02, 0xc0}, 3, {0}, 0}, {"lldt", {0x0f, 0x00, 0xd0}, 3, {0}, 0}, {"arpl", {0x63, 0xc0}, 2, {0}, 0}, {"sldt", {0x0f, 0x00, 0xc0}, 3, {0}, 0}, {"smsw", {0x0f, 0x01, 0xe0}, 3, {0}, 0},
    {"limit", {0x67, 0x8b, 0x80, 0xff, 0xff, 0, 0}, 7, {0}, 0}, {"limit ss", {0x67, 0x36, 0x8b, 0x80, 0xff, 0xff, 0, 0}, 8, {0}, 0}, {"lmsw", {0x0f, 0x01, 0xf0}, 3, {0}, 0},
  };
  static const u32 befores[] = {0, 0x200, 0x80000, 0x100000, 0x180200};
  for (u32 p = 0; p < sizeof programs / sizeof *programs; p++) {
    for (u32 iopl = 0; iopl < 4; iopl += 3) {
      for (u32 cr4 = 0; cr4 < 2; cr4++) {
        for (u32 redirect = 0; redirect < 2; redirect++) {
          if (redirect && p != 12) continue;
          put("v86 "), put(programs[p].name), put(" iopl "), hex(iopl, 1), put(" vme "), hex(cr4, 1), put(redirect ? " redirected:" : ":");
          for (u32 b = 0; b < 5; b++) {
            reset_tables();
            WRITE_CR(4, cr4);
            tss[25] = 0x88 << 16;
            for (u32 i = 0; i < 8; i++) tss[26 + i] = redirect ? 0 : 0xffffffff;
            ((u32 *)0)[0x60] = 0x20000800;
            gate(&idt[2 * 0x60], CODE0, (u32)landing, 0xee, 0);
            assemble(programs[p].bytes, programs[p].length);
            start_v86(befores[b] | iopl << 12);
            c.frame[3] -= 2 * programs[p].pushed;
            for (int i = 0; i < programs[p].pushed; i++) ((u16 *)(0x30000 + c.frame[3]))[i] = programs[p].image[i];
            c.eax = 0;
            run();
            v86_state(), put(";");
          }
          newline();
        }
      }
    }
  }
  /* Interrupts out of it: through every gate type and to every kind of code. */
  for (u32 access = 0; access < 256; access++) {
    put("v86 int target "), hex(access, 2), put(":");
    for (u32 near = 0; near < 2; near++) {
      reset_tables();
      WRITE_CR(4, 0);
      set(U, near ? (u32)landing & ~0xffff : 0, 0xfffff, access, 0xc);
      gate(&idt[2 * 0x60], U, near ? (u32)landing & 0xffff : (u32)landing, near ? 0xe6 : 0xee, 0);
      CODE(0xcd, 0x60);
      start_v86(0x3202);
      run();
      put(" "), number(capture.vector), put("("), number(capture.error), put(")@"), number(capture.cs);
      if (!(capture.eflags & 0x20000)) state(), stack(9, near ? 2 : 4);
      put(";");
    }
    newline();
  }
  WRITE_CR(4, 0);
}

/* ---- paging */

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u32 report_table[1024] __attribute__((aligned(4096)));
static u32 test_table[1024] __attribute__((aligned(4096)));
static u32 pae_pointers[8] __attribute__((aligned(32)));
static u32 pae_directory[1024] __attribute__((aligned(4096)));
static u32 pae_low[1024] __attribute__((aligned(4096)));

/* Linear 400000h and up is what is tested; below, everything is open to everybody. */
#define WINDOW 0x400000u
static const struct { const char *name; u8 bytes[4], length; u32 offset; } page_accesses[] = {
  {"r4", {0x8b, 0x03}, 2, 0x10}, {"w4", {0x89, 0x03}, 2, 0x10}, {"rmw", {0xff, 0x03}, 2, 0x10}, {"r cross", {0x8b, 0x03}, 2, 0xffe}, {"w cross", {0x89, 0x03}, 2, 0xffe},
  {"cmpxchg", {0x0f, 0xb1, 0x0b}, 3, 0x10}, {"push mem", {0xff, 0x33}, 2, 0x10}, {"w1", {0x88, 0x03}, 2, 0xfff}, {"jmp", {0xff, 0xe3}, 2, 0x10},
};

static void page_case(u32 ring, u32 a) {
  assemble(page_accesses[a].bytes, page_accesses[a].length);
  start(ring, 0);
  c.ebx = WINDOW + page_accesses[a].offset;
  run();
  put(" "), number(capture.vector), put("("), number(capture.error), put(")");
  if (capture.vector == 14) put("/"), hex(capture.cr2 - WINDOW, 4);
}

void group_paging(void) {
  reset_tables();
  u32 old = READ_CR(0);
  for (u32 i = 0; i < 1024; i++) table[i] = i << 12 | 7, report_table[i] = 0x1000000 | i << 12 | 7;
  /* The report is written with paging on. */
  directory[4] = (u32)report_table | 7;
  pae_directory[16] = 0x1000000 | 0x83, pae_directory[18] = 0x1200000 | 0x83;
  u32 frame = 0x200000;
  /* The page under test holds an invalid opcode wherever it is jumped to. */
  for (u32 i = 0; i < 8192; i += 2) *(u16 *)(frame + i) = 0x0b0f;
  for (u32 wp = 0; wp < 2; wp++) {
    for (u32 ring = 0; ring < 4; ring += 3) {
      for (u32 pde = 0; pde < 8; pde++) {
        for (u32 pte = 0; pte < 8; pte++) {
          put("page wp "), hex(wp, 1), put(" cpl "), hex(ring, 1), put(" pde "), hex(pde, 1), put(" pte "), hex(pte, 1), put(":");
          for (u32 a = 0; a < sizeof page_accesses / sizeof *page_accesses; a++) {
            directory[0] = (u32)table | 7;
            directory[1] = (u32)test_table | pde;
            test_table[0] = frame | pte;
            test_table[1] = (frame + 4096) | 7;
            WRITE_CR(3, (u32)directory);
            WRITE_CR(0, old | 0x80000000 | wp << 16);
            reset_tables();
            page_case(ring, a);
            put("/"), hex(directory[1] & 0xfff, 3), hex(test_table[0] & 0xfff, 3), hex(test_table[1] & 0xfff, 3);
            WRITE_CR(0, old);
          }
          newline();
        }
      }
    }
  }
  /* 4 MiB pages; bit 7 without PSE means nothing. */
  for (u32 cr4 = 0; cr4 < 0x20; cr4 += 0x10) {
    for (u32 ring = 0; ring < 4; ring += 3) {
      for (u32 pde = 0; pde < 8; pde++) {
        put("large pse "), hex(cr4 >> 4, 1), put(" cpl "), hex(ring, 1), put(" pde "), hex(pde, 1), put(":");
        for (u32 a = 0; a < sizeof page_accesses / sizeof *page_accesses; a++) {
          directory[0] = (u32)table | 7;
          directory[1] = (cr4 ? 0x400000 : (u32)test_table) | 0x80 | pde;
          test_table[0] = frame | 7, test_table[1] = (frame + 4096) | 7;
          if (cr4) for (u32 i = 0; i < 0x1010; i += 2) *(u16 *)(0x400000 + i) = 0x0b0f;
          WRITE_CR(4, cr4);
          WRITE_CR(3, (u32)directory);
          WRITE_CR(0, old | 0x80000000);
          reset_tables();
          page_case(ring, a);
          put("/"), hex(directory[1] & 0xfff, 3);
          WRITE_CR(0, old);
        }
        newline();
      }
    }
  }
  /* PAE. */
  for (u32 i = 0; i < 1024; i += 2) pae_low[i] = (i / 2) << 12 | 7, pae_low[i + 1] = 0;
  for (u32 ring = 0; ring < 4; ring += 3) {
    for (u32 pde = 0; pde < 8; pde++) {
      for (u32 pte = 0; pte < 8; pte++) {
        for (u32 large = 0; large < 2; large++) {
          if (large && pte != 7) continue;
          put("pae cpl "), hex(ring, 1), put(" pde "), hex(pde, 1), put(" pte "), hex(pte, 1), put(large ? " large:" : ":");
          for (u32 a = 0; a < sizeof page_accesses / sizeof *page_accesses; a++) {
            pae_pointers[0] = (u32)pae_directory | 1;
            pae_directory[0] = (u32)pae_low | 7;
            pae_directory[4] = (large ? 0x80 | 0x400000 : (u32)test_table) | pde;
            if (large) for (u32 i = 0; i < 0x1010; i += 2) *(u16 *)(0x400000 + i) = 0x0b0f;
            test_table[0] = frame | pte, test_table[1] = 0, test_table[2] = (frame + 4096) | 7, test_table[3] = 0;
            WRITE_CR(4, 0x20);
            WRITE_CR(3, (u32)pae_pointers);
            WRITE_CR(0, old | 0x80000000);
            reset_tables();
            page_case(ring, a);
            put("/"), hex(pae_directory[4] & 0xfff, 3), hex(test_table[0] & 0xfff, 3);
            WRITE_CR(0, old);
          }
          newline();
        }
      }
    }
  }
  WRITE_CR(4, 0);
  test_table[1] = test_table[3] = 0;
  reset_tables();
}
