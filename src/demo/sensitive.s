# Every sensitive instruction, executed as a probe in ring 0 and in ring 3, and what the guest sees.
#
# An instruction is sensitive when its result depends on, or changes, the state a virtual machine monitor must keep to itself (Popek & Goldberg 1974).
# The first group is the one of Robin & Irvine (USENIX Security 2000): sensitive, but not trapping in ring 3, which is why x86 could not be
# virtualized by trap and emulate. The second group is the privileged instructions, which do trap.

.include "demo.inc"

.set MSR_SYSENTER_CS,  0x174
.set MSR_SYSENTER_ESP, 0x175
.set MSR_SYSENTER_EIP, 0x176
.set PORT_POST,        0x80           # the POST code port: written by everybody, read by nobody

# How the value of a probe is shown.
.set AS_DONE,     0
.set AS_HEX32,    4
.set AS_HEX16,    8
.set AS_IF,       12                  # bit 9 of an EFLAGS image
.set AS_ZF,       16                  # 0 or 1
.set AS_SELECTOR, 20                  # with the ring in its two low bits

# One row: mnemonic, format, the reason why it is sensitive, and after it the code.
.macro probe name, format, reason
  .section .rodata.names, "a"
7:  .asciz "\name"
8:  .asciz "\reason"
  .section .rodata.rows, "a"
  .long 7b, \format, 8b, 6f
  .section .user, "ax"
6:
.endm

.text
.global show_sensitive
show_sensitive:
  pushad
  # RDTSC is sensitive only when CR4.TSD asks for a trap in ring 3.
  mov eax, cr4
  or eax, CR4_TSD
  mov cr4, eax
  call prepare_sysenter

  say "Sensitive instructions: what the guest sees when it executes them in ring 0 and in ring 3.\r\n\r\n"
  say "  instruction  ring 0            ring 3            in ring 3\r\n"
  say "  -----------  ----------------  ----------------  ---------\r\n"
  mov esi, offset sensitive_rows
1: cmp esi, offset sensitive_rows_end
  jae 2f
  say "  "
  mov eax, [esi]
  mov ecx, 13
  call print_padded
  xor edx, edx
  call show_probe_result
  mov edx, 3
  call show_probe_result
  mov eax, [esi + 8]
  cmp dword ptr [probe_vector], -1
  je 3f
  mov eax, offset traps_text
3: call print_string
  say "\r\n"
  add esi, 16
  jmp 1b
2: say "\r\n"
  mov eax, cr4
  and eax, ~CR4_TSD
  mov cr4, eax
  popad
  ret

# The prompt's "popf": that row alone, in words.
.global show_popf
show_popf:
  pushad
  mov eax, offset popf_probe
  xor edx, edx
  call run_probe
  say "POPF with IF clear in ring 0: now IF="
  call print_probed_if
  mov eax, offset popf_probe
  mov edx, 3
  call run_probe
  say "\r\nPOPF with IF clear in ring 3: now IF="
  call print_probed_if
  say " (no trap: a monitor that only waits for traps never learns of it)\r\n"
  popad
  ret

print_probed_if:
  mov eax, [probe_value]
  shr eax, 9
  and eax, 1
  call print_decimal
  ret

# ESI = row, EDX = ring: runs it and prints one column, COLUMN_WIDTH wide.
.set COLUMN_WIDTH, 18
show_probe_result:
  mov eax, [esi + 12]
  call run_probe
  cmp dword ptr [probe_vector], -1
  jne 1f
  mov ecx, [esi + 4]
  mov eax, [probe_value]
  call [formats + ecx]
  mov ecx, [widths + ecx]
  jmp 2f
1: call print_probe_fault
  mov ecx, 9                          # "#GP(0000)"
  cmp dword ptr [probe_vector], 10
  jae 2f
  mov ecx, 3                          # "#UD"
2: neg ecx
  add ecx, COLUMN_WIDTH
  mov eax, offset empty_text
  call print_padded
  ret

show_done:
  say "done"
  ret
show_hex32:
  call print_hex32
  ret
