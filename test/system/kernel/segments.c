/* Segment loads, descriptor queries, limits and I/O permission. */
#include "kernel.h"

static const u8 rings[] = {0, 1, 3};

static const struct { const char *name; u8 bytes[3], length; } operations[] = {
  {"mov ds", {0x8e, 0xd8}, 2}, {"mov fs", {0x8e, 0xe0}, 2}, {"mov ss", {0x8e, 0xd0}, 2}, {"lar", {0x0f, 0x02, 0xd8}, 3}, {"lsl", {0x0f, 0x03, 0xd8}, 3},
  {"verr", {0x0f, 0x00, 0xe0}, 3}, {"verw", {0x0f, 0x00, 0xe8}, 3}, {"lldt", {0x0f, 0x00, 0xd0}, 3}, {"ltr", {0x0f, 0x00, 0xd8}, 3},
};

/* Every access byte x RPL x CPL x operation, with EAX = selector. */
void group_loads(void) {
  for (u32 op = 0; op < sizeof operations / sizeof *operations; op++) {
    for (u32 r = 0; r < sizeof rings; r++) {
      for (u32 access = 0; access < 256; access++) {
        put(operations[op].name), put(" cpl "), hex(rings[r], 1), put(" type "), hex(access, 2), put(":");
        for (u32 rpl = 0; rpl < 4; rpl++) {
          reset_tables();
          set(T, 0, 0x12345, access, 0xc);
          assemble(operations[op].bytes, operations[op].length);
          start(rings[r], 0x8d5);
          c.eax = T | rpl;
          run();
          put(" "), outcome();
          if (capture.vector == 6) {
            put("/"), hex(capture.ebx, 8), put("/"), number(capture.eflags & 0x8d5), put("/");
            number(op == 0 ? capture.ds : op == 1 ? capture.fs : capture.ss);
          }
          if (access_of(T) != access) put("/a"), hex(access_of(T), 2);
        }
        newline();
      }
    }
  }
  /* Selectors that name nothing: null, beyond the table, LDT without one. */
  static const u16 odd[] = {0, 1, 2, 3, GDT_END, GDT_END + 4, 0xfff8, 4, 7, 0xc};
  for (u32 op = 0; op < sizeof operations / sizeof *operations; op++) {
    for (u32 r = 0; r < sizeof rings; r++) {
      put(operations[op].name), put(" odd selectors cpl "), hex(rings[r], 1), put(":");
      for (u32 k = 0; k < sizeof odd / sizeof *odd; k++) {
        reset_tables();
        assemble(operations[op].bytes, operations[op].length);
        start(rings[r], 0x8d5);
        c.eax = odd[k];
        run();
        put(" "), outcome();
        if (capture.vector == 6) put("/"), hex(capture.ebx, 8), put("/"), number(capture.eflags & 0x8d5), put("/"), number(capture.ds);
      }
      newline();
    }
  }
}

/* Reads and writes of every size around the limit of each kind of segment, in DS and in SS. */
void group_limits(void) {
  static const struct { const char *name; u32 limit, access, flags; } kinds[] = {
    {"up byte", 0xfff, 0xf2, 4}, {"up page", 0xf, 0xf2, 0xc}, {"up full", 0xfffff, 0xf2, 0xc}, {"up 16", 0xffff, 0xf2, 0},
    {"down byte", 0xfff, 0xf6, 4}, {"down 16", 0xfff, 0xf6, 0}, {"down page", 0xf, 0xf6, 0xc}, {"down all", 0xffff, 0xf6, 0},
    {"read-only", 0xfff, 0xf0, 4}, {"code", 0xfff, 0xfa, 4}, {"execute-only", 0xfff, 0xf8, 4},
  };
  static const u32 offsets[] = {0, 0xffc, 0xffd, 0xffe, 0xfff, 0x1000, 0xfffc, 0xfffd, 0xffff, 0x10000, 0xfffffff0, 0xfffffffc, 0xfffffffd, 0xffffffff};
  static const struct { const char *name; u8 bytes[4], length; } accesses[] = {
    {"r1", {0x8a, 0x03}, 2}, {"r2", {0x66, 0x8b, 0x03}, 3}, {"r4", {0x8b, 0x03}, 2}, {"w1", {0x88, 0x03}, 2}, {"w2", {0x66, 0x89, 0x03}, 3},
    {"w4", {0x89, 0x03}, 2}, {"rw4", {0x83, 0x03, 0x00}, 3}, {"r8", {0x0f, 0x6f, 0x03}, 3}, {"w8", {0x0f, 0x7f, 0x03}, 3},
  };
  for (u32 k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    for (u32 in_ss = 0; in_ss < 2; in_ss++) {
      if (in_ss && k >= 8) continue;
      for (u32 a = 0; a < sizeof accesses / sizeof *accesses; a++) {
        put("limit "), put(kinds[k].name), put(in_ss ? " ss " : " ds "), put(accesses[a].name), put(":");
        for (u32 o = 0; o < sizeof offsets / sizeof *offsets; o++) {
          reset_tables();
          /* A base such that every offset that is let through hits RAM that does not matter. */
          u32 offset = offsets[o];
          set(T, 0x400000 - (offset & 0xfffff000), kinds[k].limit, kinds[k].access, kinds[k].flags);
          u8 bytes[8];
          u32 n = 0;
          if (in_ss) bytes[n++] = 0x36;
          for (u32 i = 0; i < accesses[a].length; i++) bytes[n++] = accesses[a].bytes[i];
          assemble(bytes, n);
          start(3, 0);
          c.ebx = offset;
          if (in_ss) c.frame[4] = T | 3;
          else c.ds = T | 3;
          run();
          put(" "), outcome();
        }
        newline();
      }
    }
  }
}

/* The I/O permission map by port, size and bit; IOPL; TSS limits. */
void group_ports(void) {
  static const u16 ports[] = {0x80, 0x81, 0x86, 0x87, 0x88, 0x8c, 0x8f, 0x90, 0x13f, 0x140, 0x147};
  static const struct { const char *name; u8 bytes[2], length; } accesses[] = {
    {"in1", {0xec}, 1}, {"in2", {0x66, 0xed}, 2}, {"in4", {0xed}, 1}, {"out1", {0xee}, 1}, {"outs1", {0x6e}, 1}, {"ins4", {0x6d}, 1},
  };
  for (u32 ring = 0; ring < 4; ring++) {
    for (u32 iopl = 0; iopl < 4; iopl++) {
      for (u32 a = 0; a < sizeof accesses / sizeof *accesses; a++) {
        for (u32 limit = 0x66; limit < 0x94; limit++) {
          if (limit > 0x69 && limit < 0x8e) continue;
          put("port cpl "), hex(ring, 1), put(" iopl "), hex(iopl, 1), put(" "), put(accesses[a].name), put(" tss "), number(limit), put(":");
          for (u32 p = 0; p < sizeof ports / sizeof *ports; p++) {
            reset_tables();
            u8 *map = (u8 *)tss + 0x68;
            map[0x87 >> 3] |= 1 << 7;
            map[0x8f >> 3] |= 1 << 7;
            assemble(accesses[a].bytes, accesses[a].length);
            start(ring, iopl << 12);
            c.edx = ports[p];
            c.esi = c.edi = ring_stack[1];
            tss_limit = limit;
            run();
            tss_limit = 0xff;
            if (capture.vector == 6) put(" +");
            else put(" "), outcome();
          }
          newline();
        }
      }
    }
  }
}
