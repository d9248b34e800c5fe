// Nanobenchmarks: a Multiboot kernel that does one operation of a machine many times over, after Adams and Agesen, "A Comparison of Software and Hardware
// Techniques for x86 Virtualization" (ASPLOS 2006), section 6.3. It does the operation its command line names (`kernel=NAME`, or all) in `passes=N` passes and
// marks each:
//
//   BEGIN <name> <pass>
//   END <name> <pass> <operations> <result>
//
// The result is counted by what the operation did, and must be as many as the operations. `percent=N` does less (or more) of everything.

#include "nano.h"

#include "console.h"

#define PAGE 4096u
#define MAPPED_BYTES (16u << 20)
#define WINDOW 0x40000000u
#define WINDOW_PAGES 1024u
#define PRESENT_WRITABLE_USER 7u
#define UNCACHED (1u << 4)
#define CR0_PG_WP (1u << 31 | 1u << 16)
#define GATE 0x8e00u
#define GATE_FROM_USER 0xee00u
#define FIRST_IRQ 0x20
#define TIMER_IRQ 0
#define SERIAL_IRQ 4
#define APIC 0xfee00000u
#define TASK_PRIORITY (*(volatile uint32_t *)(APIC + 0x80))

uint32_t task_state[26];
uint32_t window_table[1024] __attribute__((aligned(4096)));
volatile uint32_t ticks;

static uint32_t page_directory[1024] __attribute__((aligned(4096)));
static uint32_t other_directory[1024] __attribute__((aligned(4096)));
static uint32_t page_tables[MAPPED_BYTES / PAGE] __attribute__((aligned(4096)));
static uint32_t apic_table[1024] __attribute__((aligned(4096)));
static uint64_t descriptors[6], gates[256];

static void set_gate(unsigned vector, void (*handler)(void), uint32_t type) {
  uint32_t address = (uint32_t)handler;
  gates[vector] = (uint64_t)((address & 0xffff0000) | type) << 32 | (uint32_t)KERNEL_CODE << 16 | (address & 0xffff);
}

static void load_tables(void) {
  uint32_t task = (uint32_t)task_state, limit = sizeof task_state - 1;
  descriptors[1] = 0x00cf9a000000ffffull, descriptors[2] = 0x00cf92000000ffffull;
  descriptors[3] = 0x00cffa000000ffffull, descriptors[4] = 0x00cff2000000ffffull;
  descriptors[5] = (uint64_t)(task >> 24) << 56 | 0x0000890000000000ull | (uint64_t)(task & 0xffffff) << 16 | limit;
  task_state[2] = KERNEL_DATA;
  task_state[25] = sizeof task_state << 16;  // no I/O permission map
  for (unsigned vector = 0; vector < 32; vector++) set_gate(vector, (void (*)(void))unexpected_handlers[vector], GATE);
  set_gate(0, on_divide, GATE);
  set_gate(0x80, on_int80, GATE_FROM_USER);
  set_gate(0x81, on_leave, GATE_FROM_USER);
  set_gate(FIRST_IRQ + TIMER_IRQ, on_timer, GATE);
  set_gate(FIRST_IRQ + SERIAL_IRQ, on_serial, GATE);
  struct __attribute__((packed)) {
    uint16_t limit;
    uint32_t base;
  } gdt = {sizeof descriptors - 1, (uint32_t)descriptors}, idt = {sizeof gates - 1, (uint32_t)gates};
  __asm__ volatile("lgdt %0; lidt %1; ltr %2" : : "m"(gdt), "m"(idt), "r"((uint16_t)TASK) : "memory");
}

static void enable_paging(void) {
  for (uint32_t i = 0; i < MAPPED_BYTES / PAGE; i++) page_tables[i] = i * PAGE | PRESENT_WRITABLE_USER;
  for (uint32_t i = 0; i < MAPPED_BYTES / PAGE / 1024; i++) page_directory[i] = (uint32_t)(page_tables + 1024 * i) | PRESENT_WRITABLE_USER;
  page_directory[WINDOW >> 22] = (uint32_t)window_table | PRESENT_WRITABLE_USER;
  page_directory[APIC >> 22] = (uint32_t)apic_table | PRESENT_WRITABLE_USER;
  apic_table[APIC >> 12 & 1023] = APIC | PRESENT_WRITABLE_USER | UNCACHED;
  for (unsigned i = 0; i < 1024; i++) other_directory[i] = page_directory[i];
  for (uint32_t frame = 0; frame < FRAMES; frame++) *(uint32_t *)(frames + frame * PAGE) = frame;
  uint32_t cr0;
  __asm__ volatile("movl %0, %%cr3" : : "r"(page_directory));
  __asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
  __asm__ volatile("movl %0, %%cr0" : : "r"(cr0 | CR0_PG_WP) : "memory");
}

