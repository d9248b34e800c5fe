# Entry of the demo guest, and the order in which it shows things.
#
# The image is a Multiboot 1 kernel in the address-field form (Multiboot Specification 0.6.96, section 3.1.3): the loader copies it to 1 MiB and enters
# `start` in 32-bit protected mode without paging, EAX = 0x2badb002, EBX = the information structure.

.include "demo.inc"

.set MULTIBOOT_MAGIC, 0x1badb002
.set MULTIBOOT_FLAGS, 1 << 16         # the address fields are valid
.set LOADER_MAGIC,    0x2badb002
.set INFO_COMMAND_LINE_FLAG, 1 << 2   # information structure: flags bit 2, "cmdline" at 16

.section .multiboot, "a"
multiboot_header:
  .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
  .long multiboot_header, image_start, image_end, memory_end, start

.text
.global start
start:
  cli
  cld
  mov esp, offset kernel_stack_top
  xor ecx, ecx
  cmp eax, LOADER_MAGIC
  jne 1f
  test dword ptr [ebx], INFO_COMMAND_LINE_FLAG
  jz 1f
  mov ecx, [ebx + 16]
1: mov [command_line], ecx

  call serial_init
  say "\r\nA small kernel, running under whatever runs it. What it can see of its machine:\r\n\r\n"
  call load_tables
  call enable_paging
  call show_machine
  call start_timer
  sti

  call show_sensitive
  call show_faults
  call show_patching
  call show_tasks
  call show_totals

  mov esi, [command_line]
  test esi, esi
  jz power_off
  call wants_prompt
  jnc power_off
  call prompt                         # returns on "off"

.global power_off
power_off:
  say "\r\nPower off.\r\n"
  cli
  mov dx, ACPI_PM1A_CONTROL
  mov ax, ACPI_SLEEP_S5
  out dx, ax
1: hlt                                # a machine without that port: stop for good
  jmp 1b

# ESI = the command line; carry set when it holds the word "interactive" somewhere.
wants_prompt:
  mov ecx, [prompt_word_size]
  mov edx, esi
1: cmp byte ptr [edx], 0
  je 2f
  push ecx
  mov esi, edx
  mov edi, offset prompt_word
  repe cmpsb
  pop ecx
  je 3f
  inc edx
  jmp 1b
2: clc
  ret
3: stc
  ret

show_machine:
  say "protected mode   GDT "
  sub esp, 8
  sgdt [esp]
  mov eax, [esp + 2]
  call print_hex32
  sidt [esp]
  say "  IDT "
  mov eax, [esp + 2]
  add esp, 8
  call print_hex32
  say "  TSS selector "
  str eax
  call print_hex16
  say "\r\npaging           CR0 "
  mov eax, cr0
  call print_hex32
  say "  CR3 "
  mov eax, cr3
  call print_hex32
  say "  4 KiB pages, "
  mov eax, IDENTITY_END >> 20
  call print_decimal
  say " MiB mapped one to one\r\nprocessor        "
  call print_vendor
  say "\r\n\r\n"
  ret

show_totals:
  say "In all: "
  mov eax, [timer_ticks]
  call print_decimal
  say " timer ticks, "
  mov eax, [task_switches]
  call print_decimal
  say " task switches, "
  mov eax, [system_calls]
  call print_decimal
  say " system calls, "
  mov eax, [demand_faults]
  call print_decimal
  say " pages mapped on demand, "
  mov eax, [probe_faults]
  call print_decimal
  say " faults provoked.\r\n"
  ret

.section .rodata
prompt_word: .ascii "interactive"
.balign 4
prompt_word_size: .long 11

.bss
.balign 16
kernel_stack: .skip 16384
.global kernel_stack_top
kernel_stack_top:
command_line: .skip 4
