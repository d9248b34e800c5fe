/* A Multiboot kernel that prints on COM1 what its boot loader handed it, and leaves through port f4h. */
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#ifdef ADDRESS_FIELDS
#define FLAGS 0x10003
extern u8 load_start[], load_end[], bss_end[];
void start(void);
__attribute__((section(".multiboot"), used)) const struct {
  u32 magic, flags, checksum;
  const void *header, *load, *end, *bss, *entry;
} header = {0x1badb002, FLAGS, -(0x1badb002 + FLAGS), &header, load_start, load_end, bss_end, start};
#else
#define FLAGS 3
__attribute__((section(".multiboot"), used)) const u32 header[] = {0x1badb002, FLAGS, -(0x1badb002 + FLAGS)};
#endif

static u8 stack[8192] __attribute__((aligned(16), used));
static u32 zeroed[3000];

static void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port)); }
static void put(const char *s) {
  for (; *s; s++) outb(0x3f8, *s);
}
static void line(const char *name, u32 value) {
  put(name);
  for (int shift = 28; shift >= 0; shift -= 4) outb(0x3f8, "0123456789abcdef"[value >> shift & 15]);
  put("\n");
}
static u32 limit(u16 selector) {
  u32 value = 0;
  __asm__("lsl %1, %0" : "=r"(value) : "r"((u32)selector));
  return value;
}

struct module { u32 start, end; const char *string; u32 reserved; };
struct info {
  u32 flags, lower, upper, boot_device;
  const char *command_line;
  u32 module_count;
  struct module *modules;
  u32 symbols[4], map_length, map;
};

__attribute__((used)) void report(u32 magic, struct info *info, u32 flags) {
  u32 cr0, sum = 0;
  u16 cs, ss, ds, es, fs, gs;
  __asm__("mov %%cr0, %0" : "=r"(cr0));
  __asm__("mov %%cs, %0; mov %%ss, %1; mov %%ds, %2; mov %%es, %3; mov %%fs, %4; mov %%gs, %5" : "=r"(cs), "=r"(ss), "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
  line("magic ", magic);
  line("protected mode, no paging ", cr0 & 0x80000001);
  line("interrupts and direction ", flags & 0x600);
  u16 selectors[] = {cs, ss, ds, es, fs, gs};
  for (int i = 0; i < 6; i++) line("limit ", limit(selectors[i]));
  for (u32 i = 0; i < 3000; i++) sum |= zeroed[i];
  line("bss ", sum);
  volatile u32 *low = (u32 *)0x7fff0, *high = (u32 *)0x17fff0;
  u32 kept = *high;
  *low = 0x12345678;
  *high = 0x87654321;
  line("1 MiB apart with A20 open ", *low != *high);
  *high = kept;
  line("has memory, command line, modules, map ", info->flags & 0x4d);
  line("memory below 1 MiB is 639 KiB or 640 ", info->lower == 639 || info->lower == 640);
  put("command line ");
  put(info->command_line);
  put("\n");
  line("modules ", info->module_count);
  for (u32 i = 0; i < info->module_count; i++) {
    struct module *m = info->modules + i;
    line("aligned ", m->start & 0xfff);
    line("bytes ", m->end - m->start);
    sum = 0;
    for (u8 *p = (u8 *)m->start; p < (u8 *)m->end; p++) sum = sum * 31 + *p;
    line("sum ", sum);
    put("string ");
    put(m->string);
    put("\n");
  }
  u32 usable_from = 0;
  for (u32 at = info->map; at < info->map + info->map_length; at += *(u32 *)at + 4) {
    u32 *e = (u32 *)at;
    if (e[5] == 1 && e[1] == 0x100000) usable_from = e[1];
  }
  line("usable from ", usable_from);
  outb(0xf4, 0x10);
  for (;;) __asm__("cli; hlt");
}

__asm__(".globl start\nstart: mov $stack + 8192, %esp\n pushf\n push %ebx\n push %eax\n call report\n");
