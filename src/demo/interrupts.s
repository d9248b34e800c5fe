# Every entry into the kernel: 256 stubs that make one frame (demo.inc), and what is done for each vector.

.include "demo.inc"
.text

.set STUB_SIZE, 16
.set PIC_END_OF_INTERRUPT, 0x20
.set VECTOR_INVALID_OPCODE, 6
.set VECTOR_PAGE_FAULT, 14
.set PAGE_FAULT_PROTECTION, 1 << 0    # page fault error code: P=1, the page was there

# Vectors 8, 10 to 14, 17 push an error code of their own; the others get a zero, so that all frames are alike.
.balign STUB_SIZE
.global interrupt_stubs
interrupt_stubs:
.set vector, 0
.rept 256
  .balign STUB_SIZE
  .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
  .else
    push 0
  .endif
  .byte 0x68                          # push imm32
  .long vector
  jmp enter_kernel
  .set vector, vector + 1
.endr

.balign STUB_SIZE
enter_kernel:
  pushad
  push ds
  push es
  mov eax, KERNEL_DATA
  mov ds, eax
  mov es, eax
  cld
  mov eax, [esp + FRAME_VECTOR]
  cmp eax, VECTOR_IRQ0
  je timer_interrupt
  cmp eax, VECTOR_IRQ0 + 4
  je serial_interrupt
  cmp eax, VECTOR_SYSCALL
  je system_call
  cmp eax, VECTOR_KERNEL
  je leave_kernel                     # reached only from ring 0: nothing to do but return
  cmp eax, VECTOR_PAGE_FAULT
  je page_fault
  jmp other_exception

.global leave_kernel
leave_kernel:
  pop es
  pop ds
  popad
  add esp, 8
  iretd

timer_interrupt:
  inc dword ptr [timer_ticks]
  mov al, PIC_END_OF_INTERRUPT
  out PIC_MASTER, al
  cmp dword ptr [scheduling], 0
  je leave_kernel
  jmp switch_task                     # tasks.s; comes back to leave_kernel on another stack

serial_interrupt:                     # its only work is to end HLT; the prompt polls the port
  mov al, PIC_END_OF_INTERRUPT
  out PIC_MASTER, al
  jmp leave_kernel

system_call:
  inc dword ptr [system_calls]
  mov eax, [esp + FRAME_EAX]
  mov ebx, [esp + FRAME_EBX]
  cmp eax, SYSCALL_PROBE_DONE
  je probe_done
  cmp eax, SYSCALL_EXIT
  je task_exit
  jmp leave_kernel

# A fault inside the private memory of a task is a page that was never touched: give it one. All others belong to a probe or are a defect.
page_fault:
  mov eax, cr2
  test dword ptr [esp + FRAME_ERROR], PAGE_FAULT_PROTECTION
  jnz other_exception
  cmp eax, TASK_DATA
  jb other_exception
  cmp eax, TASK_DATA_END
  jae other_exception
  and eax, ~(PAGE_SIZE - 1)
  mov ebx, eax
  call new_frame
  mov edx, eax
  mov eax, ebx
  mov ecx, PTE_PRESENT | PTE_WRITE | PTE_USER
  call map_page
  inc dword ptr [demand_faults]
  jmp leave_kernel

other_exception:
  cmp dword ptr [probe_running], 0
  jne probe_faulted
  say "\r\nUnexpected exception "
  mov eax, [esp + FRAME_VECTOR]
  call print_decimal
  say ", error code "
  mov eax, [esp + FRAME_ERROR]
  call print_hex32
  say ", EIP "
  mov eax, [esp + FRAME_EIP]
  call print_hex32
  say ", CR2 "
  mov eax, cr2
  call print_hex32
  jmp power_off

.section .rodata
.global interrupt_stub_size
interrupt_stub_size: .long STUB_SIZE

.bss
.balign 4
.global timer_ticks
timer_ticks: .skip 4
.global system_calls
system_calls: .skip 4
.global demand_faults
demand_faults: .skip 4
