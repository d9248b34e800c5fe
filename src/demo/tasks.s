# Three tasks in ring 3, each in an address space of its own, under the timer: every tick takes the processor from one and gives it to the next. Every task
# works its sum, waits until it was preempted a few times, and ends; the kernel goes on when no task is left.

.include "demo.inc"

.set TASKS, 3
.set KERNEL_STACK_SIZE, 4096
.set PREEMPTIONS, TASK_DATA           # a task finds here how often it was preempted
.set ENOUGH_PREEMPTIONS, 3

# What the scheduler keeps of each; number 0 is the kernel, the others are the round.
.set THREAD_ESP,       0              # 0: ended
.set THREAD_DIRECTORY, 4
.set THREAD_STACK_TOP, 8
.set THREAD_RESULT,    12
.set THREAD_COUNTER,   16             # physical address of its PREEMPTIONS
.set THREAD_SIZE,      20

.text
.global show_tasks
show_tasks:
  pushad
  say "Three tasks in ring 3, preempted by the timer.\r\n\r\n"
  mov dword ptr [threads + THREAD_DIRECTORY], offset kernel_directory
  mov dword ptr [threads + THREAD_STACK_TOP], offset kernel_stack_top
  mov dword ptr [current_thread], offset threads
  mov dword ptr [tasks_left], TASKS
  push dword ptr [next_free_frame]    # what the tasks take is free again when they have ended
  mov ebx, [demand_faults]
  mov esi, offset task_entries
  mov edi, offset threads + THREAD_SIZE
  mov edx, offset task_stacks + KERNEL_STACK_SIZE
1: call create_task
  add esi, 4
  add edi, THREAD_SIZE
  add edx, KERNEL_STACK_SIZE
  cmp edi, offset threads_end
  jb 1b

  mov dword ptr [scheduling], 1
2: cli
  cmp dword ptr [tasks_left], 0
  je 3f
  sti
  hlt
  jmp 2b
3: mov dword ptr [scheduling], 0
  pop dword ptr [next_free_frame]
  sti

  say "  A  primes below 20,000, by trial division           "
  mov eax, [threads + THREAD_SIZE + THREAD_RESULT]
  call print_decimal
  say "\r\n  B  primes below 1,000,000, by a sieve               "
  mov eax, [threads + THREAD_SIZE * 2 + THREAD_RESULT]
  call print_decimal
  say "\r\n  C  longest Collatz chain from below 30,000 (steps)  "
  mov eax, [threads + THREAD_SIZE * 3 + THREAD_RESULT]
  call print_decimal
  say "\r\n     pages mapped on demand meanwhile                 "
  mov eax, [demand_faults]
  sub eax, ebx
  call print_decimal
  say "\r\n\r\n"
  popad
  ret

# The prompt's "primes".
.global show_primes
show_primes:
  jmp show_tasks

# ESI = address of the entry point, EDI = thread, EDX = top of its kernel stack: an address space, and a frame as an interrupt would have left it.
create_task:
  push eax
  push ecx
  call new_frame
  mov [edi + THREAD_DIRECTORY], eax
  call fill_directory
  mov [edi + THREAD_STACK_TOP], edx
  mov dword ptr [edi + THREAD_RESULT], 0

  # The page with the preemption counter is there from the start, since the kernel writes it too.
  mov ecx, cr3
  push ecx
  mov eax, [edi + THREAD_DIRECTORY]
  mov cr3, eax
  call new_frame
  mov [edi + THREAD_COUNTER], eax
  push edx
  mov edx, eax
  mov eax, TASK_DATA
  mov ecx, PTE_PRESENT | PTE_WRITE | PTE_USER
  call map_page
  pop edx
  pop ecx
  mov cr3, ecx

  lea ecx, [edx - 68]                 # the whole frame of demo.inc, ESP and SS included
  mov [edi + THREAD_ESP], ecx
  mov dword ptr [ecx + FRAME_ES], USER_DATA
  mov dword ptr [ecx + FRAME_DS], USER_DATA
  mov eax, [esi]
  mov [ecx + FRAME_EIP], eax
  mov dword ptr [ecx + FRAME_CS], USER_CODE
  mov dword ptr [ecx + FRAME_FLAGS], EFLAGS_IF
  mov dword ptr [ecx + FRAME_ESP], TASK_STACK_TOP
  mov dword ptr [ecx + FRAME_ESP + 4], USER_DATA
  pop ecx
  pop eax
  ret

# From the timer interrupt, ESP = the frame of who was interrupted.
.global switch_task
switch_task:
  mov esi, [current_thread]
  mov [esi + THREAD_ESP], esp
  mov eax, [esi + THREAD_COUNTER]
  test eax, eax
  jz resume_next
  inc dword ptr [eax]
resume_next:                          # ESI = the thread that stops
  mov edi, offset threads
  cmp dword ptr [tasks_left], 0
  je 3f
  mov edi, esi
1: add edi, THREAD_SIZE
  cmp edi, offset threads_end
  jb 2f
  mov edi, offset threads + THREAD_SIZE
2: cmp dword ptr [edi + THREAD_ESP], 0
  je 1b
  cmp edi, esi
  je 3f
  inc dword ptr [task_switches]
3: mov [current_thread], edi
  mov esp, [edi + THREAD_ESP]
  mov eax, [edi + THREAD_STACK_TOP]
  mov [tss + 4], eax
  mov eax, [edi + THREAD_DIRECTORY]
  mov cr3, eax
  jmp leave_kernel

.global task_exit
task_exit:                            # EBX = result
  mov esi, [current_thread]
  mov [esi + THREAD_RESULT], ebx
  mov dword ptr [esi + THREAD_ESP], 0
  dec dword ptr [tasks_left]
  jmp resume_next

.section .user, "ax"

# EBX = result: waits for the last preemptions, then ends.
finish_task:
  cmp dword ptr [PREEMPTIONS], ENOUGH_PREEMPTIONS
  jb finish_task
  mov eax, SYSCALL_EXIT
  int VECTOR_SYSCALL

# Trial division: for each odd candidate ESI, odd divisors ECX while ECX * ECX <= ESI.
trial_division:
  mov ebx, 1                          # 2
  mov esi, 3
1: mov ecx, 3
2: mov eax, ecx
  mul ecx
  cmp eax, esi
  ja 3f
  mov eax, esi
  xor edx, edx
  div ecx
  test edx, edx
  jz 4f
  add ecx, 2
  jmp 2b
3: inc ebx
4: add esi, 2
  cmp esi, 20000
  jb 1b
  jmp finish_task

# The sieve of Eratosthenes, one byte a number, in memory that is mapped as it is touched.
.set SIEVE, TASK_DATA + PAGE_SIZE
.set SIEVE_LIMIT, 1000000
sieve:
  xor ebx, ebx
  mov esi, 2
1: cmp byte ptr [SIEVE + esi], 0
  jne 3f
  inc ebx
  cmp esi, 1000                       # the square root of the limit
  ja 3f
  mov ecx, esi
  imul ecx, esi
2: mov byte ptr [SIEVE + ecx], 1
  add ecx, esi
  cmp ecx, SIEVE_LIMIT
  jb 2b
3: inc esi
  cmp esi, SIEVE_LIMIT
  jb 1b
  jmp finish_task

# n -> n / 2 or 3n + 1 until 1 is reached.
collatz:
  xor ebx, ebx
  mov esi, 1
1: mov eax, esi
  xor ecx, ecx
2: cmp eax, 1
  je 4f
  inc ecx
  test al, 1
  jnz 3f
  shr eax, 1
  jmp 2b
3: lea eax, [eax + eax * 2 + 1]
  jmp 2b
4: cmp ecx, ebx
  jbe 5f
  mov ebx, ecx
5: inc esi
  cmp esi, 30000
  jb 1b
  jmp finish_task

.section .rodata
.balign 4
task_entries: .long trial_division, sieve, collatz

.bss
.balign 16
threads: .skip THREAD_SIZE * (TASKS + 1)
threads_end:
current_thread: .skip 4
tasks_left: .skip 4
.global scheduling
scheduling: .skip 4
.global task_switches
task_switches: .skip 4
.balign 4096
task_stacks: .skip KERNEL_STACK_SIZE * TASKS
