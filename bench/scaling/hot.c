// Cost as the hot code grows: a Multiboot kernel that makes `instructions=N` distinct instructions of machine code, as functions of about a hundred with a
// loop around each body, and runs all of them round and round until `work=M` million instructions were executed, in `passes=P` passes:
//
//   BEGIN hot <pass>
//   END hot <pass> <millions executed> <checksum>
//
// The instructions are what compilers emit most: moves, arithmetic on registers and immediates, loads and stores, and after every few of them a test and a
// branch that is never taken, but could be.

#include "console.h"

#define MAPPED_BYTES (48u << 20)
#define PAGE 4096u
#define PRESENT_WRITABLE 3u
#define CR0_PG_WP (1u << 31 | 1u << 16)
#define BODY 96u         // instructions in a loop, without its own two
#define ROUNDS 8u        // of each loop in a call
#define DATA_WORDS 4096u
#define CODE_BYTES (32u << 20)
#define MOST_FUNCTIONS 16384u

typedef uint32_t (*generated)(uint32_t value);

static uint32_t page_directory[1024] __attribute__((aligned(4096)));
static uint32_t page_tables[MAPPED_BYTES / PAGE] __attribute__((aligned(4096)));
static uint32_t data[DATA_WORDS] __attribute__((aligned(4096)));
static uint8_t code[CODE_BYTES] __attribute__((aligned(4096)));
static generated functions[MOST_FUNCTIONS];
static uint32_t state = 1;

static uint32_t next_random(void) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

static void enable_paging(void) {
  for (uint32_t i = 0; i < MAPPED_BYTES / PAGE; i++) page_tables[i] = i * PAGE | PRESENT_WRITABLE;
  for (uint32_t i = 0; i < MAPPED_BYTES / PAGE / 1024; i++) page_directory[i] = (uint32_t)(page_tables + 1024 * i) | PRESENT_WRITABLE;
  uint32_t cr0;
  __asm__ volatile("movl %0, %%cr3" : : "r"(page_directory));
  __asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
  __asm__ volatile("movl %0, %%cr0" : : "r"(cr0 | CR0_PG_WP) : "memory");
}

static uint8_t *emit32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) *at++ = value >> (8 * i);
  return at;
}

// One instruction on EAX, EDX, EBX, ESI and the data; ECX counts the loop.
static uint8_t *emit_one(uint8_t *at) {
  static const uint8_t registers[] = {0, 2, 3, 6};
  static const uint8_t operations[] = {0x01, 0x31, 0x29};  // add, xor, sub
  uint8_t a = registers[next_random() & 3], b = registers[next_random() & 3];
  uint32_t word = (uint32_t)(data + next_random() % DATA_WORDS);
  switch (next_random() % 10) {
    case 0:
    case 1:  // mov a, [word]
      *at++ = 0x8b, *at++ = 0x05 | a << 3;
      return emit32(at, word);
    case 2:  // mov [word], a
      *at++ = 0x89, *at++ = 0x05 | a << 3;
      return emit32(at, word);
    case 3:  // add a, imm32
      *at++ = 0x81, *at++ = 0xc0 | a;
      return emit32(at, next_random());
    case 4:  // lea a, [b + disp8]
      *at++ = 0x8d, *at++ = 0x40 | a << 3 | b, *at++ = next_random() & 0x7f;
      return at;
    case 5:  // rol a, imm8
      *at++ = 0xc1, *at++ = 0xc0 | a, *at++ = 1 + next_random() % 30;
      return at;
    case 6:  // mov a, b
      *at++ = 0x89, *at++ = 0xc0 | b << 3 | a;
      return at;
    default:  // operation a, b
      *at++ = operations[next_random() % sizeof operations], *at++ = 0xc0 | b << 3 | a;
      return at;
  }
}

// A function of BODY + 2 instructions in a loop, and ten around it.
static uint8_t *emit_function(uint8_t *at) {
  uint8_t *ends[BODY];
  unsigned branches = 0;
  *at++ = 0x53, *at++ = 0x56;                              // push ebx, esi
  *at++ = 0x8b, *at++ = 0x44, *at++ = 0x24, *at++ = 0x0c;  // mov eax, [esp + 12]
  *at++ = 0xb9, at = emit32(at, ROUNDS);                   // mov ecx, ROUNDS
  *at++ = 0x89, *at++ = 0xc2, *at++ = 0x89, *at++ = 0xc3, *at++ = 0x89, *at++ = 0xc6;
  uint8_t *loop = at;
  for (unsigned i = 0; i < BODY;) {
    if (i % 8 == 6) {
      *at++ = 0x85, *at++ = 0xc9;  // test ecx, ecx
      *at++ = 0x0f, *at++ = 0x84;  // jz to the end
      ends[branches++] = at;
      at += 4, i += 2;
    } else {
      at = emit_one(at), i++;
    }
  }
  *at++ = 0x49;                                                      // dec ecx
  *at++ = 0x0f, *at++ = 0x85, at = emit32(at, (uint32_t)(loop - at - 4));  // jnz to the loop
  for (unsigned i = 0; i < branches; i++) emit32(ends[i], (uint32_t)(at - ends[i] - 4));
  *at++ = 0x5e, *at++ = 0x5b, *at++ = 0xc3;
  return at;
}

void guest_main(const struct multiboot_info *info) {
  enable_paging();
  const char *line = info->flags & 4 ? info->cmdline : "";
  uint32_t count = number_option(line, "instructions=", 1000) / BODY;
  uint32_t work = number_option(line, "work=", 100), passes = number_option(line, "passes=", 1);
  if (count < 1) count = 1;
  if (count > MOST_FUNCTIONS) count = MOST_FUNCTIONS;
  for (unsigned i = 0; i < DATA_WORDS; i++) data[i] = next_random();
  uint8_t *at = code;
  for (uint32_t i = 0; i < count; i++) {
    functions[i] = (generated)at;
    at = emit_function(at);
    at += -(uint32_t)at & 15;
  }
  // Ten instructions of the function outside its loop and fourteen of the call are counted too.
  uint32_t calls = work * 1000000u / (ROUNDS * (BODY + 2) + 24);
  uint32_t checksum = 1;
  for (uint32_t pass = 0; pass < passes; pass++) {
    print("BEGIN hot "), print_number(pass, 10, 1), print("\n");
    for (uint32_t call = 0, next = 0; call < calls; call++) {
      checksum = (checksum << 5 | checksum >> 27) ^ functions[next](checksum);
      if (++next == count) next = 0;
    }
    print("END hot "), print_number(pass, 10, 1), print(" "), print_number(work, 10, 1), print(" "), print_number(checksum, 16, 8), print("\n");
  }
  end();
}
