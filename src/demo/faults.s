# Exceptions provoked on purpose, each as a probe: page faults of every kind first.

.include "demo.inc"

.set UNMAPPED, 0xc0000000

.macro fault ring, text
  .section .rodata.names, "a"
8:  .asciz "\text"
  .section .rodata.faults, "a"
  .long 8b, \ring, 6f
  .section .user, "ax"
6:
.endm

.text
.global show_faults
show_faults:
  pushad
  say "Faults, and what the kernel is told of them.\r\n\r\n"
  mov edi, [first_touch_page]         # the probes find it in EDI
  add dword ptr [first_touch_page], PAGE_SIZE
  mov esi, offset fault_rows
1: cmp esi, offset fault_rows_end
  jae 4f
  say "  "
  mov eax, [esi]
  mov ecx, 52
  call print_padded
  mov ebx, [demand_faults]
  mov edx, [esi + 4]
  mov eax, [esi + 8]
  call run_probe
  cmp dword ptr [probe_vector], -1
  je 2f
  call print_probe_fault
  cmp dword ptr [probe_vector], 14
  jne 3f
  say " CR2 "
  mov eax, [probe_address]
  call print_hex32
  jmp 3f
2: say "value "
  mov eax, [probe_value]
  call print_decimal
  say ", pages mapped on demand: "
  mov eax, [demand_faults]
  sub eax, ebx
  call print_decimal
3: say "\r\n"
  add esi, 12
  jmp 1b
4: say "\r\n"
  popad
  ret

fault 3, "ring 3 reads its own memory for the first time"
  mov eax, [edi]
  ret
fault 3, "ring 3 reads it again"
  mov eax, [edi]
  ret
fault 3, "ring 3 reads the kernel's memory"
  mov eax, [image_start]
  ret
fault 3, "ring 3 writes the kernel's memory"
  mov [image_start], eax
  ret
fault 3, "ring 3 writes its own code, which is read-only"
  mov [user_start], eax
  ret
fault 3, "ring 3 reads where nothing is mapped"
  mov eax, [UNMAPPED]
  ret
fault 3, "ring 3 writes where nothing is mapped"
  mov [UNMAPPED + 0x123], eax
  ret
fault 3, "ring 3 jumps where nothing is mapped"
  mov eax, UNMAPPED + 0x456
  jmp eax
fault 0, "ring 0 writes a read-only page (CR0.WP)"
  mov [user_start], eax
  ret
fault 0, "ring 0 reads where nothing is mapped"
  mov eax, [UNMAPPED]
  ret
fault 0, "a write across the end of the map"
  mov [IDENTITY_END - 2], eax
  ret
fault 3, "a division by zero"
  xor ecx, ecx
  div ecx
  ret
fault 3, "BOUND outside its bounds"
  push 20
  push 10
  mov eax, 21
  bound eax, [esp]
  add esp, 8
  ret
fault 3, "INTO with OF set"
  mov eax, 0x7fffffff
  inc eax
  into
  ret
fault 3, "INT3"
  int3
  ret
fault 3, "UD2"
  ud2
fault 3, "a segment register loaded beyond the GDT"
  mov eax, 0x1230
  mov fs, eax
  ret

.data
.balign 4
first_touch_page: .long TASK_DATA + 0x3000      # a page that no run has touched yet
