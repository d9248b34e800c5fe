/* Far transfers, gates, interrupt delivery and returns. */
#include "kernel.h"

static const u8 rings[] = {0, 1, 3};
#define NEAR_OFFSET ((u32)landing & 0xffff)

/* 9A or EA: CALL or JMP ptr16:32. */
static void far_code(u8 opcode, u32 selector, u32 offset) {
  u8 bytes[7] = {opcode, (u8)offset, (u8)(offset >> 8), (u8)(offset >> 16), (u8)(offset >> 24), (u8)selector, (u8)(selector >> 8)};
  assemble(bytes, 7);
}

/* Descriptor T as what its type says: a gate to `target`, a TSS too small to enter, or a segment. */
static void any_descriptor(u32 access, u32 target, u32 near_target) {
  u32 type = access & 0x1f;
  if (type == 1 || type == 3 || type == 9 || type == 11) set(T, (u32)tss2, 0x20, access, 0);
  else if (type == 5) set(TSS2, (u32)tss2, 0x20, 0x89, 0), gate(&gdt[T / 4], TSS2, 0, access, 0);
  else if (type == 4 || type == 6 || type == 7) gate(&gdt[T / 4], near_target, NEAR_OFFSET, access, 2);
  else if (type == 12 || type == 14 || type == 15) gate(&gdt[T / 4], target, (u32)landing, access, 2);
  else set(T, 0, 0xfffff, access, 0xc);
}

static void result(int words, int size) {
  put(" "), outcome();
  if (capture.vector == 6) state(), stack(words, size);
  put(";");
}

void group_transfers(void) {
  static const struct { const char *name; u8 opcode; } operations[] = {{"jmp", 0xea}, {"call", 0x9a}};
  for (u32 op = 0; op < 2; op++) {
    for (u32 r = 0; r < 3; r++) {
      for (u32 access = 0; access < 256; access++) {
        put(operations[op].name), put(" far cpl "), hex(rings[r], 1), put(" type "), hex(access, 2), put(":");
        for (u32 rpl = 0; rpl < 4; rpl++) {
          reset_tables();
          any_descriptor(access, CODE0, NEAR0);
          far_code(operations[op].opcode, T | rpl, (u32)landing);
          start(rings[r], 0);
          run();
          u32 type = access & 0x1f;
          result(op ? 4 : 0, type == 4 ? 2 : 4);
          if (access_of(T) != access) put("/a"), hex(access_of(T), 2);
        }
        newline();
      }
    }
  }
  /* Through call gates: every kind of target. */
  for (u32 op = 0; op < 2; op++) {
    for (u32 r = 0; r < 3; r++) {
      for (u32 access = 0; access < 256; access++) {
        put(operations[op].name), put(" gate cpl "), hex(rings[r], 1), put(" target "), hex(access, 2), put(":");
        for (u32 wide = 0; wide < 2; wide++) {
          reset_tables();
          set(U, wide ? 0 : (u32)landing & ~0xffff, 0xfffff, access, 0xc);
          gate(&gdt[T / 4], U, wide ? (u32)landing : NEAR_OFFSET, wide ? 0xec : 0xe4, 3);
          far_code(operations[op].opcode, T, 0x1234);
          start(rings[r], 0);
          run();
          result(op ? 7 : 0, wide ? 4 : 2);
          if (access_of(U) != access) put("/a"), hex(access_of(U), 2);
        }
        newline();
      }
    }
  }
  /* Targets beyond the limit of 16-bit segments; 16-bit operand; odd selectors. */
  static const u16 odd[] = {0, 3, GDT_END, 0xfffb, 4, TSS, DFTSS | 3};
  for (u32 op = 0; op < 2; op++) {
    put(operations[op].name), put(" odd:");
    for (u32 k = 0; k < sizeof odd / sizeof *odd; k++) {
      reset_tables();
      far_code(operations[op].opcode, odd[k], (u32)landing);
      start(3, 0);
      run();
      result(0, 4);
    }
    for (u32 limit = 0xfff; limit <= 0x1000; limit++) {
      reset_tables();
      set(T, (u32)code, limit, 0xfa, 4);
      far_code(operations[op].opcode, T | 3, 0x1000);
      start(3, 0);
      run();
      result(0, 4);
    }
    newline();
  }
}