show_hex16:
  call print_hex16
  ret
show_if:
  say "IF="
  shr eax, 9
  and eax, 1
  call print_decimal
  ret
show_zf:
  say "ZF="
  call print_decimal
  ret
show_selector:
  call print_hex16
  say " ring "
  and eax, 3
  call print_decimal
  ret

# SYSENTER from anywhere arrives at sysenter_entry on a stack of its own.
prepare_sysenter:
  xor edx, edx
  mov ecx, MSR_SYSENTER_CS
  mov eax, KERNEL_CODE
  wrmsr
  mov ecx, MSR_SYSENTER_ESP
  mov eax, offset sysenter_stack_top
  wrmsr
  mov ecx, MSR_SYSENTER_EIP
  mov eax, offset sysenter_entry
  wrmsr
  ret

sysenter_entry:
  mov ebx, cs
  jmp probe_done

probe "SGDT", AS_HEX32, "no trap: reads the address of the real GDT"
  sub esp, 8
  sgdt [esp]
  mov eax, [esp + 2]
  add esp, 8
  ret
probe "SIDT", AS_HEX32, "no trap: reads the address of the real IDT"
  sub esp, 8
  sidt [esp]
  mov eax, [esp + 2]
  add esp, 8
  ret
probe "SLDT", AS_HEX16, "no trap: reads the real LDT selector"
  sldt ax
  ret
probe "STR", AS_HEX16, "no trap: reads the real task register"
  str ax
  ret
probe "SMSW", AS_HEX16, "no trap: reads the real CR0"
  smsw ax
  ret
probe "PUSHF", AS_IF, "no trap: shows the real IF and IOPL"
  pushfd
  pop eax
  ret
probe "POPF", AS_IF, "no trap: silently keeps IF when CPL > IOPL"
popf_probe:
  pushfd
  and dword ptr [esp], ~EFLAGS_IF
  popfd
  pushfd
  pop eax
  ret
probe "IRET", AS_IF, "no trap: silently keeps IF, as POPF does"
  pushfd
  and dword ptr [esp], ~EFLAGS_IF
  mov eax, cs
  push eax
  push offset 1f
  iretd
1: pushfd
  pop eax
  ret
probe "LAR", AS_ZF, "no trap: the answer depends on CPL"
  mov ecx, KERNEL_CODE
  xor eax, eax
  lar edx, ecx
  setz al
  ret
probe "LSL", AS_ZF, "no trap: the answer depends on CPL"
  mov ecx, KERNEL_CODE
  xor eax, eax
  lsl edx, ecx
  setz al
  ret
probe "VERR", AS_ZF, "no trap: the answer depends on CPL"
  mov ecx, KERNEL_DATA
  xor eax, eax
  verr cx
  setz al
  ret
probe "VERW", AS_ZF, "no trap: the answer depends on CPL"
  mov ecx, KERNEL_DATA
  xor eax, eax
  verw cx
  setz al
  ret
probe "MOV r,CS", AS_SELECTOR, "no trap: the selector shows the real ring"
  xor eax, eax
  mov ax, cs
  ret
probe "PUSH CS", AS_SELECTOR, "no trap: the selector shows the real ring"
  push cs
  pop eax
  and eax, 0xffff
  ret
probe "MOV DS,r", AS_DONE, ""
  mov eax, KERNEL_DATA
  mov ds, eax
  ret
probe "POP ES", AS_DONE, ""
  push KERNEL_DATA
  pop es
  ret
probe "LSS", AS_DONE, ""
  mov eax, esp
  push KERNEL_DATA
  push eax
  lss esp, [esp]
  ret
probe "CALL far", AS_DONE, ""
  .byte 0x9a
  .long 1f
  .word KERNEL_CODE
  ret
1: retf
probe "JMP far", AS_DONE, ""
  .byte 0xea
  .long 1f
  .word KERNEL_CODE
1: ret
probe "RET far", AS_DONE, ""
  push KERNEL_CODE
  push offset 1f
  retf
