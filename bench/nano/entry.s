# The nanobenchmarks' handlers and loops. A handler does as little as it can: what is measured is the way in and out. Each counts itself in a register of the
# loop it serves, so that the loop's result says how many times it really ran.

.set KERNEL_DATA, 0x10
.set USER_CODE, 0x1b
.set USER_DATA, 0x23
.set LEAVE, 0x81

.text

# uint32_t run_user(void (*loop)(void), uint32_t count, uint32_t argument)
.global run_user
run_user:
  pushl %ebp
  pushl %ebx
  pushl %esi
  pushl %edi
  movl 20(%esp), %edx
  movl 24(%esp), %ecx
  movl 28(%esp), %esi
  movl %esp, task_state + 4           # ESP0: interrupts from ring 3 arrive below what was saved here
  movl $USER_DATA, %eax
  movl %eax, %ds
  movl %eax, %es
  pushl %eax
  pushl $user_stack_top
  pushfl
  pushl $USER_CODE
  pushl %edx
  xorl %eax, %eax
  iret

# INT 81h at ring 3 ends the loop: back to run_user's caller, EAX as it is.
.global on_leave
on_leave:
  movl $KERNEL_DATA, %edx
  movl %edx, %ds
  movl %edx, %es
  addl $20, %esp
  popl %edi
  popl %esi
  popl %ebx
  popl %ebp
  ret

.global user_int80, on_int80
user_int80:
1:
  int $0x80
  decl %ecx
  jnz 1b
  int $LEAVE
on_int80:
  incl %eax
  iret

.global user_sysenter, on_sysenter
user_sysenter:
  movl %ecx, %ebx
1:
  movl %esp, %ecx
  movl $2f, %edx
  sysenter
2:
  decl %ebx
  jnz 1b
  int $LEAVE
on_sysenter:
  incl %eax
  sysexit

# A load that faults; the handler goes on behind it (two bytes).
.global user_page_fault, on_page_fault_skip
user_page_fault:
1:
  movl (%esi), %edx
  decl %ecx
  jnz 1b
  int $LEAVE
on_page_fault_skip:
  addl $4, %esp                       # the error code
  addl $2, (%esp)
  incl %eax
  iret

# One load from each page of the window; the handler maps it. Frame n begins with the word n.
.global user_touch, on_page_fault_map
user_touch:
1:
  addl (%esi), %eax
  addl $4096, %esi
  decl %ecx
  jnz 1b
  int $LEAVE
on_page_fault_map:
  pushl %eax
  pushl %edx
  movl %cr2, %eax
  shrl $12, %eax
  andl $1023, %eax
  movl %eax, %edx
  andl $63, %edx
  shll $12, %edx
  leal frames + 7(%edx), %edx         # present, writable, user
  movl %edx, window_table(,%eax,4)
  popl %edx
  popl %eax
  addl $4, %esp
  iret

.global user_divide, on_divide
user_divide:
  xorl %ebx, %ebx
  xorl %edx, %edx
1:
  divl %ebx                           # two bytes
  decl %ecx
  jnz 1b
  movl %esi, %eax
  int $LEAVE
on_divide:
  addl $2, (%esp)
  incl %esi
  iret

# uint32_t name(uint32_t count): the loops at ring 0. Each returns count when all went well.
.macro loop_at_ring0 name
.global \name
\name:
  movl 4(%esp), %ecx
  xorl %eax, %eax
.endm

loop_at_ring0 call_loop
1:
  call 2f
  call 2f
  call 2f
  call 2f
  addl $4, %eax
  subl $4, %ecx
  jnz 1b
2:
  ret

loop_at_ring0 popf_loop
  pushfl
  popl %edx
1:
  pushl %edx
  popfl
  incl %eax
  decl %ecx
  jnz 1b
  ret

loop_at_ring0 pushf_loop
1:
  pushfl
  popl %edx
  incl %eax
  decl %ecx
  jnz 1b
  ret

loop_at_ring0 cli_sti_loop
1:
  cli
  sti
  incl %eax
  decl %ecx
  jnz 1b
  cli
  ret

# The interrupt controller's mask, which is all ones: a register that can be read without effect.
loop_at_ring0 in_loop
  xorl %edx, %edx
1:
  inb $0x21, %al
  movzbl %al, %eax
  addl %eax, %edx
  decl %ecx
  jnz 1b
  movl %edx, %eax
  ret

# The port of power-on self-test codes, which nothing listens to.
loop_at_ring0 out_loop
1:
  outb %al, $0x80
  incl %eax
  decl %ecx
  jnz 1b
  ret

loop_at_ring0 cr3_loop
  movl %cr3, %edx
1:
  movl %edx, %cr3
  incl %eax
  decl %ecx
  jnz 1b
  ret

.global on_timer, on_serial
on_timer:
  pushl %eax
  incl ticks
  movb $0x20, %al
  outb %al, $0x20
  popl %eax
  iret
on_serial:
  pushl %eax
  pushl %edx
  incl ticks
  movl $0x3fa, %edx                   # reading what interrupted clears it
  inb %dx, %al
  movb $0x20, %al
  outb %al, $0x20
  popl %edx
  popl %eax
  iret

# Handlers of exceptions that nobody expects: unexpected(vector, EIP). Vectors 8, 10 to 14 and 17 push an error code before EIP (SDM vol. 3, table 6-1).
.irp vector, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
unexpected_\vector:
.if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17
  addl $4, %esp
.endif
  pushl $\vector
  call unexpected
.endr

.section .rodata
.balign 4
.global unexpected_handlers
unexpected_handlers:
.irp vector, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  .long unexpected_\vector
.endr

.bss
.balign 4096
.global frames, user_stack_top, sysenter_stack_top
frames:
  .skip 64 * 4096
  .skip 4096
user_stack_top:
  .skip 4096
sysenter_stack_top:

.section .note.GNU-stack, "", @progbits