void group_gates(void) {
  static const u8 int60[] = {0xcd, 0x60};
  for (u32 r = 0; r < 3; r++) {
    for (u32 access = 0; access < 256; access++) {
      put("int cpl "), hex(rings[r], 1), put(" gate "), hex(access, 2), put(":");
      u32 type = access & 0x1f;
      reset_tables();
      set(TSS2, (u32)tss2, 0x20, 0x89, 0);
      u32 near = type == 6 || type == 7;
      gate(&idt[2 * 0x60], type == 5 ? TSS2 : near ? NEAR0 : CODE0, near ? NEAR_OFFSET : (u32)landing, access, 0);
      assemble(int60, 2);
      start(rings[r], 0x4202 | 0x40000);
      run();
      result(5, near ? 2 : 4);
      /* As the gate of an exception: EXT set in what goes wrong. */
      reset_tables();
      set(TSS2, (u32)tss2, 0x20, 0x89, 0);
      gate(&idt[0], type == 5 ? TSS2 : near ? NEAR0 : CODE0, near ? NEAR_OFFSET : (u32)landing, access, 0);
      CODE(0x31, 0xdb, 0xf7, 0xf3);
      start(rings[r], 0x202);
      run();
      result(5, near ? 2 : 4);
      newline();
    }
  }
  for (u32 r = 0; r < 3; r++) {
    for (u32 access = 0; access < 256; access++) {
      put("int cpl "), hex(rings[r], 1), put(" target "), hex(access, 2), put(":");
      for (u32 kind = 0; kind < 4; kind++) {
        u32 near = kind & 1;
        reset_tables();
        set(U, near ? (u32)landing & ~0xffff : 0, 0xfffff, access, 0xc);
        gate(&idt[2 * 0x60], U | 2, near ? NEAR_OFFSET : (u32)landing, (kind & 2 ? 0xee : 0xef) - 8 * near, 0);
        assemble(int60, 2);
        start(rings[r], 0x202);
        run();
        result(5, near ? 2 : 4);
      }
      newline();
    }
  }
  /* The inner stack: every type, by INT, by exception with error code, by call gate. */
  for (u32 how = 0; how < 3; how++) {
    for (u32 access = 0; access < 256; access++) {
      put(how == 0 ? "int" : how == 1 ? "#GP" : "call"), put(" inner stack "), hex(access, 2), put(":");
      for (u32 rpl = 0; rpl < 4; rpl++) {
        reset_tables();
        set(T, 0, 0xfffff, access, 0xc);
        /* Only ring 1 goes wrong, so that ring 0 can tell. */
        tss[4] = T | rpl;
        gate(&idt[2 * 0x60], CODE1, (u32)landing, 0xef, 0);
        gate(&idt[2 * 13], CODE1, (u32)landing, 0xef, 0);
        gate(&gdt[U / 4], CODE1, (u32)landing, 0xec, 1);
        if (how == 0) assemble(int60, 2);
        else if (how == 1) CODE(0xf4);
        else far_code(0x9a, U, 0);
        start(3, 0x202);
        run();
        result(6, 4);
      }
      newline();
    }
  }
  /* Room on it. */
  for (u32 flags = 0; flags < 8; flags += 4) {
    for (u32 pointer = 0; pointer < 48; pointer += 2) {
      put("inner stack room "), hex(flags, 1), put(" "), number(pointer), put(":");
      for (u32 how = 0; how < 4; how++) {
        reset_tables();
        /* Expand-down: offsets above FFFh; so `pointer` bytes of room. */
        set(T, ring_stack[1] - 0x1200, 0xfff, 0xb6, flags);
        tss[4] = T | 1;
        tss[3] = 0x1000 + pointer;
        gate(&idt[2 * 0x60], how & 1 ? NEAR0 : CODE1, how & 1 ? NEAR_OFFSET : (u32)landing, how & 1 ? 0xe7 : 0xef, 0);
        if (how & 1) set(NEAR0, (u32)landing & ~0xffff, 0xfffff, 0xbb, 0xc);
        gate(&gdt[U / 4], how & 1 ? NEAR0 : CODE1, how & 1 ? NEAR_OFFSET : (u32)landing, how & 1 ? 0xe4 : 0xec, 2);
        if (how & 2) far_code(0x9a, U, 0);
        else assemble(int60, 2);
        start(3, 0x202);
        run();
        put(" "), outcome();
      }
      newline();
    }
  }
  /* TSS limits, IDT limits, 16-bit TSSs, code limits, conforming handlers. */
  for (u32 limit = 0x67; limit > 10; limit--) {
    if (limit > 0x16 && limit < 0x66) continue;
    put("tss limit "), number(limit), put(":");
    for (u32 level = 1; level < 3; level++) {
      reset_tables();
      gate(&idt[2 * 0x60], CODE0 + 16 * level, (u32)landing, 0xef, 0);
      assemble(int60, 2);
      start(3, 0x202);
      tss_limit = limit;
      run();
      tss_limit = 0xff;
      put(" "), outcome();
    }
    newline();
  }
  static const u8 others[][3] = {{0xcc}, {0xce}, {0xf1}, {0xcd, 3}, {0xcd, 1}, {0xcd, 4}};
  for (u32 k = 0; k < 6; k++) {
    for (u32 dpl = 0; dpl < 4; dpl += 3) {
      put("other interrupts "), number(k), put(" dpl "), hex(dpl, 1), put(":");
      for (u32 of = 0; of < 2; of++) {
        reset_tables();
        for (u32 v = 1; v < 5; v++) gate(&idt[2 * v], CODE0, (u32)landing, 0x8e | dpl << 5, 0);
        assemble(others[k], k < 3 ? 1 : 2);
        start(3, of ? 0xa02 : 0x202);
        run();
        result(3, 4);
      }
      newline();
    }
  }
}