static void set_msr(uint32_t number, uint32_t value) { __asm__ volatile("wrmsr" : : "c"(number), "a"(value), "d"(0)); }

static void flush(uint32_t *directory) { __asm__ volatile("movl %0, %%cr3" : : "r"(directory) : "memory"); }

// Both 8259As: vectors from FIRST_IRQ, all masked.
static void reset_interrupt_controllers(void) {
  static const uint8_t master[] = {FIRST_IRQ, 4, 1, 0xff}, slave[] = {FIRST_IRQ + 8, 2, 1, 0xff};
  out8(0x20, 0x11), out8(0xa0, 0x11);
  for (unsigned i = 0; i < 4; i++) out8(0x21, master[i]), out8(0xa1, slave[i]);
}

static void mask(uint8_t lines) { out8(0x21, lines); }

void unexpected(uint32_t vector, uint32_t eip) {
  print("UNEXPECTED exception "), print_number(vector, 10, 1), print(" at "), print_number(eip, 16, 8), print("\n");
  end();
}

// The operations. Each returns how many really happened.

static uint32_t int80(uint32_t count) { return run_user(user_int80, count, 0); }
static uint32_t sysenter(uint32_t count) { return run_user(user_sysenter, count, 0); }
static uint32_t divide(uint32_t count) { return run_user(user_divide, count, 0); }

static uint32_t page_fault(uint32_t count) {
  set_gate(14, on_page_fault_skip, GATE);
  return run_user(user_page_fault, count, WINDOW);
}

static uint32_t demand_page(uint32_t count) {
  uint32_t right = 0;
  set_gate(14, on_page_fault_map, GATE);
  for (; count; count -= WINDOW_PAGES) {
    for (unsigned i = 0; i < WINDOW_PAGES; i++) window_table[i] = 0;
    flush(page_directory);
    uint32_t sum = run_user(user_touch, WINDOW_PAGES, WINDOW);
    if (sum == WINDOW_PAGES / FRAMES * (FRAMES * (FRAMES - 1) / 2)) right += WINDOW_PAGES;
  }
  return right;
}

// To another address space and back, with sixteen pages used in each.
static uint32_t address_space(uint32_t count) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    flush(i & 1 ? page_directory : other_directory);
    for (uint32_t page = 1; page <= 16; page++) sum += *(volatile uint32_t *)(frames + page * PAGE);
  }
  flush(page_directory);
  return sum / (16 * 17 / 2);
}

// A page table entry changed and its translation dropped: the page's word must be the new frame's.
static uint32_t invlpg(uint32_t count) {
  uint32_t right = 0;
  volatile uint32_t *page = (volatile uint32_t *)WINDOW;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t frame = i & (FRAMES - 1);
    window_table[0] = (uint32_t)(frames + frame * PAGE) | PRESENT_WRITABLE_USER;
    __asm__ volatile("invlpg %0" : : "m"(*page) : "memory");
    right += *page == frame;
  }
  return right;
}

// The local APIC's task priority: a register with no effect here, where no interrupt of the APIC's own is to come.
static uint32_t mmio_read(uint32_t count) {
  uint32_t sum = 0;
  TASK_PRIORITY = 0x10;
  for (uint32_t i = 0; i < count; i++) sum += TASK_PRIORITY;
  return sum;
}

static uint32_t mmio_write(uint32_t count) {
  for (uint32_t i = 1; i <= count; i++) TASK_PRIORITY = i & 0x7f;
  uint32_t last = TASK_PRIORITY;
  TASK_PRIORITY = 0;
  return last == (count & 0x7f) ? count : 0;
}

static uint32_t self_modify(uint32_t count) {
  static uint8_t code[PAGE] __attribute__((aligned(4096)));
  uint32_t right = 0;
  code[0] = 0xb8, code[5] = 0xc3;  // mov eax, imm32; ret
  for (uint32_t i = 0; i < count; i++) {
    *(volatile uint32_t *)(code + 1) = i * 0x01000193u;
    right += ((uint32_t(*)(void))code)() == i * 0x01000193u;
  }
  return right;
}

