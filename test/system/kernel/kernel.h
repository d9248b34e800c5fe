/* What the test groups share: tables, contexts, outcomes, printing. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

/* Selectors. `T` is the descriptor under test; the others are valid. */
enum {
  CODE0 = 0x08, DATA0 = 0x10, CODE1 = 0x18, DATA1 = 0x20, CODE2 = 0x28, DATA2 = 0x30, CODE3 = 0x38, DATA3 = 0x40, TSS = 0x48, DFTSS = 0x50, LDT = 0x58,
  T = 0x60, U = 0x68, TSS2 = 0x70, NEAR0 = 0x78, NEAR3 = 0x80, GDT_END = 0x88
};

struct context {
  u32 eax, ebx, ecx, edx, esi, edi, ebp, ds, es, fs, gs;
  u32 frame[9]; /* EIP CS EFLAGS ESP SS ES DS FS GS */
  u32 words;    /* of the frame: 3, 5 or 9 */
  u32 esp;      /* ESP for ring-0 contexts; 0: the kernel's */
};

/* As the stub leaves it. */
struct capture {
  u32 gs, fs, es, ds, edi, esi, ebp, esp_at_pusha, ebx, edx, ecx, eax;
  u32 vector, error, eip, cs, eflags, esp, ss, ves, vds, vfs, vgs, pad[3];
  u32 handler_ss, cr2, handler_esp;
};
extern volatile struct capture capture;

extern u8 code[];  /* where tests put their instructions; one page, below 64 KiB of NEAR0 and NEAR3's bases */
extern u32 gdt[], idt[], tss[], tss2[], dftss[], ldt[];
extern u8 landing[], landing_end[], df_entry[];
void enter(const struct context *);

void set(u32 selector, u32 base, u32 limit, u32 access, u32 flags);
void set_ldt(u32 index, u32 base, u32 limit, u32 access, u32 flags);
void gate(u32 *at, u32 selector, u32 offset, u32 type, u32 parameters);
void reset_tables(void);
u32 access_of(u32 selector);

/* Runs the bytes now in `code` at ring `ring` with `eflags`; fills `capture`. */
extern struct context c;
extern u32 tss_limit;
void start(int ring, u32 eflags);
void run(void);
/* Sets `code` from a list of bytes ended by UD2. */
void assemble(const u8 *bytes, u32 length);
#define CODE(...) do { static const u8 bytes_[] = {__VA_ARGS__}; assemble(bytes_, sizeof bytes_); } while (0)

extern u32 ring_stack[4]; /* tops of the stacks of each ring */
u32 linear_stack(void);   /* linear address of the interrupted SS:ESP */

void put(const char *);
void hex(u32, int digits);
void number(u32);
void newline(void);
/* "vector(error)@place": the place relative to `code` or `landing`. */
void outcome(void);
/* Selectors, flags and stack of the interrupted code. */
void state(void);
void stack(int count, int size);

void group_loads(void);
void group_transfers(void);
void group_gates(void);
void group_returns(void);
void group_flags(void);
void group_ports(void);
void group_limits(void);
void group_tasks(void);
void group_control(void);
void group_paging(void);
void group_debug(void);
void group_v86(void);