1: ret
probe "INT n", AS_DONE, ""
  int VECTOR_KERNEL
  ret
probe "SYSENTER", AS_SELECTOR, "no trap: the fast way into ring 0"
  sysenter
probe "CPUID", AS_HEX32, "no trap: names the real processor"
  push ebx
  mov eax, 1
  cpuid
  pop ebx
  ret
probe "SYSEXIT", AS_SELECTOR, ""
  mov edx, offset 1f
  mov ecx, offset user_stack_top
  sysexit
1: mov ebx, cs
  mov eax, SYSCALL_PROBE_DONE
  int VECTOR_SYSCALL
probe "CLI", AS_IF, ""
  cli
  pushfd
  pop eax
  ret
probe "STI", AS_IF, ""
  sti
  pushfd
  pop eax
  ret
probe "HLT", AS_DONE, ""
  hlt                                 # the timer ends it
  ret
probe "LGDT", AS_DONE, ""
  sub esp, 8
  sgdt [esp]
  lgdt [esp]
  add esp, 8
  ret
probe "LIDT", AS_DONE, ""
  sub esp, 8
  sidt [esp]
  lidt [esp]
  add esp, 8
  ret
probe "LLDT", AS_DONE, ""
  xor eax, eax
  lldt ax
  ret
probe "LTR", AS_DONE, ""
  mov eax, cs
  test al, 3
  jnz 1f
  and byte ptr [gdt + TASK_STATE + 5], ~2       # LTR wants a TSS that is not busy
1: mov eax, TASK_STATE
  ltr ax
  ret
probe "LMSW", AS_DONE, ""
  smsw ax
  lmsw ax
  ret
probe "CLTS", AS_DONE, ""
  clts
  ret
probe "MOV r,CR0", AS_HEX32, ""
  mov eax, cr0
  ret
probe "MOV CR0,r", AS_DONE, ""
  mov eax, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE
  mov cr0, eax
  ret
probe "MOV r,CR3", AS_HEX32, ""
  mov eax, cr3
  ret
probe "MOV CR3,r", AS_DONE, ""
  mov eax, offset kernel_directory
  mov cr3, eax
  ret
probe "MOV r,CR4", AS_HEX32, ""
  mov eax, cr4
  ret
probe "MOV r,DR7", AS_HEX32, ""
  mov eax, dr7
  ret
probe "MOV DR7,r", AS_DONE, ""
  mov eax, 0x400
  mov dr7, eax
  ret
probe "INVLPG", AS_DONE, ""
  invlpg [esp]
  ret
probe "INVD", AS_DONE, ""
  wbinvd                              # nothing dirty may be lost on a machine with caches
  invd
  ret
probe "WBINVD", AS_DONE, ""
  wbinvd
  ret
probe "RDMSR", AS_HEX32, ""
  mov ecx, MSR_SYSENTER_CS
  rdmsr
  ret
probe "WRMSR", AS_DONE, ""
  mov ecx, MSR_SYSENTER_CS
  mov eax, KERNEL_CODE
  xor edx, edx
  wrmsr
  ret
probe "RDTSC", AS_DONE, ""
  rdtsc
  ret
probe "RDPMC", AS_DONE, ""
  xor ecx, ecx
  rdpmc
  ret
probe "IN", AS_DONE, ""
  mov dx, COM1 + 5
  in al, dx
  ret
probe "OUT", AS_DONE, ""
  out PORT_POST, al
  ret
probe "INS", AS_DONE, ""
  push eax
  mov edi, esp
  mov dx, COM1 + 5
  insb
  pop eax
  ret
probe "OUTS", AS_DONE, ""
  push eax
  mov esi, esp
  mov dx, PORT_POST
  outsb
  pop eax
  ret

.section .rodata
.balign 4
formats: .long show_done, show_hex32, show_hex16, show_if, show_zf, show_selector
widths:  .long 4, 8, 4, 4, 4, 11
traps_text: .asciz "traps"
empty_text: .asciz ""

.bss
.balign 16
sysenter_stack: .skip 512
sysenter_stack_top:
