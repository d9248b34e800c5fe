# Multiboot 1 header and entry of the bench image: a flat GDT of its own (the loader's need not stay), a stack, and on to C.

.set MAGIC, 0x1badb002
.set FLAGS, 0

.section .multiboot, "a"
.balign 4
  .long MAGIC, FLAGS, -(MAGIC + FLAGS)

.text
.global start
start:
  cli
  cld
  lgdt gdt_pointer
  ljmp $0x08, $1f
1:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  movl %eax, %ss
  movl $stack_top, %esp
  subl $12, %esp                      # the ABI wants ESP 16-byte aligned before the call pushes
  pushl %ebx
  call guest_main

.section .rodata
.balign 8
gdt:
  .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
  .word . - gdt - 1
  .long gdt

.bss
.balign 16
  .skip 65536
stack_top:

.section .note.GNU-stack, "", @progbits
