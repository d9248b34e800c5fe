// The nanobenchmark guest: what nano.c (descriptor tables, paging, the list of operations) and entry.s (handlers and loops) share.

#ifndef NANO_H
#define NANO_H

#include <stdint.h>

// Selectors, in the order SYSENTER and SYSEXIT demand (SDM vol. 2, SYSEXIT): kernel code, kernel data, user code, user data.
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE 0x18
#define USER_DATA 0x20
#define TASK 0x28

// Runs a loop of entry.s at ring 3 with `count` in ECX and `argument` in ESI; returns what it left in EAX.
uint32_t run_user(void (*loop)(void), uint32_t count, uint32_t argument);

// Loops at ring 3.
void user_int80(void), user_sysenter(void), user_page_fault(void), user_divide(void), user_touch(void);
// Loops at ring 0: `count` rounds, the result is returned.
uint32_t call_loop(uint32_t count), popf_loop(uint32_t count), pushf_loop(uint32_t count), cli_sti_loop(uint32_t count);
uint32_t in_loop(uint32_t count), out_loop(uint32_t count), cr3_loop(uint32_t count);

// Handlers, for the interrupt descriptor table.
void on_int80(void), on_leave(void), on_page_fault_skip(void), on_page_fault_map(void), on_divide(void), on_timer(void), on_serial(void), on_sysenter(void);
// Any other exception ends the run with its vector.
extern const uint32_t unexpected_handlers[32];
void unexpected(uint32_t vector, uint32_t eip);

// What the handlers use.
extern uint32_t task_state[26];
extern uint32_t window_table[1024];
extern volatile uint32_t ticks;
extern uint8_t frames[];
extern uint8_t user_stack_top[], sysenter_stack_top[];

#define FRAMES 64u

#endif
