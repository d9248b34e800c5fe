# Descriptor tables, page tables, interrupt controller and timer: everything the processor and the chips read on their own.

.include "demo.inc"
.text

# Loads GDT, IDT and TR and reloads the segment registers.
.global load_tables
load_tables:
  # The TSS descriptor holds its base in three pieces, which the assembler cannot split for an address.
  mov eax, offset tss
  mov [gdt + TASK_STATE + 2], ax
  shr eax, 16
  mov [gdt + TASK_STATE + 4], al
  mov [gdt + TASK_STATE + 7], ah
  mov dword ptr [tss + 4], offset kernel_stack_top    # ESP0
  mov dword ptr [tss + 8], KERNEL_DATA                # SS0
  mov word ptr [tss + 102], tss_end - tss             # I/O map base past the limit: ring 3 has no port

  # 256 gates: the entry stubs are STUB_SIZE apart (interrupts.s).
  mov edi, offset idt
  mov eax, offset interrupt_stubs
  xor ecx, ecx
1: mov [edi], ax
  mov word ptr [edi + 2], KERNEL_CODE
  mov dword ptr [edi + 4], eax
  mov word ptr [edi + 4], 0x8e00                      # present, DPL 0, 32-bit interrupt gate
  cmp ecx, VECTOR_SYSCALL
  je 2f
  cmp ecx, 3                                          # INT3 and INTO are for everyone
  je 2f
  cmp ecx, 4
  jne 3f
2: mov word ptr [edi + 4], 0xee00                     # DPL 3
3: add edi, 8
  add eax, [interrupt_stub_size]
  inc ecx
  cmp ecx, 256
  jne 1b

  lgdt [gdt_pointer]
  lidt [idt_pointer]
  ljmp KERNEL_CODE, offset 4f
4: mov eax, KERNEL_DATA
  mov ds, eax
  mov es, eax
  mov fs, eax
  mov gs, eax
  mov ss, eax
  mov eax, TASK_STATE
  ltr ax
  ret

# One page table for each 4 MiB of the identity map; the pages between user_start and user_end may be read from ring 3.
.global enable_paging
enable_paging:
  mov edi, offset identity_tables
  mov eax, PTE_PRESENT | PTE_WRITE
1: mov [edi], eax
  add edi, 4
  add eax, PAGE_SIZE
  cmp eax, IDENTITY_END
  jb 1b

  mov edi, offset user_start
  mov ecx, offset user_end
2: mov eax, edi
  shr eax, 12
  mov edx, edi
  or edx, PTE_PRESENT | PTE_USER                      # not writable: shared code
  mov [identity_tables + eax * 4], edx
  add edi, PAGE_SIZE
  cmp edi, ecx
  jb 2b

  mov eax, offset user_stack                          # and the stack of the probes written
  mov edx, eax
  shr eax, 12
  or edx, PTE_PRESENT | PTE_WRITE | PTE_USER
  mov [identity_tables + eax * 4], edx

  mov dword ptr [next_free_frame], FREE_MEMORY
  mov eax, offset kernel_directory
  call fill_directory
  mov eax, offset kernel_directory
  mov cr3, eax
  # CR0 is set whole, so that every machine shows the same value: WP makes read-only pages hold for ring 0 too.
  mov eax, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE
  mov cr0, eax
  jmp 3f
3: ret

# EAX = a page directory: gives it the identity map.
.global fill_directory
fill_directory:
  mov dword ptr [eax], offset identity_tables + (PTE_PRESENT | PTE_WRITE | PTE_USER)
  mov dword ptr [eax + 4], offset identity_tables + PAGE_SIZE + (PTE_PRESENT | PTE_WRITE | PTE_USER)
  ret

# Returns EAX = a page frame full of zeros; stops when there is none.
.global new_frame
new_frame:
  mov eax, [next_free_frame]
  cmp eax, IDENTITY_END
  jae 1f
  add dword ptr [next_free_frame], PAGE_SIZE
  push eax
  push ecx
  push edi
  mov edi, eax
  mov ecx, PAGE_SIZE / 4
  xor eax, eax
  rep stosd
  pop edi
  pop ecx
  pop eax
  ret
1: say "\r\nOut of page frames.\r\n"
  jmp power_off

# Maps linear address EAX to physical page EDX with the bits ECX, in the page directory that is loaded.
.global map_page
map_page:
  push ebx
  push esi
  mov ebx, cr3
  mov esi, eax
  shr esi, 22
  test dword ptr [ebx + esi * 4], PTE_PRESENT
  jnz 1f
  push eax
  call new_frame
  or eax, PTE_PRESENT | PTE_WRITE | PTE_USER
  mov [ebx + esi * 4], eax
  pop eax
1: mov ebx, [ebx + esi * 4]
  and ebx, ~(PAGE_SIZE - 1)
  mov esi, eax
  shr esi, 12
  and esi, 1023
  or edx, ecx
  mov [ebx + esi * 4], edx
  invlpg [eax]
  pop esi
  pop ebx
  ret

.macro port_out port, value
  mov al, \value
  out \port, al
.endm

# 8259 pair: vectors 0x20 and 0x28, only the timer and COM1 let through. 8254: channel 0 as a rate generator.
.global start_timer
start_timer:
  port_out PIC_MASTER, 0x11
  port_out PIC_SLAVE, 0x11
  port_out PIC_MASTER + 1, VECTOR_IRQ0
  port_out PIC_SLAVE + 1, VECTOR_IRQ0 + 8
  port_out PIC_MASTER + 1, 4
  port_out PIC_SLAVE + 1, 2
  port_out PIC_MASTER + 1, 1
  port_out PIC_SLAVE + 1, 1
  port_out PIC_SLAVE + 1, 0xff
  port_out PIC_MASTER + 1, 0b11101110
  port_out PIT_COMMAND, 0x34
  port_out PIT_CHANNEL0, (PIT_HERTZ / TIMER_HERTZ) & 0xff
  port_out PIT_CHANNEL0, (PIT_HERTZ / TIMER_HERTZ) >> 8
  ret

# At the prompt nothing needs the timer; without its ticks HLT sleeps until a key comes.
.global stop_timer
stop_timer:
  push eax
  port_out PIC_MASTER + 1, 0b11101111
  pop eax
  ret

.global resume_timer
resume_timer:
  push eax
  port_out PIC_MASTER + 1, 0b11101110
  pop eax
  ret

.data
.balign 8
.global gdt
gdt:
  .quad 0
  .quad 0x00cf9a000000ffff            # 08 kernel code: base 0, 4 GiB, DPL 0
  .quad 0x00cf92000000ffff            # 10 kernel data
  .quad 0x00cffa000000ffff            # 18 user code: DPL 3
  .quad 0x00cff2000000ffff            # 20 user data
  .quad 0x0000890000000067            # 28 TSS, base filled in by load_tables
gdt_end:
.global gdt_pointer
gdt_pointer:
  .word gdt_end - gdt - 1
  .long gdt
.global idt_pointer
idt_pointer:
  .word 256 * 8 - 1
  .long idt

.bss
.balign 4096
.global kernel_directory
kernel_directory: .skip PAGE_SIZE
.global identity_tables
identity_tables: .skip PAGE_SIZE * (IDENTITY_END >> 22)
idt: .skip 256 * 8
.global tss
tss: .skip 104
tss_end:
.global next_free_frame
next_free_frame: .skip 4
