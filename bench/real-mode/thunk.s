# From 32-bit code into the 16-bit image (kernels.s), which is copied to 64 KiB, and back.

.text
.global run16, back_from_16
run16:
  pushl %ebx
  pushl %esi
  pushl %edi
  pushl %ebp
  movl %esp, saved_stack
  lgdt table_pointer
  ljmp $0x18, $0
back_from_16:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  movl %eax, %ss
  movl saved_stack, %esp
  popl %ebp
  popl %edi
  popl %esi
  popl %ebx
  ret

.section .rodata
.balign 8
# Flat code and data; 16-bit code and data from 64 KiB; data from 128 KiB and 192 KiB.
table:
  .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
  .quad 0x00009a010000ffff, 0x000092010000ffff, 0x000092020000ffff, 0x000092030000ffff
table_pointer:
  .word . - table - 1
  .long table
.global image16, image16_end
image16:
  .incbin "kernels16.bin"
image16_end:

.bss
saved_stack:
  .long 0

.section .note.GNU-stack, "", @progbits
