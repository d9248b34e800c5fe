# Self-modifying code: each case runs code, changes it while it is live, and runs it again. On an IA-32 processor every store is seen by the next
# instruction that is fetched (SDM volume 3, section 12.6); a translator must notice each of these.

.include "demo.inc"
.set ROUNDS, 1000
.set REPLACEMENT_SIZE, 6               # mov eax, imm32; ret

.text
.global show_patching
show_patching:
  pushad
  say "Code that modifies itself.\r\n\r\n"

  say "  a function, and after its operand was patched       "
  mov dword ptr [constant_operand], 11
  call constant_function
  call print_decimal
  say " "
  mov dword ptr [constant_operand], 22
  call constant_function
  call print_decimal

  say "\r\n  the very next instruction, patched by this one      "
  mov al, 33
  call patch_next
  call print_decimal
  say " "
  mov al, 44
  call patch_next
  call print_decimal

  say "\r\n  a loop that rewrites its own body each round        "
  call patch_loop
  call print_decimal
  say ", expected "
  mov eax, ROUNDS * (ROUNDS + 1) / 2
  call print_decimal

  say "\r\n  patched through a second mapping of the page        "
  mov dword ptr [constant_operand], 55
  call constant_function
  call print_decimal
  say " "
  mov eax, ALIAS
  mov edx, offset patch_page
  mov ecx, PTE_PRESENT | PTE_WRITE
  call map_page
  mov dword ptr [ALIAS + (constant_operand - patch_page)], 66
  call constant_function
  call print_decimal

  say "\r\n  replaced whole by a string instruction              "
  mov dword ptr [constant_operand], 77
  call constant_function
  call print_decimal
  say " "
  mov esi, offset replacement
  mov edi, offset constant_function
  mov ecx, REPLACEMENT_SIZE
  rep movsb
  call constant_function
  call print_decimal
  say "\r\n\r\n"
  popad
  ret

replacement:
  mov eax, 88
  ret

# A page of its own, so that a second mapping holds all of it.
.section .patch, "awx"
.balign PAGE_SIZE
patch_page:
constant_function:
  .byte 0xb8                          # mov eax, imm32
constant_operand:
  .long 0
  ret

patch_next:                           # AL = the value to come back with
  mov [1f + 1], al
1: .byte 0xb8
  .long 0
  ret

patch_loop:                           # the sum of 1 ... ROUNDS, each added as an immediate operand
  mov ecx, 1
  xor eax, eax
2: mov [3f + 1], ecx
3: .byte 0x05                          # add eax, imm32
  .long 0
  inc ecx
  cmp ecx, ROUNDS
  jbe 2b
  ret
.balign PAGE_SIZE
