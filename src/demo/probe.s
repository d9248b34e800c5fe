# A probe runs a few instructions and tells what came of them: the value they left in EAX, or the exception they raised. The same code runs in ring 0 and in
# ring 3; it lies in pages both may read (section .user). At most one probe runs at a time, with the kernel's page directory and interrupts on.
#
# Both ways out (the value and the exception) drop whatever is on the stack and resume the caller of run_probe as if it had returned.

.include "demo.inc"
.text

# EAX = the probe's code, EDX = ring (0 or 3). Fills probe_vector (-1: none), probe_error, probe_address and probe_value.
.global run_probe
run_probe:
  pushad
  pushfd
  mov dword ptr [probe_vector], -1
  mov dword ptr [probe_running], 1
  mov [probe_stack], esp
  # Interrupts that strike in ring 3 shall not overwrite what lies below this frame.
  mov [tss + 4], esp
  test edx, edx
  jnz 1f
  call eax
  mov [probe_value], eax
  jmp probe_return
1: mov ecx, USER_DATA
  mov ds, ecx
  mov es, ecx
  push USER_DATA
  push offset user_stack_top
  pushfd
  push USER_CODE
  push offset probe_in_ring3
  iretd

.global probe_done
probe_done:                           # system call from probe_in_ring3: EBX = value
  mov [probe_value], ebx
  jmp probe_return

.global probe_faulted
probe_faulted:                        # ESP = the frame of the exception
  mov eax, [esp + FRAME_VECTOR]
  mov [probe_vector], eax
  mov eax, [esp + FRAME_ERROR]
  mov [probe_error], eax
  mov eax, cr2
  mov [probe_address], eax
  inc dword ptr [probe_faults]

probe_return:
  mov esp, [probe_stack]
  mov dword ptr [probe_running], 0
  mov eax, KERNEL_DATA
  mov ds, eax
  mov es, eax
  popfd
  popad
  ret

# Prints "#GP(0018)" or the like for the exception that the last probe raised.
.global print_probe_fault
print_probe_fault:
  push eax
  push ecx
  mov ecx, [probe_vector]
  mov eax, offset unknown_exception
  cmp ecx, 17
  ja 1f
  mov eax, [exception_names + ecx * 4]
1: call print_string
  cmp ecx, 10
  jb 2f
  say "("
  mov eax, [probe_error]
  call print_hex16
  say ")"
2: pop ecx
  pop eax
  ret

.section .user, "ax"
probe_in_ring3:                       # EAX = the probe's code (run_probe left it there)
  call eax
  mov ebx, eax
  mov eax, SYSCALL_PROBE_DONE
  int VECTOR_SYSCALL

.section .rodata
.balign 4
exception_names:
  .long 1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f, 9f, unknown_exception, 10f, 11f, 12f, 13f, 14f, unknown_exception, 16f, 17f
1:  .asciz "#DE"
2:  .asciz "#DB"
3:  .asciz "NMI"
4:  .asciz "#BP"
5:  .asciz "#OF"
6:  .asciz "#BR"
7:  .asciz "#UD"
8:  .asciz "#NM"
9:  .asciz "#DF"
10: .asciz "#TS"
11: .asciz "#NP"
12: .asciz "#SS"
13: .asciz "#GP"
14: .asciz "#PF"
16: .asciz "#MF"
17: .asciz "#AC"
unknown_exception: .asciz "#??"

.bss
.balign 4096
# The one page of the kernel's memory that ring 3 may write (enable_paging).
.global user_stack
user_stack: .skip PAGE_SIZE
.global user_stack_top
user_stack_top:
.global probe_running
probe_running: .skip 4
probe_stack: .skip 4
.global probe_vector
probe_vector: .skip 4
.global probe_error
probe_error: .skip 4
.global probe_address
probe_address: .skip 4
.global probe_value
probe_value: .skip 4
.global probe_faults
probe_faults: .skip 4