static void push_image(int ring, const u32 *words, u32 count, int size) {
  u32 top = ring ? c.frame[3] : c.esp;
  top -= count * size;
  for (u32 i = 0; i < count; i++) {
    if (size == 4) ((u32 *)top)[i] = words[i];
    else ((u16 *)top)[i] = (u16)words[i];
  }
  if (ring) c.frame[3] = top;
  /* Ring 0: ENTER's own IRET frame goes below the image. */
  else c.esp = top;
}

void group_returns(void) {
  static const struct { const char *name; u8 bytes[4], length; int iret, size, extra; } operations[] = {
    {"retf", {0xcb}, 1, 0, 4, 0}, {"retf 8", {0xca, 8, 0}, 3, 0, 4, 2}, {"iret", {0xcf}, 1, 1, 4, 0}, {"retf16", {0x66, 0xcb}, 2, 0, 2, 0}, {"iret16", {0x66, 0xcf}, 2, 1, 2, 0},
  };
  for (u32 op = 0; op < 5; op++) {
    int size = operations[op].size;
    for (u32 r = 0; r < 3; r++) {
      for (u32 access = 0; access < 256; access++) {
        put(operations[op].name), put(" cpl "), hex(rings[r], 1), put(" cs "), hex(access, 2), put(":");
        for (u32 rpl = 0; rpl < 4; rpl++) {
          reset_tables();
          set(T, size == 2 ? (u32)landing & ~0xffff : 0, 0xfffff, access, 0xc);
          assemble(operations[op].bytes, operations[op].length);
          start(rings[r], 0x202);
          c.fs = T & 0; /* null */
          u32 words[10], n = 0;
          words[n++] = size == 2 ? NEAR_OFFSET : (u32)landing;
          words[n++] = T | rpl;
          if (operations[op].iret) words[n++] = 0xcd7;
          for (int i = 0; i < operations[op].extra; i++) words[n++] = 0x1111 * (i + 1);
          words[n++] = ring_stack[2];
          words[n++] = (DATA0 + 16 * rpl) | rpl;
          push_image(rings[r], words, n, size);
          run();
          put(" "), outcome();
          if (capture.vector == 6) {
            put(" cs "), number(capture.cs), put(" ss "), number(capture.ss), put(" fl "), number(capture.eflags);
            if (size == 4) put(" esp "), number(capture.esp & 0xfff);
            put(" seg "), number(capture.ds), put(" "), number(capture.es), put(" "), number(capture.fs);
          }
          put(";");
          if (access_of(T) != access) put("/a"), hex(access_of(T), 2);
        }
        newline();
      }
    }
  }
  for (u32 op = 0; op < 3; op += 2) {
    for (u32 access = 0; access < 256; access++) {
      put(operations[op].name), put(" outer ss "), hex(access, 2), put(":");
      for (u32 rpl = 0; rpl < 4; rpl++) {
        reset_tables();
        set(T, 0, 0xfffff, access, 0xc);
        assemble(operations[op].bytes, operations[op].length);
        start(0, 0x202);
        u32 words[10], n = 0;
        words[n++] = (u32)landing;
        words[n++] = CODE3 | 3;
        if (operations[op].iret) words[n++] = 0x202;
        words[n++] = ring_stack[2];
        words[n++] = T | rpl;
        push_image(0, words, n, 4);
        run();
        put(" "), outcome();
        if (capture.vector == 6) put(" ss "), number(capture.ss);
        put(";");
        if (access_of(T) != access) put("/a"), hex(access_of(T), 2);
      }
      newline();
    }
  }
  /* Flags that IRET may change, by ring and IOPL. */
  static const u32 images[] = {0, 0x3cffd7 & ~0x20100, 0x3002, 0x202, 0x80002, 0x100002, 0x14002};
  for (u32 op = 2; op < 5; op += 2) {
    for (u32 ring = 0; ring < 4; ring++) {
      for (u32 iopl = 0; iopl < 4; iopl++) {
        put(operations[op].name), put(" flags cpl "), hex(ring, 1), put(" iopl "), hex(iopl, 1), put(":");
        for (u32 k = 0; k < sizeof images / sizeof *images; k++) {
          for (u32 before = 0; before < 2; before++) {
            reset_tables();
            set(NEAR0, (u32)landing & ~0xffff, 0xfffff, 0x9b | ring << 5, 0xc);
            assemble(operations[op].bytes, operations[op].length);
            start(ring, iopl << 12 | (before ? 0x1c0a02 | 0x200000 : 0));
            u32 near = operations[op].size == 2;
            u32 words[3] = {near ? NEAR_OFFSET : (u32)landing, near ? NEAR0 | ring : (CODE0 + 16 * ring) | ring, images[k]};
            push_image(ring, words, 3, operations[op].size);
            run();
            put(" "), outcome(), put("/"), hex(capture.eflags, 6);
          }
        }
        newline();
      }
    }
  }
}