// The serial port raises "transmitter holding register empty" each time that interrupt is enabled: an external interrupt with no wait for a clock.
static uint32_t serial_interrupt(uint32_t count) {
  ticks = 0;
  out8(COM1 + 4, 8 | in8(COM1 + 4));  // OUT2 connects the line
  mask((uint8_t)~(1u << SERIAL_IRQ));
  __asm__ volatile("sti");
  for (uint32_t i = 0; i < count; i++) {
    out8(COM1 + 1, 2);
    for (unsigned wait = 0; ticks == i && wait < 100000; wait++) __asm__ volatile("nop");
    out8(COM1 + 1, 0);
  }
  __asm__ volatile("cli");
  mask(0xff);
  return ticks;
}

static void set_timer(uint8_t how, uint16_t interval) { out8(0x43, how), out8(0x40, (uint8_t)interval), out8(0x40, interval >> 8); }

// The shortest interval of the PIT (mode 0, one tick of 838 ns), and a wait for its interrupt.
static uint32_t timer(uint32_t count, int halts) {
  ticks = 0;
  mask((uint8_t)~(1u << TIMER_IRQ));
  for (uint32_t i = 0; i < count; i++) {
    set_timer(0x30, 1);
    if (halts) {
      while (ticks == i) __asm__ volatile("sti; hlt; cli" : : : "memory");
    } else {
      __asm__ volatile("sti");
      for (unsigned wait = 0; ticks == i && wait < 50000000; wait++) __asm__ volatile("");
      __asm__ volatile("cli");
    }
  }
  mask(0xff);
  set_timer(0x30, 0);
  return ticks;
}
static uint32_t timer_wait(uint32_t count) { return timer(count, 0); }
static uint32_t timer_halt(uint32_t count) { return timer(count, 1); }

// Each count takes a tenth of a second or more: a machine may hand its output out only every ten milliseconds.
static const struct operation {
  const char *name;
  uint32_t (*run)(uint32_t count);
  uint32_t count;
  uint32_t result_of_one;
} operations[] = {
    {"int80", int80, 1000000, 1},
    {"sysenter", sysenter, 1000000, 1},
    {"in", in_loop, 10000000, 0xff},
    {"out", out_loop, 10000000, 1},
    {"mmio-read", mmio_read, 2000000, 0x10},
    {"mmio-write", mmio_write, 2000000, 1},
    {"page-fault", page_fault, 400000, 1},
    {"demand-page", demand_page, 400 * WINDOW_PAGES, 1},
    {"cr3", cr3_loop, 2000000, 1},
    {"address-space", address_space, 100000, 1},
    {"invlpg", invlpg, 3000000, 1},
    {"call-ret", call_loop, 100000000, 1},
    {"divide", divide, 400000, 1},
    {"popf", popf_loop, 4000000, 1},
    {"pushf", pushf_loop, 10000000, 1},
    {"cli-sti", cli_sti_loop, 4000000, 1},
    {"self-modify", self_modify, 200000, 1},
    {"interrupt", serial_interrupt, 200000, 1},
    {"timer-wait", timer_wait, 400, 1},
    {"timer-halt", timer_halt, 400, 1},
};

static void run(const struct operation *operation, uint32_t passes, uint32_t percent) {
  uint32_t count = operation->count / 100 * percent;
  if (count % WINDOW_PAGES && operation->run == demand_page) count = (count / WINDOW_PAGES + 1) * WINDOW_PAGES;
  for (uint32_t pass = 0; pass < passes; pass++) {
    print("BEGIN "), print(operation->name), print(" "), print_number(pass, 10, 1), print("\n");
    uint32_t result = operation->run(count) / operation->result_of_one;
    print("END "), print(operation->name), print(" "), print_number(pass, 10, 1);
    print(" "), print_number(count, 10, 1), print(" "), print_number(result, 10, 1), print("\n");
  }
}

void guest_main(const struct multiboot_info *info) {
  load_tables();
  enable_paging();
  reset_interrupt_controllers();
  set_msr(0x174, KERNEL_CODE), set_msr(0x175, (uint32_t)sysenter_stack_top), set_msr(0x176, (uint32_t)on_sysenter);
  const char *line = info->flags & 4 ? info->cmdline : "";
  const char *wanted = option(line, "kernel=");
  uint32_t passes = number_option(line, "passes=", 1), percent = number_option(line, "percent=", 100);
  for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++)
    if (!wanted || names(wanted, operations[i].name)) run(&operations[i], passes, percent);
  end();
}
